"""Other programs that rule this host's packets, the real ones, on a host of the test's own."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from eucabox.network.static import Static
from tests.live.packets import soon
from tests.live.test_network import METADATA, give, metadata, started
from tests.live.wires import Space, command, own_host, space
from tests.rows import add_instance

pytestmark = pytest.mark.long  # installs a small Debian for them, in about a minute

PACKAGES = "ufw,firewalld,docker.io,iptables,nftables,nginx-light,iproute2,dbus,procps"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root") / "root"
    options = ["--variant=minbase", f"--include={PACKAGES}"]
    command("mmdebstrap", *options, "bookworm", str(made), timeout=600)
    return made


@contextmanager
def apart(root: Path) -> Iterator[None]:
    """A host with a network of its own, on which the root's programs can be started."""
    with own_host():
        for name in ("proc", "sys", "dev"):
            command("mount", "--rbind", f"/{name}", str(root / name))
        command("mount", "-t", "tmpfs", "tmpfs", str(root / "run"))
        devices = root / "sys/fs/cgroup/devices"  # or dockerd does not start
        command("mount", "-t", "tmpfs", "tmpfs", str(devices.parent))
        devices.mkdir()
        command("mount", "-t", "cgroup", "-o", "devices", "cgroup", str(devices))
        yield


@contextmanager
def running(root: Path, *argv: str) -> Iterator[None]:
    """A program of the root, ended in the end."""
    with subprocess.Popen(
        ["chroot", str(root), *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def ufw(root: Path) -> Iterator[None]:
    command("chroot", str(root), "ufw", "--force", "enable")
    yield
    command("chroot", str(root), "ufw", "--force", "reset")


@contextmanager
def firewalld(root: Path) -> Iterator[None]:
    (root / "run/dbus").mkdir()
    with (
        running(root, "dbus-daemon", "--system", "--nofork", "--nopidfile"),
        running(root, "firewalld", "--nofork", "--nopid"),
    ):
        assert soon(lambda: "firewalld" in command("nft", "list", "tables"), 30)
        assert soon(lambda: answers(root, "firewall-cmd", "--state"), 30)
        yield


def answers(root: Path, *argv: str) -> bool:
    done = subprocess.run(["chroot", str(root), *argv], capture_output=True, check=False)
    return not done.returncode


@contextmanager
def docker(root: Path) -> Iterator[None]:
    # It drops what it does not know only where forwarding was off before.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    with running(root, "dockerd", "--storage-driver=vfs", "--ip6tables=false"):
        assert soon(lambda: "DOCKER-USER" in command("nft", "list", "ruleset"), 60)
        time.sleep(1)
        yield


def boots(net: Static, folder: Path, row: dict[str, str]) -> bool:
    """Whether a guest gets its address and its metadata."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    (folder / "ca").mkdir()
    with metadata(net, folder) as state, space(folder, net.bridge, row["mac_address"]) as guest:
        mine = add_instance(state, **row)
        got = guest.ask_dhcp()
        return got and guest.get(METADATA + "/latest/meta-data/instance-id") == f"200\n{mine}"


def reaches_out(net: Static, folder: Path, row: dict[str, str]) -> bool:
    """Whether a guest reaches another network through this host."""
    with (
        space(folder, net.bridge, row["mac_address"]) as guest,
        space(folder, None) as outside,
    ):
        command("ip", "addr", "add", "198.51.100.1/24", "dev", port_of(outside))
        outside.run("ip", "addr", "add", "198.51.100.2/24", "dev", "eth0")
        assert guest.ask_dhcp()
        words = ["ip", "netns", "exec", guest.name, "ping", "-c1", "-W1", "198.51.100.2"]
        return not subprocess.run(words, capture_output=True, check=False).returncode


def port_of(outside: Space) -> str:
    return (outside.folder / outside.name).read_text()


@pytest.mark.parametrize("program", [ufw, firewalld], ids=["ufw", "firewalld"])
def test_a_firewall_that_shuts_guests_in_is_named_with_what_to_type(
    root: Path, tmp_path: Path, program: object
) -> None:
    with apart(root), started(tmp_path) as net, ExitStack() as stack:
        assert net.hindrance() == ""
        row = give(net)
        assert boots(net, tmp_path, row)
        stack.enter_context(program(root))  # type: ignore[operator]
        assert not boots(net, tmp_path, row)
        to_type = net.hindrance()
        assert net.bridge in to_type
        command("chroot", str(root), "sh", "-c", to_type)
        assert net.hindrance() == ""
        assert net.warnings() == []
        assert boots(net, tmp_path, row)
        assert reaches_out(net, tmp_path, row)


def test_beside_docker_guests_boot_and_what_lets_them_out_is_named(
    root: Path, tmp_path: Path
) -> None:
    with apart(root), docker(root), started(tmp_path) as net:
        row = give(net)
        assert net.hindrance() == ""
        assert boots(net, tmp_path, row)
        assert not reaches_out(net, tmp_path, row)
        (warning,) = net.warnings()
        to_type = warning.partition("Type: ")[2]
        assert "DOCKER-USER" in to_type
        command("chroot", str(root), "sh", "-c", to_type)
        assert net.warnings() == []
        assert reaches_out(net, tmp_path, row)


def test_a_web_server_has_port_80_and_guests_have_their_metadata(
    root: Path, tmp_path: Path
) -> None:
    with apart(root), running(root, "nginx", "-g", "daemon off;"):
        assert soon(lambda: ":80 " in command("ss", "-ltn"), 10)
        with started(tmp_path) as net:
            row = give(net)
            assert boots(net, tmp_path, row)
            page = command("curl", "-s", "http://127.0.0.1/")
            assert "nginx" in page
