"""The deb's way through a machine: installed, used by a client, upgraded, removed and purged.

Each test goes on where the one before it left the machine.
"""

import base64
import re
import socket
import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.live import guests
from tests.packages.debs import NEW_LINE
from tests.packages.journey import DATA, DEMO_GUEST, PACKAGES, Journey, look_around

THREE_CAPABILITIES = "0000000000003400"  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW
MOST_EXPOSED = 23  # tenths, by systemd-analyze security
CONF = "/etc/eucabox/eucabox.conf"
DROP_INS = "/etc/eucabox/eucabox.conf.d"
USER_DATA = "#!/bin/sh\necho ran > /run/user-data\n"


def test_apt_installs_it_and_the_cloud_runs(journey: Journey) -> None:
    told = journey.install()
    assert "eucabox: the cloud runs. `sudo eucabox demo` shows it at work" in told
    shell = journey.machine.shell
    assert shell("systemctl is-active eucabox.service").strip() == "active"
    assert shell("systemctl is-enabled eucabox.service").strip() == "enabled"
    findings = shell("eucabox doctor")
    assert "FAIL" not in findings
    assert shell("eucabox --version").strip().endswith("0.1.0")


def test_the_manual_and_the_completion_are_installed(journey: Journey) -> None:
    for file in ("man1/eucabox.1.gz", "man1/eucabox-serve.1.gz", "man5/eucabox.conf.5.gz"):
        assert journey.machine.file(f"/usr/share/man/{file}").exists(), file
    for file in (
        "bash-completion/completions/eucabox",
        "zsh/vendor-completions/_eucabox",
        "fish/vendor_completions.d/eucabox.fish",
    ):
        assert journey.machine.file(f"/usr/share/{file}").exists(), file


def test_the_service_has_three_capabilities_and_a_sandbox(journey: Journey) -> None:
    status = journey.machine.shell(f"cat /proc/{journey.show('MainPID')}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    user = journey.machine.shell("id -u eucabox").strip()
    assert set(facts["Uid"].split()) == {user} != {"0"}
    assert facts["CapEff"] == facts["CapBnd"] == THREE_CAPABILITIES
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    journey.machine.shell(f"systemd-analyze security --threshold={MOST_EXPOSED} eucabox.service")


def test_roots_commands_leave_no_file_of_root(journey: Journey) -> None:
    journey.machine.shell(
        f"cd {DROP_INS}; cd /srv; eucabox credentials --out /root/admin; eucabox status;"
        " eucabox user create alice; eucabox user list; eucabox bucket list; eucabox report;"
        " eucabox config check"
    )
    assert journey.machine.shell(f"find {DATA} /run/eucabox -user root") == ""


def test_https_passes_the_strict_checks_of_newer_pythons(journey: Journey) -> None:
    context = ssl.create_default_context(cafile=journey.machine.file("/root/admin/ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        journey.machine.network(),
        socket.create_connection(("127.0.0.1", 8443), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.version() in ("TLSv1.2", "TLSv1.3")


def test_a_reload_takes_over_a_drop_in(journey: Journey) -> None:
    drop_in = journey.machine.file(f"{DROP_INS}/50-site.conf")
    drop_in.write_text("[node]\nstop_keeps_disk = yes\n")
    before = journey.show("MainPID")
    journey.machine.shell("systemctl reload eucabox.service")
    assert journey.show("MainPID") == before
    assert f"{drop_in.name}" in journey.machine.shell("eucabox config check")


def test_a_guest_of_an_installed_image_lets_a_client_in(journey: Journey) -> None:
    told = journey.machine.shell(
        f". /root/admin/eucarc; cd {PACKAGES}/guest; eucabox image install root-tiny.img"
        " --bucket images --kernel vmlinuz-tiny --ramdisk initrd-tiny"
    )
    journey.images["installed"] = told.strip().splitlines()[-1]
    with journey.machine.network():
        ec2 = journey.ec2()
        guests.key_pair(ec2, journey.key.parent, "k")
        row = guests.run(ec2, journey.images["installed"], KeyName="k", UserData=USER_DATA)
        journey.instance_id, journey.address = row["InstanceId"], row["PrivateIpAddress"]
        assert ssh(journey, "until [ -e /run/user-data ]; do sleep 0.2; done; cat /run/user-data")
        asked = "wget -q -O - http://169.254.169.254/latest/meta-data/instance-id"
        assert ssh(journey, asked) == journey.instance_id
        assert "END SSH HOST KEY" in guests.console(ec2, journey.instance_id)
        picture = ec2.get_console_screenshot(InstanceId=journey.instance_id)["ImageData"]
        assert len(base64.b64decode(picture)) > 1000


def ssh(journey: Journey, command: str) -> str:
    """What a command of the guest says; the caller is on the machine's network."""
    return guests.said_over_ssh(journey.address, journey.key, command).strip()


def test_an_image_is_made_of_the_guest_while_it_runs_and_while_it_rests(journey: Journey) -> None:
    with journey.machine.network():
        ec2 = journey.ec2()
        ssh(journey, "echo kept > /root/kept; sync")
        for name, no_reboot in (("running", True), ("rested", False)):
            made = ec2.create_image(InstanceId=journey.instance_id, Name=name, NoReboot=no_reboot)
            journey.images[name] = made["ImageId"]
            guests.until(lambda: is_available(ec2, made["ImageId"]), f"image {name}")  # noqa: B023
        assert ssh(journey, "cat /root/kept") == "kept"


def is_available(ec2: Any, image_id: str) -> bool:
    (row,) = ec2.describe_images(ImageIds=[image_id])["Images"]
    assert row["State"] in ("pending", "available"), row
    return bool(row["State"] == "available")


def test_a_stopped_guest_starts_with_its_disk(journey: Journey) -> None:
    with journey.machine.network():
        ec2 = journey.ec2()
        ec2.stop_instances(InstanceIds=[journey.instance_id])
        guests.wait_for(ec2, journey.instance_id, "stopped")
        ec2.start_instances(InstanceIds=[journey.instance_id])
        guests.wait_for(ec2, journey.instance_id, "running")
        assert ssh(journey, "cat /root/kept") == "kept"


def test_apparmor_would_let_the_guest_have_its_disks(journey: Journey) -> None:
    """There may be no AppArmor here; what its profile would be is said all the same."""
    profile = journey.machine.shell(
        f"virsh -c qemu:///system dumpxml {journey.instance_id} > /tmp/domain.xml;"
        f" uuid=$(virsh -c qemu:///system domuuid {journey.instance_id});"
        " /usr/lib/libvirt/virt-aa-helper --dryrun -c -u libvirt-$uuid < /tmp/domain.xml 2>&1"
    )
    found = re.findall(r'^ *"([^"]+)" (\w+),$', profile, re.MULTILINE)  # not what it denies
    rules = {path: mode for path, mode in found if path.startswith(DATA)}
    disk = f"{DATA}/instances/{journey.instance_id}/disk.qcow2"
    assert "w" in rules.pop(disk, ""), profile
    files = Counter("cache" if path.startswith(f"{DATA}/cache/") else path for path in rules)
    assert files["cache"] == 3, profile  # kernel, ramdisk, and what the disk rests on
    assert all("w" not in mode for path, mode in rules.items() if "/cache/" in path), profile


def test_guest_and_dnsmasq_outlive_a_restart(journey: Journey) -> None:
    before, service = journey.list_pids(), journey.show("MainPID")
    journey.machine.shell("systemctl restart eucabox.service")
    assert journey.show("MainPID") != service
    assert journey.list_pids() == before
    with journey.machine.network():
        assert ssh(journey, "cat /root/kept") == "kept"


def test_an_upgrade_restarts_once_and_keeps_guests_and_edited_files(journey: Journey) -> None:
    conf = journey.machine.file(CONF)
    edited = conf.read_text().replace("#console_kb = 64", "console_kb = 65")
    conf.write_text(edited)
    before, starts = journey.list_pids(), journey.count_starts()
    journey.install("later.deb")
    assert journey.count_starts() == starts + 1
    assert journey.list_pids() == before
    assert conf.read_text() == edited
    offered = conf.with_name("eucabox.conf.dpkg-dist").read_text()
    assert offered.endswith(NEW_LINE)
    with journey.machine.network():
        guests.wait_for(journey.ec2(), journey.instance_id, "running")
        assert ssh(journey, "cat /root/kept") == "kept"
    assert journey.machine.shell("journalctl -b -q -o cat -u eucabox -p err") == ""


def test_an_older_program_takes_the_same_data_back(journey: Journey) -> None:
    before, starts = journey.list_pids(), journey.count_starts()
    told = journey.apt("install", "--allow-downgrades", f"{PACKAGES}/eucabox.deb")
    assert "downgrad" in told
    assert journey.count_starts() == starts + 1
    assert journey.list_pids() == before
    assert "console_kb = 65" in journey.machine.file(CONF).read_text()


def test_a_wrong_configuration_is_refused_at_once(journey: Journey) -> None:
    wrong = journey.machine.file(f"{DROP_INS}/99-wrong.conf")
    wrong.write_text("[api]\nport = none\n")
    machine = journey.machine
    reload = machine.enter("systemctl", "reload", "eucabox.service", check=False)
    assert reload.returncode != 0
    assert journey.show("ActiveState") == "active"
    restart = machine.enter("systemctl", "restart", "eucabox.service", check=False)
    assert restart.returncode != 0
    time.sleep(3)  # longer than RestartSec: a loop would show
    assert [journey.show(each) for each in ("ActiveState", "ExecMainStatus", "NRestarts")] == [
        "failed", "78", "0",
    ]  # fmt: skip
    said = machine.shell("journalctl -b -q -o cat -u eucabox -n 20")
    assert "99-wrong.conf: [api] port: 'none' must be a whole number" in said
    wrong.unlink()
    machine.shell("systemctl reset-failed eucabox.service; systemctl start eucabox.service")
    with machine.network():
        guests.wait_for(journey.ec2(), journey.instance_id, "running")
        assert ssh(journey, "cat /root/kept") == "kept"


def test_the_packages_own_test_runs_the_demo_on_the_service(journey: Journey) -> None:
    script = Path(__file__).parents[2] / "packaging" / "debian" / "tests" / "main-job"
    journey.machine.file("/srv/main-job").write_bytes(script.read_bytes())
    journey.machine.shell(
        f"mkdir -p {DEMO_GUEST}; cp -a {PACKAGES}/guest/. {DEMO_GUEST}/; sh /srv/main-job 2>&1"
    )
    assert not journey.machine.file(DEMO_GUEST).parent.exists()
    assert "eucabox-demo" not in journey.machine.shell("eucabox bucket list")
    with journey.machine.network():
        names = [each["Name"] for each in journey.ec2().describe_images()["Images"]]
        keys = [each["KeyName"] for each in journey.ec2().describe_key_pairs()["KeyPairs"]]
    assert {"running", "rested"} <= set(names)
    assert not [name for name in names if name.startswith("eucabox-demo")]
    assert keys == ["k"]
    assert journey.machine.shell(f"find {DATA} /run/eucabox -user root") == ""


def test_a_removal_with_a_guest_names_it_and_keeps_it(journey: Journey) -> None:
    before = journey.list_pids()
    told = journey.apt("remove", "eucabox")
    assert f"These instances run on, and their network stays: {journey.instance_id}." in told
    assert f"`sudo virsh shutdown {journey.instance_id}`" in told
    assert journey.list_pids() == before
    with journey.machine.network():
        assert ssh(journey, "cat /root/kept") == "kept"
    assert journey.machine.file(f"{DATA}/eucabox.db").exists()


def test_a_purge_deletes_nothing_while_a_guest_runs_that_it_cannot_end(journey: Journey) -> None:
    units = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
    journey.machine.shell(f"systemctl stop {units}")
    told = journey.apt("purge", "eucabox", check=False)
    assert f"nothing in {DATA} is deleted: process {journey.qemu} still uses a disk" in told
    assert journey.machine.file(f"{DATA}/eucabox.db").exists()
    with journey.machine.network():
        assert ssh(journey, "cat /root/kept") == "kept"
    journey.machine.shell("systemctl start libvirtd.socket")


def test_a_purge_says_what_it_deletes_and_leaves_the_user_alone(journey: Journey) -> None:
    journey.machine.file(DEMO_GUEST).mkdir(parents=True)  # as a demo that nobody ended keeps
    told = journey.apt("purge", "eucabox")
    assert f"eucabox: ending the instance {journey.instance_id}" in told
    assert "eucabox: removing the network at eucabr0" in told
    assert f"eucabox: deleting {DATA}, " in told
    assert look_around(journey.machine) == journey.before
    assert journey.machine.shell("getent passwd eucabox").startswith("eucabox:")


def test_a_removal_without_guests_ends_the_network_and_keeps_the_data(journey: Journey) -> None:
    journey.install()
    assert journey.dnsmasq.isdigit()
    told = journey.apt("remove", "eucabox")
    assert "Its network is removed." in told
    after = look_around(journey.machine)
    for what in ("devices", "addresses", "tables", "domains", "forwarding", "dnsmasq"):
        assert after[what] == journey.before[what], what
    assert journey.machine.file(f"{DATA}/eucabox.db").exists()
    assert journey.machine.file(CONF).exists()
    assert not journey.machine.file("/usr/lib/python3/dist-packages/eucabox").exists()
    journey.apt("purge", "eucabox")
    assert look_around(journey.machine) == journey.before
