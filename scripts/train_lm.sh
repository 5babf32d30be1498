#!/usr/bin/env bash
# usage: scripts/train_lm.sh DATA_BIN SAVE_DIR [flags of fairseq-train]
#
# Trains a language model of single sentences, the marginal of one side in dual supervised learning.
#
#   DATA_BIN   folder of `fairseq-preprocess --only-source` with the dictionary of the translation data
#   SAVE_DIR   folder for checkpoints and train.log; the result is SAVE_DIR/checkpoint_best.pt
#
# Flags that follow go to fairseq-train and replace the defaults below, e.g. `--max-update 20000 --arch lstm_lm` (an
# architecture with other flags than transformer_lm needs fairseq-train itself). Run again, it does nothing if it was
# done, and resumes if it was interrupted.
set -euo pipefail
source "$(dirname "$0")/common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ $# -ge 2 ]] || { usage "$0" >&2; exit 2; }
data=$1 save_dir=$2
shift 2
[[ -f $data/dict.txt ]] || die "$data: contains no dict.txt; expected a folder of fairseq-preprocess --only-source"

# --sample-break-mode eos: each sentence alone, as the marginal P(x) of a sentence asks for.
train "$save_dir" "$data" --user-dir fairseq_dsl --task language_modeling \
    --sample-break-mode eos --tokens-per-sample 512 --max-tokens 4096 --num-workers 0 \
    --arch transformer_lm --decoder-layers 2 --decoder-embed-dim 256 --decoder-output-dim 256 --decoder-input-dim 256 \
    --decoder-ffn-embed-dim 1024 --decoder-attention-heads 4 --share-decoder-input-output-embed --dropout 0.2 \
    --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 \
    --lr 0.001 --lr-scheduler inverse_sqrt --warmup-updates 400 \
    --max-update 4000 --validate-interval-updates 500 --save-interval-updates 500 --keep-interval-updates 1 \
    --validate-interval 1000 --save-interval 1000 --no-epoch-checkpoints --log-interval 20 "$@"
