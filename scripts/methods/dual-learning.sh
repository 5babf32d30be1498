#!/usr/bin/env bash
# usage: scripts/methods/dual-learning.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                                         --dual-checkpoint FILE
#                                         --source-lm FILE --target-lm FILE --source-mono DIR --target-mono DIR
#                                         [flags of fairseq-train]
#
# Trains both directions on the parallel data and on the rewards of monolingual sentences' round trips. One of the two
# monolingual texts will do; with --reward-alpha 0 the language models are not needed.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

criterion=(dual_learning --num-samples 2 --reward-per-token)
train_pair "$@"
