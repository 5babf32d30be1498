#!/usr/bin/env bash
# usage: scripts/train.sh --method METHOD ARGUMENTS...
#
# The old name of scripts/methods/METHOD.sh ARGUMENTS...; it goes with the next version.
set -euo pipefail
source "$(dirname "$0")/common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && { usage "$0"; exit; }
[[ ${1:-} == --method=* ]] && set -- --method "${1#*=}" "${@:2}"
[[ $# -ge 2 && $1 == --method ]] || { usage "$0" >&2; exit 2; }
script=$scripts/methods/$2.sh
[[ $2 != */* && -f $script ]] || die "--method $2: expected one of $(basename -s .sh -a "$scripts"/methods/*.sh | paste -sd ' ')"
echo "train.sh --method $2 is now scripts/methods/$2.sh; this name goes with the next version" >&2
exec "$script" "${@:3}"
