#!/bin/sh
# Builds the deb from a clean export of a commit, in a root that has nothing but what the build
# needs, without a network, and has lintian look at HEAD's: deb.sh [FOLDER [COMMIT]]
# The package, its source and what lintian says are left in FOLDER (dist). An earlier commit is not
# judged: nothing can be mended there, and lintian learns new things to ask.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-dist}"
out=$(cd "${1:-dist}" && pwd) commit=${2:-HEAD}

say() { printf '%s\n' "eucabox: $*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || fail "run as root: the build has a root file system of its own"
[ "$commit" != HEAD ] || git diff --quiet HEAD -- || say "what is not committed is not in the package"
tar=$(setup/roots.sh bookworm-build)
work=$(mktemp -d /var/tmp/eucabox-deb.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT INT TERM
mkdir -p "$work/root" "$work/build/eucabox"
tar -xf "$tar" -C "$work/root"
git archive "$commit" | tar -x -C "$work/build/eucabox"
mv "$work/build/eucabox/packaging/debian" "$work/build/eucabox/debian"

# Mounts, processes and the network are the build's own and end with it.
enter() {
    unshare --mount --net --pid --fork -- sh -euc '
        mount --make-rprivate /
        mount -t proc proc "$1/root/proc"
        mount --bind "$1/build" "$1/root/srv"
        shift
        exec chroot "$0" "$@"' "$work/root" "$work" env -i -C /srv/eucabox LC_ALL=C.UTF-8 HOME=/tmp \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin DEB_BUILD_OPTIONS=noautodbgsym "$@" </dev/null
}

log=$out/eucabox-deb.log
enter dpkg-buildpackage -us -uc >"$log" 2>&1 || fail "the build failed, $(grep -E '(E|rror)[:!]' "$log" | tail -n 1); the rest is in $log"
# Its exit status counts tags that it does not print, so its output decides.
if [ "$commit" = HEAD ]; then
    lintian=$out/eucabox-deb.lintian
    enter sh -c 'lintian --allow-root -EI --pedantic ../*.changes' >"$lintian" 2>&1 || true
    [ ! -s "$lintian" ] || { cat "$lintian" >&2; fail "lintian has something to say of the package"; }
fi
rm -f "$out"/eucabox_*
find "$work/build" -maxdepth 1 -type f -exec cp {} "$out/" \;
ls "$out"/eucabox_*.deb
