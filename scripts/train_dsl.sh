#!/usr/bin/env bash
# usage: scripts/train_dsl.sh DATA_BIN SOURCE TARGET SAVE_DIR --primal-checkpoint FILE --dual-checkpoint FILE
#                             --source-lm FILE --target-lm FILE [flags of fairseq-train]
#
# Trains both directions together with dual supervised learning, from two warm starts and two language models.
#
#   DATA_BIN             folder of fairseq-preprocess, of either order of the languages
#   SOURCE, TARGET       languages of the primal direction, e.g. de en; the dual direction is the other one
#   SAVE_DIR             folder for checkpoints and train.log; the result is SAVE_DIR/checkpoint_best.pt
#   --primal-checkpoint  translation model SOURCE to TARGET (train_translation.sh)
#   --dual-checkpoint    translation model TARGET to SOURCE
#   --source-lm          language model of SOURCE (train_lm.sh)
#   --target-lm          language model of TARGET
#   --dsl-lambda         weight of the duality term (default: 0.01); 0 gives the control, trained with the two
#                        likelihoods alone (with the language models it still logs the duality gap)
#
# Further flags go to fairseq-train and replace the defaults below, e.g. `--max-update 20000 --dsl-ramp-updates 1000`.
# The BLEU of every validation undoes sentencepiece: give `--eval-bleu-remove-bpe` for other data. Run again, it does
# nothing if it was done, and goes on if it was interrupted.
set -euo pipefail
source "$(dirname "$0")/common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ $# -ge 4 ]] || { usage "$0" >&2; exit 2; }
data=$1 source_lang=$2 target_lang=$3 save_dir=$4
shift 4
for lang in "$source_lang" "$target_lang"; do
    [[ -f $data/dict.$lang.txt ]] || die "$data: no dict.$lang.txt there; a folder of fairseq-preprocess is wanted"
done

# The best checkpoint is chosen by the likelihoods of both directions: `loss` has the duality term in it, so that a
# control and a DSL run could not be compared. The learning rate is constant and low: the models are already trained.
train "$save_dir" "$data" --user-dir fairseq_dsl --task dual_translation -s "$source_lang" -t "$target_lang" \
    --max-tokens 4096 --num-workers 0 \
    --arch dual_translation --criterion dsl_cross_entropy --label-smoothing 0.1 --dsl-lambda 0.01 \
    --optimizer adam --adam-betas '(0.9, 0.98)' --lr 0.0002 --lr-scheduler fixed --per-model-clip-norm 1.0 \
    --eval-bleu --eval-bleu-remove-bpe sentencepiece --eval-bleu-args '{"beam": 1, "max_len_a": 1.2, "max_len_b": 10}' \
    --best-checkpoint-metric nll_loss \
    --max-update 4000 --validate-interval-updates 500 --save-interval-updates 500 --keep-interval-updates 1 \
    --validate-interval 1000 --save-interval 1000 --no-epoch-checkpoints --log-interval 20 "$@"
