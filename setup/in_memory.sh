#!/bin/sh
# Runs unit tests with their files in memory: in_memory.sh PYTEST [OPTION...]
# Databases that wait for no disk take half the time. Where memory can't hold what an object's
# attributes need, the files lie where temporary ones do.
set -eu
memory=/dev/shm
free=$(df -Pk "$memory" 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ "${free:-0}" -gt 2000000 ] && folder=$(mktemp -d "$memory/eucabox-tests.XXXXXX") &&
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.eucabox", b"1")' "$folder" 2>/dev/null; then
    :
else
    [ -z "${folder:-}" ] || rmdir "$folder"
    folder=$(mktemp -d "${TMPDIR:-/tmp}/eucabox-tests.XXXXXX")
fi
trap 'rm -rf "$folder"' EXIT INT TERM
status=0
TMPDIR=$folder "$@" -n 2 --dist worksteal -q -p no:cacheprovider --basetemp "$folder/pytest" \
    -o tmp_path_retention_policy=failed || status=$?
exit "$status"
