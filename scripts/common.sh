# What train.sh and the train_*.sh scripts share: `source` it after the comment that explains the script.

# Prints the comment at the top of a script as its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }

die() { echo "$(basename "$0"): $*" >&2; exit 2; }

# PYTHON names the interpreter; without it the repository's .venv is taken (scripts/venv.sh makes it), then the one on
# PATH.
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python
    [[ -x $scripts/../.venv/bin/python ]] && PYTHON=$scripts/../.venv/bin/python
fi
python=$(command -v "$PYTHON") || die "PYTHON=$PYTHON is no command; name a Python that has the plugin installed"
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
