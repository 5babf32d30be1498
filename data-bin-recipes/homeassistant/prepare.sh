#!/bin/sh
# The command of the recipe: `prepare.sh --help` lists its options; PYTHON names the Python with the plugin.
exec "${PYTHON:-python3}" "$(dirname "$0")/prepare.py" "$@"
