#!/bin/sh
# The recipe's one command; `prepare.sh --help` lists the options, ../../README.md's install step gives the Python.
exec "${PYTHON:-python3}" "$(dirname "$0")/prepare.py" "$@"
