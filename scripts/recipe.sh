#!/usr/bin/env bash
# usage: scripts/recipe.sh DATA_BIN SOURCE TARGET FOLDER [flags of fairseq-train, for the pair]
#
# From data to a pair of models, by the methods that did best in docs/results.md: language models, ordinary models of both
# directions, and the pair, for dual inference.
#
#   DATA_BIN   data of `fairseq-dsl prepare`, with what that made beside it
#   SOURCE     language of the primal direction, e.g. de
#   TARGET     the other language, e.g. en
#   FOLDER     folder for all that is trained; the result is FOLDER/pair/checkpoint_best.pt, and the command that is printed
#              at the end translates by it
#
# Where there is monolingual text (`fairseq-dsl prepare --mono`), of one language or both, the pair learns from it by
# back-translation; else from the pairs alone, by dual supervised learning. The models are as large as the pairs allow,
# and small where there is no GPU.
# LM_FLAGS and MODEL_FLAGS are flags of fairseq-train for the language models and for the ordinary models, which replace
# the recipe's own. JOBS (default: 1) is how many trainings run at the same time. With CONTROL=1 the same ordinary models
# are also trained on by likelihood alone, with the same flags (so give none of a method), in FOLDER/control, and the
# command that compares the two is printed. Run again, it does nothing where it was done, and resumes where it was
# interrupted.
set -euo pipefail
source "$(dirname "$0")/common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ $# -ge 4 ]] || { usage "$0" >&2; exit 2; }
data=$1 x=$2 y=$3 folder=$4
shift 4
text=$data-text
for split in train valid; do
    [[ -f $text/$split.$x && -f $text/$split.$y ]] ||
        die "$text: expected $split.$x and $split.$y of \`fairseq-dsl prepare -s $x -t $y --out $data\`"
done

# Commands that end with this script, also when that is killed.
bound=("$PYTHON" "$scripts/../fairseq_dsl_cli/children.py" $$)
at_once=("${bound[@]}" "$PYTHON" "$scripts/parallel.py" --jobs "${JOBS:-1}")

# What differs from the defaults of the other scripts: the sizes, by what there is to learn from.
pairs=$(wc -l <"$text/train.$x")
gpu() { "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; }
if [[ $pairs -lt 10000 ]] || ! gpu; then
    layers=2 width=128 inner=256 heads=4 dropout=0.3 tokens=1500 lr=0.002 warm_updates=1500 updates=600 every=100
    [[ $pairs -lt 3000 ]] || warm_updates=3000
    [[ $pairs -lt 10000 ]] || dropout=0.2 warm_updates=10000
elif [[ $pairs -lt 200000 ]]; then
    layers=3 width=256 inner=1024 heads=4 dropout=0.3 tokens=4096 lr=0.001 warm_updates=8000 updates=4000 every=500
else
    layers=6 width=512 inner=2048 heads=8 dropout=0.1 tokens=4096 lr=0.0007 warm_updates=50000 updates=20000 every=2000
fi
every=(--validate-interval-updates "$every" --save-interval-updates "$every")
lm=(--decoder-layers 2 --decoder-embed-dim "$width" --decoder-input-dim "$width" --decoder-output-dim "$width"
    --decoder-ffn-embed-dim "$inner" --decoder-attention-heads "$heads" --max-tokens "$tokens" --lr "$lr"
    --max-update "$warm_updates" "${every[@]}" ${LM_FLAGS:-})
warm=(--encoder-layers "$layers" --encoder-embed-dim "$width" --encoder-ffn-embed-dim "$inner"
    --encoder-attention-heads "$heads" --decoder-layers "$layers" --decoder-embed-dim "$width"
    --decoder-ffn-embed-dim "$inner" --decoder-attention-heads "$heads" --dropout "$dropout"
    --max-tokens "$tokens" --lr "$lr" --max-update "$warm_updates" "${every[@]}" ${MODEL_FLAGS:-})
pair=(--max-tokens "$tokens" --max-update "$updates" "${every[@]}")

step() { printf '\n== %s\n' "$*"; }

step "1/3 language models"
trainings=()
for lang in "$x" "$y"; do
    all=$data-lm.$lang
    [[ -d $data-mono.$lang ]] && all=$data-mono.$lang # which has the sentences of the pairs too
    trainings+=(::: "$scripts/train_lm.sh" "$all" "$folder/lm.$lang" "${lm[@]}")
done
"${at_once[@]}" "${trainings[@]:1}"

step "2/3 ordinary models of both directions"
"${at_once[@]}" "$scripts/train_translation.sh" "$data" "$x" "$y" "$folder/$x-$y" "${warm[@]}" ::: \
    "$scripts/train_translation.sh" "$data" "$y" "$x" "$folder/$y-$x" "${warm[@]}"

step "3/3 the pair"
method=dsl mono=()
[[ -d $data-mono.$x ]] && method=back-translation mono+=(--source-mono "$data-mono.$x")
[[ -d $data-mono.$y ]] && method=back-translation mono+=(--target-mono "$data-mono.$y")
lms=(--source-lm "$folder/lm.$x/checkpoint_best.pt" --target-lm "$folder/lm.$y/checkpoint_best.pt")
starts=(--primal-checkpoint "$folder/$x-$y/checkpoint_best.pt" --dual-checkpoint "$folder/$y-$x/checkpoint_best.pt")
trainings=("$scripts/methods/$method.sh" "$data" "$x" "$y" "$folder/pair" "${starts[@]}" "${lms[@]}" "${mono[@]}"
    "${pair[@]}" "$@")
[[ ! ${CONTROL:-} ]] ||
    trainings+=(::: "$scripts/methods/control.sh" "$data" "$x" "$y" "$folder/control" "${starts[@]}" "${lms[@]}"
        "${pair[@]}" "$@" --dsl-lambda 0)
"${at_once[@]}" "${trainings[@]}"

if [[ ${CONTROL:-} ]]; then
    printf '\n%s\n' "To compare the pair with the control, on the test set of $data:"
    echo "fairseq-dsl evaluate --data-bin $data -s $x -t $y --baseline control=$folder/control/checkpoint_best.pt" \
        "--system recipe=$folder/pair/checkpoint_best.pt --dual-inference ${lms[*]} --output $folder/evaluation"
fi
printf '\n%s\n' "To translate by both directions and the language model; -s $y -t $x for the other direction:"
echo "fairseq-generate $data --user-dir fairseq_dsl --task dual_translation -s $x -t $y" \
    "--path $folder/pair/checkpoint_best.pt --beam 10 --reverse-weight 0.5 --remove-bpe sentencepiece ${lms[*]}"
