#!/bin/sh
# Makes or brings up to date the virtual environment: venv.sh PYTHON FOLDER run|test
# It does not see the packages that apt or pip put on the host. From the distribution it takes only
# libvirt's binding, which must fit the installed libvirt, and what pip would have to compile.
set -eu
python=$1 venv=$2 what=$3
stamp=$venv/.made-for-$what
version=$("$python" -c 'import sys; print("%d.%d." % sys.version_info[:2])' 2>/dev/null || true)
wanted=$({ cat setup.cfg setup.py eucabox/store/_crc64.c setup/venv.sh; echo "$version"; } | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

fail() { printf '%s\n' "eucabox: $*" >&2; exit 1; }
log=$(mktemp)

# A link for each file of a package, so that pip and Python take it for the environment's own.
link() {
    found=$("$python" -c "import os, $1; print(os.path.abspath($1.__file__))" 2>/dev/null) || return 1
    found=${found%/__init__.py}
    for file in "${found%/*}/$1"*; do
        ln -sfn "$file" "$packages/"
    done
}

[ -x "$python" ] || fail "$python is not there; set PYTHON3 to the distribution's Python 3.11 or later"
# It is made anew if it sees the host's packages (an older eucabox's did) or is of another Python.
if ! grep -q '^include-system-site-packages = false' "$venv/pyvenv.cfg" 2>/dev/null ||
    ! grep -qF "version = $version" "$venv/pyvenv.cfg"; then
    "$python" -m venv --clear "$venv" >"$log" 2>&1 || fail "no virtual environment: $(tail -n 1 "$log")"
fi
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
link libvirt || fail "Python does not find libvirt's binding: install python3-libvirt and use the distribution's Python"
link crcmod || true
extra=$([ "$what" = test ] && echo '[test]' || true)
printf '%s\n' "eucabox: filling $venv for $what" >&2
"$venv/bin/pip" install -q --disable-pip-version-check -e ".$extra" >"$log" 2>&1 ||
    fail "pip failed, $(grep -i '^ERROR' "$log" | tail -n 1); the rest is in $log. Is there a network?"
"$venv/bin/python" -c 'import libvirt' 2>/dev/null ||
    fail "Python does not find libvirt's binding: install python3-libvirt and use the distribution's Python"
rm -f "$log"
printf '%s\n' "$wanted" >"$stamp"
