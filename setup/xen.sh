#!/bin/sh
# Builds a Xen host for tests from Debian's packages: hypervisor, kernel, ramdisk and disk of a dom0
# with libvirt, and with what eucabox needs. Nothing on this host is changed, nothing is shipped.
#   xen.sh CACHE    leave xen, vmlinuz, initrd.img, dom0.qcow2 and key in the folder CACHE
set -eu
cache=$1
suite=bookworm
packages="systemd systemd-sysv udev openssh-server isc-dhcp-client ifupdown netbase iproute2 dbus
kmod procps nftables dnsmasq-base e2fsprogs busybox-static
linux-image-amd64 xen-hypervisor-4.17-amd64 xen-system-amd64 xen-utils-4.17 xen-utils-common
xenstore-utils qemu-system-xen qemu-utils
libvirt-daemon-system libvirt-daemon-driver-xen libvirt-clients python3-libvirt
python3-flask python3-cheroot python3-boto3 python3-cryptography python3-click python3-defusedxml
python3-crc32c python3-crcmod python3-pycdlib python3-jwt python3-prometheus-client python3-pyotp
python3-segno python3-wsproto python3-xxhash sqlite-utils python3-pip"

fail() { printf 'eucabox: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "run as root: the disk's files are root's"
for program in mmdebstrap qemu-img mke2fs ssh-keygen; do
    command -v "$program" >/dev/null || fail "$program is missing: apt-get install mmdebstrap qemu-utils e2fsprogs openssh-client"
done
umask 077
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
made=$(sha256sum "$0" | cut -d ' ' -f 1)
[ "$(cat "$cache/made" 2>/dev/null)" = "$made" ] && exit 0

rm -f "$cache/made" "$cache/dom0.qcow2" "$cache/ready"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
tree=$work/tree
log=$cache/build.log
include=$(echo $packages | tr ' ' ,)
mmdebstrap --quiet --mode=root --variant=minbase --include="$include" "$suite" "$tree" >"$log" 2>&1 ||
    fail "mmdebstrap failed, $(grep '^E:' "$log" | tail -n 1); the rest is in $log. Does the mirror answer?"

[ -f "$cache/key" ] || ssh-keygen -q -t ed25519 -N '' -C eucabox-test-xen -f "$cache/key"
install -d -m 700 "$tree/root/.ssh"
install -m 600 "$cache/key.pub" "$tree/root/.ssh/authorized_keys"
echo dom0 >"$tree/etc/hostname"
echo '127.0.0.1 localhost dom0' >"$tree/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$tree/etc/fstab"
printf 'auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n' >"$tree/etc/network/interfaces"
# Under emulation a unit may take a minute to start.
install -d -m 755 "$tree/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=600\n' >"$tree/etc/systemd/system.conf.d/slow.conf"
# The ramdisk needs these alone; with all modules it is five times larger.
printf 'MODULES=list\n' >"$tree/etc/initramfs-tools/conf.d/few-modules"
printf '%s\n' virtio_pci virtio_blk virtio_net ext4 >>"$tree/etc/initramfs-tools/modules"
chroot "$tree" update-initramfs -u >>"$log" 2>&1 || fail "update-initramfs failed; see $log"

gunzip -c "$tree"/boot/xen-4.17-amd64.gz >"$cache/xen"
cp "$tree"/boot/vmlinuz-* "$cache/vmlinuz"
cp "$tree"/boot/initrd.img-* "$cache/initrd.img"
chmod 755 "$tree"
truncate -s 4G "$work/dom0.img"
mke2fs -q -F -t ext4 -d "$tree" "$work/dom0.img" >>"$log" 2>&1 || fail "mke2fs failed; see $log"
qemu-img convert -O qcow2 "$work/dom0.img" "$cache/dom0.qcow2"
echo "$made" >"$cache/made"
