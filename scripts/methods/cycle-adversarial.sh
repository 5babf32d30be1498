#!/usr/bin/env bash
# usage: scripts/methods/cycle-adversarial.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                                             --dual-checkpoint FILE --source-mono DIR --target-mono DIR
#                                             [flags of fairseq-train]
#
# Trains both directions on the parallel data and on monolingual sentences of both languages, whose samples critics judge
# and the other direction translates back. With --parallel-weight 0 no pair is learned from.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

criterion=(cycle_adversarial --num-samples 2)
train_pair "$@"
