#!/usr/bin/env bash
# usage: [PYTHON=python3.10] scripts/test.sh [arguments of pytest]
#
# Installs the plugin and runs its tests; e.g. `scripts/test.sh tests/unit -k marginals`. Without arguments all of them,
# after ruff and mypy (see pyproject.toml).
# PYTHON chooses the version of Python, and so of fairseq and torch; each has an environment of its own (see venv.sh).
set -euo pipefail
[[ ${1:-} == -h || ${1:-} == --help ]] && { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; exit; }
cd "$(dirname "$0")/.."
python=$(scripts/venv.sh)
if [[ $# -eq 0 ]]; then
    for check in "ruff check ." "ruff format --check ." "mypy"; do
        echo "== $check"
        # shellcheck disable=SC2086  # words
        "$python" -m $check || { echo "test.sh: \`$check\` failed (see above); the tests were not run" >&2; exit 1; }
    done
    echo "== pytest"
    set -- --numprocesses auto --maxprocesses 4 --dist worksteal # a process for each core; of 1 GB at most
fi
# One thread: the commands under test run small models, for which threads cost more than they bring. From the root, so
# that the tests see the repository's plugin and not the installed copy.
OMP_NUM_THREADS=1 exec "$python" -m pytest "$@"
