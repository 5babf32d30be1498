#!/usr/bin/env bash
# usage: scripts/train.sh --method METHOD DATA_BIN SOURCE TARGET SAVE_DIR
#                         --primal-checkpoint FILE --dual-checkpoint FILE [--source-lm FILE --target-lm FILE]
#                         [--source-mono DIR] [--target-mono DIR] [flags of fairseq-train]
#
# Trains both directions together, from two warm starts, with one of these methods:
#
#   METHOD                   learns from                                                  wants
#   control                  the parallel data
#   dsl                      these, and the duality gap of each pair                      language models
#   minimum-risk             the BLEU of translations that are sampled for them
#   dual-learning            these, and the rewards of monolingual sentences' round trips  both
#   marginal-regularization  these, and the marginal probability of monolingual sentences  both
#   back-translation         these, and monolingual sentences with sampled sources        monolingual text
#
#   DATA_BIN             folder of fairseq-preprocess, of either order of the languages
#   SOURCE, TARGET       languages of the primal direction, e.g. de en; the dual direction is the other one
#   SAVE_DIR             folder for checkpoints and train.log; the result is SAVE_DIR/checkpoint_best.pt
#   --primal-checkpoint  translation model SOURCE to TARGET (train_translation.sh)
#   --dual-checkpoint    translation model TARGET to SOURCE
#   --source-lm          language model of SOURCE (train_lm.sh); with both, every method logs the duality gap
#   --target-lm          language model of TARGET
#   --source-mono        monolingual text of SOURCE: folder of fairseq-preprocess --only-source, DATA_BIN's dictionary
#   --target-mono        monolingual text of TARGET; one of the two will do
#
# All methods train with the same optimizer, so that they can be compared. Further flags go to fairseq-train and replace
# the defaults below, e.g. `--max-update 20000 --num-samples 10`. The BLEU of every validation, which chooses the best
# checkpoint, and that of the risk undo sentencepiece: give `--eval-bleu-remove-bpe` for other data. Run again, it does
# nothing if it was done, and goes on if it was interrupted.
set -euo pipefail
source "$(dirname "$0")/common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ ${1:-} == --method=* ]] && set -- --method "${1#*=}" "${@:2}"
[[ $# -ge 6 && $1 == --method ]] || { usage "$0" >&2; exit 2; }
method=$2 data=$3 source_lang=$4 target_lang=$5 save_dir=$6
shift 6
flags=("$@")

# value FLAG: prints what was given with FLAG.
value() {
    local word before= found=
    for word in "${flags[@]}"; do
        [[ $before == "$1" ]] && found=$word
        [[ $word == "$1="* ]] && found=${word#*=}
        before=$word
    done
    echo "$found"
}
want() { [[ -n $(value "$1") ]] || die "--method $method wants $1: $2"; }
want_language_models() {
    want --source-lm "a language model of $source_lang (train_lm.sh)"
    want --target-lm "a language model of $target_lang (train_lm.sh)"
}
want_monolingual() {
    [[ -n $(value --source-mono)$(value --target-mono) ]] ||
        die "--method $method wants --source-mono, --target-mono or both: folders of fairseq-preprocess --only-source"
}

case $method in
    control) criterion=(dsl_cross_entropy --dsl-lambda 0) ;;
    dsl) criterion=(dsl_cross_entropy --dsl-lambda 0.01) && want_language_models ;;
    # The risk's gradient has the factor --sharpness, 0.005: the weight makes up for it.
    minimum-risk) criterion=(minimum_risk --num-samples 20 --parallel-weight 0 --risk-weight 200) ;;
    dual-learning) criterion=(dual_learning --num-samples 2 --reward-per-token)
        want_monolingual
        [[ $(value --reward-alpha) == 0 ]] || want_language_models ;;
    marginal-regularization) criterion=(marginal_regularized_cross_entropy --num-samples 5)
        want_monolingual
        want_language_models ;;
    # Models of little data sample too much nonsense at temperature 1: see docs/methods.md.
    back-translation) criterion=(back_translation_cross_entropy --num-samples 1 --sample-temperature 0.5)
        want_monolingual ;;
    *) die "--method $method: one of control, dsl, minimum-risk, dual-learning, marginal-regularization and" \
        "back-translation is wanted" ;;
esac
want --primal-checkpoint "a translation model from $source_lang to $target_lang (train_translation.sh)"
want --dual-checkpoint "a translation model from $target_lang to $source_lang (train_translation.sh)"
# Here, because step.py would take a folder that was begun without a file for another experiment than one with it.
for flag in --primal-checkpoint --dual-checkpoint --source-lm --target-lm --source-mono --target-mono; do
    path=$(value "$flag")
    [[ -z $path || -e $path ]] || die "$flag $path: nothing of this name is there"
done
for flag in --primal-checkpoint --dual-checkpoint --source-lm --target-lm; do
    path=$(value "$flag")
    [[ ! -d $path ]] || die "$flag $path: expected a checkpoint, found a folder"
done
[[ $source_lang != "$target_lang" ]] || die "$source_lang $target_lang: expected two languages"
for lang in "$source_lang" "$target_lang"; do
    [[ -f $data/dict.$lang.txt ]] || die "$data: no dict.$lang.txt there; a folder of fairseq-preprocess is wanted"
done

# The best checkpoint is that of the best BLEU, the mean of both directions: `loss` has other terms in it with each
# method, and minimum risk is not of the likelihood. The learning rate is constant and low: the models are trained.
best=()
[[ -n $(value --best-checkpoint-metric) ]] || best=(--best-checkpoint-metric bleu --maximize-best-checkpoint-metric)
train "$save_dir" "$data" --user-dir fairseq_dsl --task dual_translation -s "$source_lang" -t "$target_lang" \
    --max-tokens 4096 --num-workers 0 --arch dual_translation --label-smoothing 0.1 --criterion "${criterion[@]}" \
    --optimizer adam --adam-betas '(0.9, 0.98)' --lr 0.0002 --lr-scheduler fixed --per-model-clip-norm 1.0 \
    --eval-bleu --eval-bleu-remove-bpe sentencepiece --eval-bleu-args '{"beam": 1, "max_len_a": 1.2, "max_len_b": 10}' \
    "${best[@]}" \
    --max-update 4000 --validate-interval-updates 500 --save-interval-updates 500 --keep-interval-updates 1 \
    --validate-interval 1000 --save-interval 1000 --no-epoch-checkpoints --log-interval 20 "$@"
