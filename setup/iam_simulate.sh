#!/bin/sh
# Fetches the evaluator that ours is compared with: iam_simulate.sh FOLDER
# It is under the AGPL: it is run beside our tests, and neither shipped nor linked with eucabox.
set -eu
folder=$1 wanted=@cloud-copilot/iam-simulate@0.1.173
[ -f "$folder/.made" ] && [ "$wanted" = "$(cat "$folder/.made")" ] && exit 0
log=$(mktemp)
printf '%s\n' "eucabox: filling $folder with $wanted" >&2
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund "$wanted" >"$log" 2>&1 || {
    printf '%s\n' "eucabox: npm failed, $(grep -i 'ERR' "$log" | head -n 1); the rest is in $log. Is there a network?" >&2
    exit 1
}
rm -f "$log"
printf '%s\n' "$wanted" >"$folder/.made"
