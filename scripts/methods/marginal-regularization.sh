#!/usr/bin/env bash
# usage: scripts/methods/marginal-regularization.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                                                   --dual-checkpoint FILE
#                                                   --source-lm FILE --target-lm FILE --source-mono DIR --target-mono DIR
#                                                   [flags of fairseq-train]
#
# Trains both directions on the parallel data and on the marginal probability of monolingual sentences. One of the two
# monolingual texts will do.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

criterion=(marginal_regularized_cross_entropy --num-samples 5)
train_pair "$@"
