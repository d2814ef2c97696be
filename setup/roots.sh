#!/bin/sh
# Makes the root of a distribution in which the packages are tried, and keeps it as a tar:
#   roots.sh NAME [SECONDS]   prints the tar's path; gives up after SECONDS (900)
# NAME is a suite, such as bookworm, or bookworm-build for the root in which the deb is built. Of
# Ubuntu it is noble; its archive's keys come from Debian 13, as Debian 12 has no package of them.
# The tar is made again when the list of packages changes. Exit 75 says that it could not be had:
# no network, no room, no time; that is no fault of eucabox.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=${1:?which root, such as bookworm} limit=${2:-900}
suite=${name%-build}
list=$here/packages-$([ "$name" = "$suite" ] && echo root || echo build).txt
roots=${EUCABOX_ROOTS:-/var/tmp/eucabox-roots}
ubuntu=http://archive.ubuntu.com/ubuntu keyring=usr/share/keyrings/ubuntu-archive-keyring.gpg
tar=$roots/$name.tar key=$roots/$name.key log=$roots/$name.log
packages=$(grep -v '^#' "$list" | paste -sd,)
wanted=$(printf '%s\n' "$suite" "$packages" | cksum)

fresh() { [ -f "$tar" ] && [ -f "$key" ] && [ "$(cat "$key")" = "$wanted" ]; }
cannot() { printf '%s\n' "eucabox: $*" >&2; exit 75; }

# Prints the file of Ubuntu's keys: the host's, or what is extracted of Debian 13's package.
find_keyring() {
    [ -f "/$keyring" ] && { printf '%s\n' "/$keyring"; return 0; }
    [ -f "$roots/ubuntu/$keyring" ] ||
        timeout "$limit" mmdebstrap --quiet --variant=extract --include=ubuntu-keyring trixie "$roots/ubuntu" >"$log" 2>&1 9>&- ||
        { rm -rf "$roots/ubuntu"; return 1; }
    printf '%s\n' "$roots/ubuntu/$keyring"
}

# Makes the tar; what is missing is told in the log.
make_tar() {
    set -- --quiet --variant=minbase --format=tar --include="$packages" "$suite" "$tar.new"
    if [ "$suite" = noble ]; then
        keys=$(find_keyring) || return 1
        set -- --keyring="$keys" --components=main,universe "$@" "$ubuntu"
    fi
    timeout "$limit" mmdebstrap "$@" >"$log" 2>&1 9>&-
}

mkdir -p "$roots"
# It is in a folder of everybody's, and what is in it boots as root.
if [ -L "$roots" ] || ! [ -O "$roots" ]; then
    printf '%s\n' "eucabox: $roots is another user's; remove it, or set EUCABOX_ROOTS to a folder of your own" >&2
    exit 1
fi
exec 9>"$roots/$name.lock"
flock -w "$limit" 9 || cannot "another is still making the root $name after $limit s"
fresh && { printf '%s\n' "$tar"; exit 0; }
command -v mmdebstrap >/dev/null 2>&1 || cannot "there is no mmdebstrap to make the root $name with"
printf '%s\n' "eucabox: making the root $name in $tar, for some minutes" >&2
rm -f "$key"
make_tar ||
    { rm -f "$tar.new"; cannot "no root $name, $(grep -E '^E: ' "$log" | head -n 1); the rest is in $log"; }
mv "$tar.new" "$tar"
printf '%s\n' "$wanted" >"$key"
printf '%s\n' "$tar"
