#!/usr/bin/env bash
# usage: scripts/demo.sh [--lang LANG] [--toy]
#
# Shows the whole chain at work, from nothing to two translation models and a report: installs the plugin in .venv,
# prepares a corpus, follows the recipe (recipe.sh: language models, warm starts, the pair), trains a control from the
# same warm starts for the same number of updates, translates the test set in both directions, also with dual inference,
# and compares them. It takes some 20 minutes on two cores.
#
#   --lang LANG  translate between LANG and English: de, ko, or another language of Home Assistant (default: de)
#   --toy        a generated German-English corpus: no download, 4 minutes after the installation
#
# Run again, it reuses what is there; interrupted, it resumes where it was. PYTHON chooses another Python (see venv.sh).
set -euo pipefail
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }
die() { echo "demo.sh: $*" >&2; exit 2; }

recipe=homeassistant lang=de
while [[ $# -gt 0 ]]; do
    case $1 in
        --toy) recipe=toy ;;
        --lang) [[ $# -ge 2 ]] || die "--lang requires a language, e.g. --lang ko"; lang=$2; shift ;;
        --lang=*) lang=${1#*=} ;;
        -h | --help) usage; exit ;;
        *) usage >&2; die "$1: not an option" ;;
    esac
    shift
done
[[ $recipe == homeassistant || $lang == de ]] || die "--toy has German and English only; leave --lang $lang out"
[[ $lang != en ]] || die "--lang en: the other language is English already"
[[ $lang =~ ^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$ ]] || die "--lang '$lang': expected a language's code, e.g. de or zh-Hans"
corpus_lang=$lang lang=${lang//-/_} # a hyphen divides the languages of a pair: the recipe writes zh_Hans for zh-Hans
cd "$(dirname "$0")/.."

data=data-bin/$recipe-$lang-en
run=demo-$recipe-$lang-en
mkdir -p "$run"
[[ ! -L $run/.lock ]] || die "$run/.lock: expected no symbolic link"
# Two demos would train in the same folders. A demo that was killed may have left a process that still holds the lock.
if command -v flock >/dev/null; then
    exec 9>>"$run/.lock"
    flock -n 9 || { echo "waiting for another demo.sh that works in $run"; flock 9; }
fi

# Small models: the time is short. What differs from the defaults of recipe.sh, train_translation.sh and methods/.
models=(--encoder-layers 2 --encoder-embed-dim 128 --encoder-ffn-embed-dim 256
    --decoder-layers 2 --decoder-embed-dim 128 --decoder-ffn-embed-dim 256 --dropout 0.1 --max-tokens 2048 --lr 0.002
    --eval-bleu --eval-bleu-remove-bpe sentencepiece
    --eval-bleu-args '{"beam":1,"max_len_a":1.2,"max_len_b":10}') # as in common.sh: the line in the pairs' plots
lm=(--decoder-embed-dim 128 --decoder-input-dim 128 --decoder-output-dim 128 --decoder-ffn-embed-dim 256
    --dropout 0.1 --max-tokens 2048 --lr 0.002)
pair=(--max-tokens 2048)
every() { echo "--validate-interval-updates $1 --save-interval-updates $1"; }
if [[ $recipe == toy ]]; then
    vocabulary=()
    lm+=(--warmup-updates 50 --max-update 100 $(every 50))
    models+=(--warmup-updates 100 --max-update 150 $(every 50))
    pair+=(--max-update 60 $(every 20) --dsl-ramp-updates 20)
else
    vocabulary=(--vocab-size 2000)
    lm+=(--warmup-updates 150 --max-update 400 $(every 100))
    models+=(--warmup-updates 250 --max-update 800 $(every 200))
    pair+=(--max-update 120 $(every 40) --dsl-ramp-updates 40)
fi

finish() {
    [[ $1 -eq 0 ]] || echo "demo.sh stopped with exit code $1; run the same command again: it resumes where it was" >&2
}
trap 'finish $?' EXIT

began=$SECONDS
step() { printf '\n== %s (%d:%02d)\n' "$*" $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)); }

# A command that ends with this script, also when that is killed: the next run would find it at work. In a command
# substitution, `exec` makes it this script's own child.
for python in "${PYTHON:-python3}" python3.11 python3.12 python3.10 ""; do
    [[ -n $python ]] || die "no Python that works; name one with PYTHON="
    python=$("$python" -c 'import sys; print(sys.executable)' 2>/dev/null) && break # no shim, which may stay in between
done
bound=("$python" fairseq_dsl_cli/children.py $$)

step "1/5 installation"
PYTHON=$(exec "${bound[@]}" scripts/venv.sh)
export PYTHON OMP_NUM_THREADS=1 PYTHONPATH=$PWD PATH=$(dirname "$PYTHON"):$PATH
echo "$PYTHON"

step "2/5 corpus $recipe, $lang-en"
"${bound[@]}" "data-bin-recipes/$recipe/prepare.sh" --lang "$corpus_lang" --out "$data" "${vocabulary[@]}"

step "3/5 the recipe, and a control: language models, ordinary models of both directions, the pairs"
LM_FLAGS="${lm[*]}" MODEL_FLAGS="${models[*]}" JOBS=2 CONTROL=1 \
    "${bound[@]}" scripts/recipe.sh "$data" "$lang" en "$run" "${pair[@]}"

step "4/5 translating the test set in both directions, with one direction alone and with dual inference"
"${bound[@]}" fairseq-dsl evaluate --data-bin "$data" -s "$lang" -t en --output "$run/evaluation" --jobs 2 \
    --baseline "control=$run/control/checkpoint_best.pt" --system "recipe=$run/pair/checkpoint_best.pt" \
    --system "warm start=$run/$lang-en/checkpoint_best.pt,$run/en-$lang/checkpoint_best.pt" --dual-inference \
    --source-lm "$run/lm.$lang/checkpoint_best.pt" --target-lm "$run/lm.en/checkpoint_best.pt"

step "5/5 report"
note="This shows the chain at work. The models are small and were trained for minutes: gains need longer training."
"${bound[@]}" fairseq-dsl report --output "$run/report.md" \
    --title "Dual supervised learning: $recipe, $lang-en" --note "$note" \
    --evaluation "$run/evaluation/evaluation.json" --run "control=$run/control" --run "recipe=$run/pair" \
    --run "language model $lang=$run/lm.$lang" --run "language model en=$run/lm.en" \
    --run "warm start $lang-en=$run/$lang-en" --run "warm start en-$lang=$run/en-$lang"
step "done"
echo "$note"
echo "The table, the plots, translations and all commands are in $run/report.md"
