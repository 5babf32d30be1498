#!/usr/bin/env bash
# usage: scripts/train_translation.sh DATA_BIN SOURCE TARGET SAVE_DIR [flags of fairseq-train]
#
# Trains an ordinary translation model of one direction: a warm start for dual supervised learning.
#
#   DATA_BIN   folder of fairseq-preprocess, of either order of the languages
#   SOURCE     language to translate from, e.g. de
#   TARGET     language to translate to, e.g. en
#   SAVE_DIR   folder for checkpoints and train.log; the result is SAVE_DIR/checkpoint_best.pt
#
# Flags that follow go to fairseq-train and replace the defaults below, e.g. `--max-update 20000 --dropout 0.3`. Run
# again, it does nothing if it was done, and resumes if it was interrupted.
set -euo pipefail
source "$(dirname "$0")/common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ $# -ge 4 ]] || { usage "$0" >&2; exit 2; }
data=$1 source_lang=$2 target_lang=$3 save_dir=$4
shift 4
[[ $source_lang != "$target_lang" ]] || die "$source_lang $target_lang: expected two languages"
for lang in "$source_lang" "$target_lang"; do
    [[ -f $data/dict.$lang.txt ]] || die "$data: contains no dict.$lang.txt; expected a folder of fairseq-preprocess"
done
share=--share-decoder-input-output-embed
cmp -s "$data/dict.$source_lang.txt" "$data/dict.$target_lang.txt" && share=--share-all-embeddings

train "$save_dir" "$data" --user-dir fairseq_dsl --task translation -s "$source_lang" -t "$target_lang" \
    --max-tokens 4096 --num-workers 0 \
    --arch transformer --encoder-layers 3 --decoder-layers 3 --encoder-embed-dim 256 --decoder-embed-dim 256 \
    --encoder-ffn-embed-dim 1024 --decoder-ffn-embed-dim 1024 --encoder-attention-heads 4 --decoder-attention-heads 4 \
    "$share" --dropout 0.2 --criterion label_smoothed_cross_entropy --label-smoothing 0.1 \
    --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 \
    --lr 0.001 --lr-scheduler inverse_sqrt --warmup-updates 800 \
    --max-update 8000 --validate-interval-updates 500 --save-interval-updates 500 --keep-interval-updates 1 \
    --validate-interval 1000 --save-interval 1000 --no-epoch-checkpoints --log-interval 20 "$@"
