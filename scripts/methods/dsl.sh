#!/usr/bin/env bash
# usage: scripts/methods/dsl.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                               --dual-checkpoint FILE --source-lm FILE --target-lm FILE [flags of fairseq-train]
#
# Dual supervised learning: trains both directions on the parallel data and on the duality gap of each pair.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

criterion=(dsl_cross_entropy --dsl-lambda 0.01)
train_pair "$@"
