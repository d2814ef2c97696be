#!/bin/sh
# Makes the virtual environment of Ansible and its collection amazon.aws: ansible.sh PYTHON FOLDER
# The collection is taken out of the package `ansible`, which is twenty thousand files.
set -eu
python=$1 venv=$2 list=setup/ansible.txt
wanted=$(cat "$list" setup/ansible.sh | cksum)
[ -f "$venv/.made" ] && [ "$wanted" = "$(cat "$venv/.made")" ] && exit 0
work=$(mktemp -d)
log=$work/log

make() {
    "$python" -m venv --clear "$venv" || return 1
    pip="$venv/bin/pip --disable-pip-version-check -q"
    sed '/^ansible>/d' "$list" >"$work/install.txt"
    $pip install -r "$work/install.txt" || return 1
    $pip download --no-deps --only-binary :all: -d "$work" "$(grep '^ansible>' "$list")" || return 1
    "$venv/bin/python" - "$work"/ansible-*.whl <<'END'
import sys, sysconfig, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
wanted = [name for name in wheel.namelist() if name.startswith("ansible_collections/amazon/aws/")]
assert wanted, f"ERROR: {sys.argv[1]} has no collection amazon.aws"
wheel.extractall(sysconfig.get_path("purelib"), wanted)
END
}

printf '%s\n' "eucabox: filling $venv with Ansible" >&2
make >"$log" 2>&1 || {
    printf '%s\n' "eucabox: no Ansible, $(grep -i 'ERROR' "$log" | tail -n 1); the rest is in $log. Is there a network?" >&2
    exit 1
}
rm -rf "$work"
printf '%s\n' "$wanted" >"$venv/.made"
