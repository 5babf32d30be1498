#!/usr/bin/env bash
# usage: scripts/methods/minimum-risk.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE
#                                        --dual-checkpoint FILE [flags of fairseq-train]
#
# Trains both directions on the BLEU of translations that they sample for the parallel data.
# See scripts/methods/README.md for the arguments, and docs/methods.md for the method.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }

# The risk's gradient has the factor --sharpness, 0.005: the weight makes up for it.
criterion=(minimum_risk --num-samples 20 --parallel-weight 0 --risk-weight 200)
train_pair "$@"
