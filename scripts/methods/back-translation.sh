#!/usr/bin/env bash
# usage: scripts/methods/back-translation.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                                            --dual-checkpoint FILE --source-mono DIR --target-mono DIR
#                                            [flags of fairseq-train]
#
# Trains both directions on the parallel data and on monolingual sentences with sampled sources. One of the two texts
# will do.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

# Models of little data sample too much nonsense at temperature 1: see docs/methods.md.
criterion=(back_translation_cross_entropy --num-samples 1 --sample-temperature 0.5)
train_pair "$@"
