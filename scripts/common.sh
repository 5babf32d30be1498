# What the train_*.sh scripts and those of methods/ share: `source` it after the comment that explains the script.

# Prints the comment at the top of a script as its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }

die() { echo "$(basename "$0"): $*" >&2; exit 2; }

# PYTHON names the interpreter; without it the repository's .venv is taken (scripts/venv.sh makes it), then the one on
# PATH.
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH=$(dirname "$scripts")${PYTHONPATH:+:$PYTHONPATH} # for step.py: these commands, not older ones
if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python
    [[ -x $scripts/../.venv/bin/python ]] && PYTHON=$scripts/../.venv/bin/python
fi
python=$(command -v "$PYTHON") || die "PYTHON=$PYTHON is not a command; name a Python that has the plugin installed"
PYTHON=$python
# The fairseq-* commands of that interpreter come first, so that the printed commands are those a reader would type.
PATH=$(dirname "$PYTHON"):$PATH

# OpenMP threads of two trainers on few cores wait for each other: one thread each is many times faster for small
# models.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# train SAVE_DIR ARGUMENTS...: runs fairseq-train as a step that can be repeated (see step.py).
train() {
    local save_dir=$1
    shift
    [[ -n $save_dir ]] || die "SAVE_DIR is empty; expected the name of a folder"
    exec "$PYTHON" "$scripts/step.py" "$save_dir" -- \
        fairseq-train "$@" --save-dir "$save_dir" --log-file "$save_dir/train.log" --log-format json
}

# train_pair DATA_BIN SOURCE TARGET SAVE_DIR ARGUMENTS...: trains both directions with the array `criterion`, a criterion
# and its flags. All methods have the same optimizer, so that they can be compared.
train_pair() {
    [[ $# -ge 4 ]] || { usage "$0" >&2; exit 2; }
    local data=$1 source_lang=$2 target_lang=$3 save_dir=$4 lang best=()
    shift 4
    [[ $source_lang != "$target_lang" ]] || die "$source_lang $target_lang: expected two languages"
    for lang in "$source_lang" "$target_lang"; do
        [[ -f $data/dict.$lang.txt ]] || die "$data: contains no dict.$lang.txt; expected a folder of fairseq-preprocess"
    done
    # The best checkpoint is that of the best BLEU, the mean of both directions: `loss` has other terms in it with each
    # method, and minimum risk is not of the likelihood.
    [[ " $*" == *" --best-checkpoint-metric"* ]] ||
        best=(--best-checkpoint-metric bleu --maximize-best-checkpoint-metric)
    # The learning rate is constant and low: the models are trained.
    train "$save_dir" "$data" --user-dir fairseq_dsl --task dual_translation -s "$source_lang" -t "$target_lang" \
        --max-tokens 4096 --num-workers 0 --arch dual_translation --label-smoothing 0.1 --criterion "${criterion[@]}" \
        --optimizer adam --adam-betas '(0.9, 0.98)' --lr 0.0002 --lr-scheduler fixed --per-model-clip-norm 1.0 \
        --eval-bleu --eval-bleu-remove-bpe sentencepiece \
        --eval-bleu-args '{"beam": 1, "max_len_a": 1.2, "max_len_b": 10}' "${best[@]}" \
        --max-update 4000 --validate-interval-updates 500 --save-interval-updates 500 --keep-interval-updates 1 \
        --validate-interval 1000 --save-interval 1000 --no-epoch-checkpoints --log-interval 20 "$@"
}
