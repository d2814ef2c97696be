#!/bin/sh
# Makes the virtual environment that ceph/s3-tests runs in: s3_tests.sh PYTHON FOLDER
set -eu
python=$1 venv=$2 list=setup/s3_tests.txt
wanted=$(cat "$list" setup/s3_tests.sh | cksum)
[ -f "$venv/.made" ] && [ "$wanted" = "$(cat "$venv/.made")" ] && exit 0
log=$(mktemp)
printf '%s\n' "eucabox: filling $venv with what s3-tests needs" >&2
{ "$python" -m venv --clear "$venv" && "$venv/bin/pip" --disable-pip-version-check -q install -r "$list"; } >"$log" 2>&1 || {
    printf '%s\n' "eucabox: no environment, $(grep -i 'ERROR' "$log" | tail -n 1); the rest is in $log. Is there a network?" >&2
    exit 1
}
rm -f "$log"
printf '%s\n' "$wanted" >"$venv/.made"
