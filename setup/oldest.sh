#!/bin/sh
# Makes the virtual environment of the oldest promised libraries: oldest.sh PYTHON FOLDER
set -eu
python=$1 venv=$2 list=setup/oldest.txt
[ -f "$venv/.made" ] && [ "$(cksum <"$list")" = "$(cat "$venv/.made")" ] && exit 0
log=$(mktemp)
{ "$python" -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r "$list"; } >"$log" 2>&1 || {
    printf '%s\n' "eucabox: pip failed, $(grep -i '^ERROR' "$log" | tail -n 1); the rest is in $log" >&2
    exit 1
}
rm -f "$log"
cksum <"$list" >"$venv/.made"
