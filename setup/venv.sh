#!/bin/sh
# Makes or brings up to date the virtual environment: venv.sh PYTHON FOLDER run|test
# It sees the distribution's packages, because libvirt's binding must fit the installed libvirt.
set -eu
python=$1 venv=$2 what=$3
stamp=$venv/.made-for-$what
wanted=$(cat setup.cfg setup.py eucabox/store/_crc64.c setup/venv.sh | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

fail() { printf '%s\n' "eucabox: $*" >&2; exit 1; }
log=$(mktemp)
[ -x "$python" ] || fail "$python is not there; set PYTHON3 to the distribution's Python 3.11 or later"
[ -x "$venv/bin/python" ] || "$python" -m venv --system-site-packages "$venv" >"$log" 2>&1 || fail "no virtual environment: $(tail -n 1 "$log")"
extra=$([ "$what" = test ] && echo '[test]' || true)
printf '%s\n' "eucabox: filling $venv for $what" >&2
"$venv/bin/pip" install -q --disable-pip-version-check -e ".$extra" >"$log" 2>&1 ||
    fail "pip failed, $(grep -i '^ERROR' "$log" | tail -n 1); the rest is in $log. Is there a network?"
"$venv/bin/python" -c 'import libvirt' 2>/dev/null ||
    fail "Python does not find libvirt's binding: install python3-libvirt and use the distribution's Python"
rm -f "$log"
printf '%s\n' "$wanted" >"$stamp"
