#!/usr/bin/env bash
# usage: scripts/methods/control.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                                   --dual-checkpoint FILE [flags of fairseq-train]
#
# Trains both directions on the parallel data alone: what every method is compared with. With language models it logs
# the duality gap.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

criterion=(dsl_cross_entropy --dsl-lambda 0)
train_pair "$@"
