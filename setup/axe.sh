#!/bin/sh
# Fetches axe-core, which looks for what keeps people from using a page: axe.sh FOLDER
# It is under the MPL: it runs in the tests' browser, and is not shipped.
set -eu
folder=$1 wanted=axe-core@4.14.1
[ -f "$folder/.made" ] && [ "$wanted" = "$(cat "$folder/.made")" ] && exit 0
command -v npm >/dev/null || { printf '%s\n' "eucabox: npm is missing: setup/host.sh packages policies" >&2; exit 1; }
log=$(mktemp)
printf '%s\n' "eucabox: filling $folder with $wanted" >&2
mkdir -p "$folder"
npm pack --silent --pack-destination "$folder" "$wanted" >"$log" 2>&1 || {
    printf '%s\n' "eucabox: npm failed, $(grep -i 'ERR' "$log" | head -n 1); the rest is in $log. Is there a network?" >&2
    exit 1
}
tar -xzf "$folder"/axe-core-*.tgz -C "$folder" --strip-components 1 package/axe.min.js package/LICENSE
rm -f "$log" "$folder"/axe-core-*.tgz
printf '%s\n' "$wanted" >"$folder/.made"
