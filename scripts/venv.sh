#!/usr/bin/env bash
# usage: [PYTHON=python3.10] scripts/venv.sh
#
# Makes a virtual environment with the plugin, fairseq and what the tests need, and prints the path of its Python.
# What is there already is used again, and brought up to date when the plugin or its requirements have changed.
#
# Without PYTHON the environment is .venv, made with the first of python3.11, python3.12 and python3.10 that works; with
# PYTHON it is .venv if that is of the same version, and else .venv-VERSION. demo.sh and test.sh call this script.
set -euo pipefail
[[ $# -eq 0 ]] || { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; [[ $1 == -h || $1 == --help ]]; exit; }

die() { echo "venv.sh: $*" >&2; exit 2; }
# ensurepip stands in a package of its own on some systems; a shim of a version manager may stand for nothing.
works() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

if [[ -n ${PYTHON:-} ]]; then
    PYTHON=$("$PYTHON" -c 'import sys; print(sys.executable)') ||
        die "PYTHON names no Python that works; expected version 3.10, 3.11 or 3.12"
fi
cd "$(dirname "$0")/.."

venv=.venv
if [[ -n ${PYTHON:-} ]]; then
    [[ -x .venv/bin/python && $(version .venv/bin/python) == "$(version "$PYTHON")" ]] ||
        venv=.venv-$(version "$PYTHON")
elif [[ -x .venv/bin/python && ! -e .venv/building.txt ]]; then
    PYTHON=.venv/bin/python
else
    for PYTHON in python3.11 python3.12 python3.10 ""; do
        [[ -n $PYTHON ]] || die "no python3.11, python3.12 or python3.10 with venv and ensurepip; name one with PYTHON="
        works "$PYTHON" && break
    done
    PYTHON=$("$PYTHON" -c 'import sys; print(sys.executable)') # no shim: what it starts would not be a child of this script
fi
case $(version "$PYTHON") in
    3.10) constraints=constraints-3.10.txt ;;
    3.11 | 3.12) constraints=constraints.txt ;;
    *) die "PYTHON=$PYTHON is Python $(version "$PYTHON"); expected 3.10, 3.11 or 3.12" ;;
esac

requirements="requirements $(cat setup.py pyproject.toml "$constraints" scripts/venv.sh | cksum)"
code="code $(find fairseq_dsl fairseq_dsl_cli -name '*.py' -print0 | sort -z | xargs -0 cat | cksum)"
installed=$venv/installed.txt # what the environment was last brought to; absent while it is being changed
building=$venv/building.txt   # there until the first installation ends: an environment with it is made anew

# pip ends with this script, also when that is killed: the next run would find it at work.
install() {
    "$PYTHON" fairseq_dsl_cli/children.py $$ "$venv/bin/python" -m pip install --disable-pip-version-check --no-compile "$@" >&2
}
if ! grep -qxF "$requirements" "$installed" 2>/dev/null; then
    echo "installing the plugin and what it needs in $venv (some minutes)" >&2
    [[ -e $building ]] && rm -rf "$venv"
    rm -f "$installed"
    if [[ ! -x $venv/bin/python ]]; then
        works "$PYTHON" ||
            die "$PYTHON lacks the module ensurepip; on Debian and Ubuntu: apt install python$(version "$PYTHON")-venv"
        "$PYTHON" fairseq_dsl_cli/children.py $$ "$PYTHON" -m venv "$venv" >&2
        touch "$building"
    fi
    # fairseq 0.12.2 depends on a version of omegaconf whose metadata newer ones refuse.
    [[ $constraints == constraints-3.10.txt ]] && install "pip<24.1"
    # torch alone first: what depends on it then takes this version.
    install -c "$constraints" torch
    rm -rf build
    install -c "$constraints" ".[test]"
    # pip compiles no modules: of many packages few are imported. fairseq's warn of their own syntax when they are compiled.
    "$venv/bin/python" -W ignore -m compileall -q "$venv"/lib/python*/site-packages/fairseq >&2
    install -c "$constraints" kenlm || # needs cmake and a C++ compiler
        echo "venv.sh: kenlm cannot be compiled here (see above): its tests use a stand-in alone" >&2
elif ! grep -qxF "$code" "$installed"; then
    echo "installing the changed plugin in $venv" >&2
    rm -rf build "$installed" # a module that is gone would be packed again from build/
    install --no-deps --force-reinstall .
fi
beside=$(mktemp "$installed.XXXXXX")
printf '%s\n' "$requirements" "$code" >"$beside"
mv "$beside" "$installed"
rm -f "$building"
echo "$PWD/$venv/bin/python"
