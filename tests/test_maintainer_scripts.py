"""The deb's scripts at removal and purge, run for real where nothing of this host is to be seen.

Its /var/lib, /run, processes and network are hidden, so a purge finds only what a test put there.
"""

import subprocess
from pathlib import Path

import pytest

from eucabox.config import CloudSection, Config, NetworkSection
from eucabox.network import last_settings

DEBIAN = Path(__file__).parent.parent / "packaging" / "debian"
DATA = "/var/lib/eucabox"
BRIDGE = f"""\
ip link add eucabr0 type bridge
ip link set eucabr0 alias 'eucabox {DATA}'
"""
CHROOT = """\
mkdir /run/root
mount -t tmpfs tmpfs /run/root
cd /run/root
for each in usr bin sbin lib lib64; do
    if [ -L "/$each" ]; then cp -a "/$each" .; continue; fi
    mkdir "$each"
    mount --bind "/$each" "$each"
done
mkdir -p proc sys dev var/lib/eucabox
for each in proc sys dev; do mount --rbind "/$each" "$each"; done
cp "$0" script
"""

pytestmark = pytest.mark.slow


def run_in_namespaces(
    tmp_path: Path, script: str, name: str = "postrm"
) -> subprocess.CompletedProcess[str]:
    """Run a shell script whose $0 is a maintainer script, with folders of its own for data."""
    maintainer = tmp_path / name
    maintainer.write_text((DEBIAN / name).read_text().replace("/usr/bin/eucabox", "echo"))
    begin = (
        "mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /run; mount -t sysfs sysfs /sys;"
        " mkdir -p /var/lib/eucabox/instances /run/eucabox\n"
    )
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-euc"]
    return subprocess.run(
        [*argv, begin + script, maintainer],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def purge(tmp_path: Path, before: str, after: str = "") -> tuple[int, str, list[str]]:
    """Return status and output of a purge, and the lines that the script behind it says."""
    script = f"{before}\nset +e\nsh $0 purge 2>&1\necho status $?\n{after}\n"
    done = run_in_namespaces(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    told, _, rest = done.stdout.partition("status ")
    status, *lines = rest.splitlines()
    return int(status), told, lines


def test_a_purge_removes_data_network_and_forwarding(tmp_path: Path) -> None:
    status, told, left = purge(
        tmp_path,
        BRIDGE + "echo 0 >/run/eucabox/ip_forward",
        f"ls -d {DATA} /run/eucabox; ls /sys/class/net",
    )
    assert (status, left) == (0, ["lo"])
    assert "removing the network at eucabr0" in told


@pytest.mark.parametrize(("rule", "forwarding"), [("masquerade", "1"), ("accept", "0")])
def test_a_purge_leaves_forwarding_to_a_network_that_is_translated(
    tmp_path: Path, rule: str, forwarding: str
) -> None:
    rules = (
        "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/run/eucabox/ip_forward\n"
        "nft add table ip nat\n"
        "nft add chain ip nat post '{ type nat hook postrouting priority 100; }'\n"
        f"nft add rule ip nat post ip saddr 192.0.2.0/24 {rule}\n"
    )
    status, _, left = purge(
        tmp_path, rules, "cat /proc/sys/net/ipv4/ip_forward; ls -d /run/euc* || true"
    )
    assert (status, left) == (0, [forwarding])


def test_a_purge_ends_what_the_last_start_made_on_a_bridge_of_the_sites(tmp_path: Path) -> None:
    config = Config(
        cloud=CloudSection(data_dir=tmp_path / "data"), network=NetworkSection(bridge="site0")
    )
    last_settings.write(config)
    before = (
        "ip link add site0 type bridge; ip link add other0 type bridge\n"
        f"cp -r {tmp_path}/data/network {DATA}/network\n"
        "for each in site0 other0; do nft add table ip eucabox-$each; done\n"
        "nft add table bridge eucabox_groups-site0"
    )
    status, told, left = purge(tmp_path, before, "ls /sys/class/net; nft list tables")
    assert (status, left) == (0, ["lo", "other0", "site0", "table ip eucabox-other0"])
    assert "removing the network at site0" in told


def test_a_purge_leaves_the_bridge_of_another_data_directory(tmp_path: Path) -> None:
    other = BRIDGE.replace(DATA, f"{DATA}-demo/data")
    assert purge(tmp_path, other, "ls /sys/class/net")[2] == ["eucabr0", "lo"]


def test_a_purge_in_a_chroot_deletes_its_files_and_leaves_the_hosts_network(tmp_path: Path) -> None:
    inside = f"chroot . sh -c 'sh /script purge && ls -d {DATA} || ls /sys/class/net'"
    done = run_in_namespaces(tmp_path, BRIDGE + CHROOT + inside)
    assert done.stdout.split()[-2:] == ["eucabr0", "lo"], done.stdout + done.stderr
    assert f"deleting {DATA}" in done.stdout


def test_a_purge_empties_a_mounted_data_directory_and_succeeds(tmp_path: Path) -> None:
    status, told, left = purge(
        tmp_path, f"mount -t tmpfs tmpfs {DATA}; touch {DATA}/eucabox.db", f"ls {DATA}"
    )
    assert (status, left) == (0, [])
    assert "the folders that rm names stay" in told


def test_a_purge_leaves_a_file_system_that_is_mounted_in_the_data(tmp_path: Path) -> None:
    status, told, left = purge(
        tmp_path,
        f"cd {DATA}; touch key; mkdir backup; mount -t tmpfs tmpfs backup; touch backup/mine",
        f"find {DATA} -type f",
    )
    assert (status, left) == (0, [f"{DATA}/backup/mine"])
    assert f"{DATA}/backup" in told


def test_a_purge_of_a_link_says_what_stays(tmp_path: Path) -> None:
    linked = f"rm -r {DATA}; mkdir /var/lib/disk; touch /var/lib/disk/db; ln -s disk {DATA}"
    status, told, left = purge(tmp_path, linked, "ls /var/lib /var/lib/disk")
    assert (status, left) == (0, ["/var/lib:", "disk", "", "/var/lib/disk:", "db"])
    assert f"{DATA} is a link: it is deleted, and disk stays" in told


def test_a_purge_deletes_nothing_that_another_eucabox_serves(tmp_path: Path) -> None:
    held = f"mkdir {DATA}/run; flock {DATA}/run/lock sleep 30 & sleep 0.2"
    status, told, left = purge(tmp_path, BRIDGE + held, f"ls -d {DATA}; ls /sys/class/net")
    assert (status, left) == (1, [DATA, "eucabr0", "lo"])
    assert f"nothing in {DATA} is deleted: another eucabox serves it" in told


@pytest.mark.parametrize(
    "use",
    [
        f"sh -c 'sleep 30; :' file={DATA}/instances/i-1/disk.qcow2 &",
        f"sleep 30 <{DATA}/cache/root &",
        f"losetup --find {DATA}/cache/root",
    ],
)
def test_a_purge_deletes_nothing_that_is_in_use_as_a_disk(tmp_path: Path, use: str) -> None:
    status, told, left = purge(
        tmp_path,
        f"{BRIDGE}mkdir {DATA}/cache; truncate -s 1M {DATA}/cache/root; {use}\nsleep 0.2",
        f"losetup -nO NAME -j {DATA}/cache/root | xargs -r losetup -d\n"
        f"ls -d {DATA}; ls /sys/class/net",
    )
    assert (status, left) == (1, [DATA, "eucabr0", "lo"])
    assert "still uses a disk there, and libvirt did not end it" in told


def test_a_purge_ends_no_network_by_a_name_that_is_a_path(tmp_path: Path) -> None:
    script = (
        "sed -n '/^end_bridge/,/^}/p' $0 >/run/part; RUN=/run/eucabox; DATA=/d; . /run/part\n"
        "mkdir /var/lib/mine\n"
    )
    done = run_in_namespaces(
        tmp_path, script + "end_bridge ../../var/lib/mine; ls -d /var/lib/mine"
    )
    assert done.stdout == "/var/lib/mine\n", done.stderr


@pytest.mark.parametrize(("root", "ran"), [(".", ""), ("/", "stop --network\n")])
def test_a_removal_ends_the_network_but_not_of_a_chroots_host(
    tmp_path: Path, root: str, ran: str
) -> None:
    done = run_in_namespaces(tmp_path, f"{CHROOT}chroot {root} sh -s remove <$0", "prerm")
    assert done.stdout == ran, done.stderr


@pytest.mark.parametrize(
    ("call", "state", "told"),
    [
        ("configure ''", "active", "eucabox: the cloud runs."),
        ("configure ''", "inactive", "eucabox: the cloud does not run;"),
        ("configure 1", "active", ""),
        ("configure 1", "failed", "eucabox: the cloud does not run;"),
        ("configure 1", "activating", "eucabox: the cloud does not run;"),  # and is tried again
        ("configure 1", "inactive", ""),  # as an administrator had it
        ("abort-upgrade 1", "failed", ""),
    ],
)
def test_an_installation_says_how_to_go_on_and_an_upgrade_that_it_failed(
    tmp_path: Path, call: str, state: str, told: str
) -> None:
    script = (  # there is no systemd here
        "mkdir -p /run/systemd/system /run/bin; PATH=/run/bin:$PATH\n"
        f"printf '#!/bin/sh\necho {state}; [ {state} = active ]\n' >/run/bin/systemctl\n"
        f"chmod 755 /run/bin/systemctl; sh $0 {call}"
    )
    done = run_in_namespaces(tmp_path, script, "postinst")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(told)
    assert bool(done.stdout) == bool(told)


ROOTS = f"""\
mkdir -p {DATA}/run {DATA}/buckets /run/bin
touch {DATA}/run/lock {DATA}/eucabox.db /var/lib/roots
ln -s /var/lib/roots {DATA}/buckets/link
ln /var/lib/roots {DATA}/buckets/hard
chown nobody {DATA}
PATH=/run/bin:$PATH
printf '#!/bin/sh\n' >/run/bin/systemd-sysusers
chmod 755 /run/bin/*
sed -i 's/^OWNER=.*/OWNER=nobody/' $0
"""  # there is no user eucabox on this host


def take_over(tmp_path: Path, before: str, version: str, after: str = "") -> tuple[str, list[str]]:
    """Return what an installation says over data of root, and which of them are root's then."""
    script = f"{ROOTS}{before}\nsh $0 configure {version}\n{after}\n"
    owned = f"echo ---; find {DATA} -user root; stat -c %U /var/lib/roots"
    done = run_in_namespaces(tmp_path, script + owned, "postinst")
    assert done.returncode == 0, done.stderr
    told, _, left = done.stdout.partition("---\n")
    return told, left.split()


def test_the_first_installation_takes_over_what_a_clone_left(tmp_path: Path) -> None:
    told, left = take_over(tmp_path, "", "''")
    assert f"{DATA} has the data of a eucabox that ran as root" in told
    assert left == [f"{DATA}/buckets/hard", "root"]


def test_the_first_installation_ends_a_clones_dhcp_server_and_no_other(tmp_path: Path) -> None:
    before = BRIDGE + (
        "mkdir /run/eucabox/eucabr0; printf '#!/bin/sh\nsleep 60; :\n' >/run/bin/dnsmasq\n"
        "chmod 755 /run/bin/dnsmasq\n"
        "dnsmasq --dhcp-hostsfile=/run/eucabox/eucabr0/hosts >/run/1 2>&1 & its=$!\n"
        "dnsmasq --dhcp-hostsfile=/run/eucabox/other/hosts >/run/2 2>&1 & other=$!\n"
        "sleep 0.3"
    )
    after = "sleep 0.3; kill -0 $other; ! kill -0 $its 2>/dev/null; ! ls /run/eucabox/eucabr0"
    assert "ran as root" in take_over(tmp_path, before, "''", after)[0]


@pytest.mark.parametrize(
    ("before", "version", "told"),
    [
        ("", "1", "has files of root, with which the service may not start. To give them to its"),
        (
            f"flock {DATA}/run/lock sleep 60 & sleep 0.3",
            "''",
            "a eucabox that runs as root, such as",
        ),
    ],
)
def test_what_is_not_safely_taken_over_is_told(
    tmp_path: Path, before: str, version: str, told: str
) -> None:
    said, left = take_over(tmp_path, before, version)
    assert told in said
    assert "sudo chown -R -h nobody /var/lib/eucabox; sudo systemctl restart eucabox" in said
    assert f"{DATA}/eucabox.db" in left


@pytest.mark.parametrize(
    "call", ["upgrade 2", "failed-upgrade 1 2", "deconfigure in-favour other 1"]
)
def test_every_call_but_a_removal_leaves_the_network(tmp_path: Path, call: str) -> None:
    done = run_in_namespaces(tmp_path, f"sh $0 {call}", "prerm")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_purge_is_not_kept_by_a_console_that_is_still_open(tmp_path: Path) -> None:
    opened = f"mkdir {DATA}/instances/i-1; sleep 30 >{DATA}/instances/i-1/console.log & sleep 0.2"
    status, _, left = purge(tmp_path, opened, f"ls -d {DATA} || true")
    assert (status, left) == (0, [])


@pytest.mark.parametrize(
    "call",
    [
        "remove",
        "upgrade 1",
        "failed-upgrade 1",
        "abort-install",
        "abort-upgrade 1",
        "disappear o 1",
    ],
)
def test_every_call_but_a_purge_touches_nothing(tmp_path: Path, call: str) -> None:
    done = run_in_namespaces(tmp_path, f"{BRIDGE}sh $0 {call}; ls -d {DATA}; ls /sys/class/net")
    assert (done.returncode, done.stdout.split()) == (0, [DATA, "eucabr0", "lo"]), done.stderr
