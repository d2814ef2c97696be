#!/bin/sh
# Makes this host ready for eucabox: the distribution's packages that are missing, and libvirtd
# where nothing runs it. Says in one line what it can't do and what to do about it.
#   host.sh packages LIST   install what is missing of packages-LIST.txt
#   host.sh wanted LIST DEBIAN_ARCHITECTURE   print what that list has for it
#   host.sh libvirtd        start libvirtd, and virtlogd, unless they run
set -eu
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "eucabox: $*" >&2; }
fail() { say "$*"; exit 1; }

# The packages of a list that are for this host's architecture.
wanted() {
    sed -e '/^#/d' -e "s/ \[$2\]$//" -e '/ \[[^!]*\]$/d' -e "/ \[!$2\]$/d" -e 's/ \[![^]]*\]$//' "$1"
}

packages() {
    list=$here/packages-$1.txt
    command -v dpkg-query >/dev/null 2>&1 || fail "this is no Debian or Ubuntu; install by hand: $(wanted "$list" "$(uname -m | sed s/aarch64/arm64/)" | tr '\n' ' ')"
    missing=
    for package in $(wanted "$list" "$(dpkg --print-architecture)"); do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    [ "$(id -u)" = 0 ] || fail "run as root, or ask an administrator for: apt-get install$missing"
    say "installing$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of words
    { apt-get update -q && apt-get install -qy --no-install-recommends $missing; } >"$log" 2>&1 ||
        fail "apt-get failed, $(grep '^E:' "$log" | head -n 1); the rest is in $log. Is there a network?"
    rm -f "$log"
}

listens() { [ -S "$1" ] && virsh -q -c qemu:///system uri >/dev/null 2>&1; }

# udev does this where it runs. As long as only root can open the device, libvirt does not believe
# that it has found KVM, and probes QEMU again, for seconds, at every launch.
kvm() {
    [ -c /dev/kvm ] && [ "$(stat -c %G /dev/kvm)" = root ] && getent group kvm >/dev/null || return 0
    chgrp kvm /dev/kvm && chmod 660 /dev/kvm || say "could not give /dev/kvm to the group kvm"
}

libvirtd() {
    [ "$(id -u)" = 0 ] || fail "run as root: real machines need libvirt's system daemon"
    kvm
    listens /run/libvirt/libvirt-sock && { logging; return 0; }
    if [ -d /run/systemd/system ]; then
        systemctl start libvirtd.socket virtlogd.socket || fail "systemctl start libvirtd.socket failed; look at journalctl -u libvirtd"
        return 0
    fi
    logging
    say "starting libvirtd"
    /usr/sbin/libvirtd -d || fail "libvirtd does not start; run /usr/sbin/libvirtd in a terminal to see why"
    tries=0
    until listens /run/libvirt/libvirt-sock; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "libvirtd was started but does not answer; run virsh -c qemu:///system uri"
        sleep 0.1
    done
}

# libvirt hands the serial console to virtlogd, which keeps it in a file.
logging() {
    [ -d /run/systemd/system ] && return 0
    [ -S /run/libvirt/virtlogd-sock ] && ps -C virtlogd -o stat= | grep -qv '^Z' && return 0
    /usr/sbin/virtlogd -d || fail "virtlogd does not start; run /usr/sbin/virtlogd in a terminal to see why"
}

case "${1:-}" in
packages) packages "${2:?which list}" ;;
wanted) wanted "$here/packages-${2:?which list}.txt" "${3:?which architecture}" ;;
libvirtd) libvirtd ;;
*) fail "usage: host.sh packages LIST | wanted LIST DEBIAN_ARCHITECTURE | libvirtd" ;;
esac
