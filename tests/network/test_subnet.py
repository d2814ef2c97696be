import json
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from eucabox.config import Config
from eucabox.errors import NetworkUnusable
from eucabox.network.subnet import CANDIDATES, choose, subnet
from tests.network.conftest import FakeHost

Configured = Callable[..., Config]
ROUTES = "ip -j -4 route show table all"


def routes(fake: FakeHost, *pairs: tuple[str, str]) -> None:
    found = [{"dst": network, "dev": device} for network, device in pairs]
    fake.answers[ROUTES] = json.dumps(found)


def test_the_first_free_candidate(fake: FakeHost, configured: Configured) -> None:
    routes(fake, ("default", "wlan0"), ("172.30.64.0/23", "docker0"), ("192.168.1.0/24", "wlan0"))
    assert subnet(configured(), "br0") == IPv4Network("172.30.66.0/24")


def test_what_was_chosen_stays(fake: FakeHost, configured: Configured) -> None:
    chosen = subnet(configured(), "br0")
    routes(fake, (str(chosen), "br0"))
    assert subnet(configured(), "br0") == chosen, "its own bridge is no conflict"


def test_a_network_taken_since_then_is_named_where_instances_use_it(
    fake: FakeHost, configured: Configured
) -> None:
    subnet(configured(), "br0")
    routes(fake, ("172.30.0.0/16", "tun0"))
    with pytest.raises(NetworkUnusable) as caught:
        subnet(configured(), "br0")
    for fact in ("172.30.64.0/24", "172.30.0.0/16", "tun0", "[network] subnet"):
        assert fact in caught.value.message


def test_a_network_taken_since_then_is_chosen_anew_where_no_instance_uses_it(
    fake: FakeHost, configured: Configured
) -> None:
    config = configured()
    subnet(config, "br0")
    routes(fake, ("172.30.0.0/16", "tun0"))
    chosen = subnet(config, "br0", in_use=False)
    assert chosen == IPv4Network("192.168.208.0/24")
    assert subnet(config, "br0") == chosen, "it is remembered"
    with pytest.raises(NetworkUnusable, match="tun0"):
        subnet(configured(subnet="172.30.64.0/24"), "br0", in_use=False)


def test_a_vpn_that_takes_every_route_is_no_conflict(
    fake: FakeHost, configured: Configured
) -> None:
    routes(fake, ("0.0.0.0/1", "tun0"), ("128.0.0.0/1", "tun0"))
    assert subnet(configured(), "br0") == CANDIDATES[0]


def test_a_name_server_is_not_hidden(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 172.30.64.53\n")
    assert subnet(configured(), "br0") == CANDIDATES[1]


def test_a_configured_subnet(fake: FakeHost, configured: Configured) -> None:
    routes(fake, ("10.5.0.9", "eth0"))
    assert subnet(configured(subnet="10.6.0.0/16"), "br0") == IPv4Network("10.6.0.0/16")
    with pytest.raises(NetworkUnusable, match=r"overlaps 10.5.0.9/32, which eth0 uses"):
        subnet(configured(subnet="10.5.0.0/24"), "br0")
    with pytest.raises(NetworkUnusable, match="too small"):
        subnet(configured(subnet="10.7.0.0/29"), "br0")


def test_a_host_that_uses_everything() -> None:
    with pytest.raises(NetworkUnusable, match=r"\[network\] subnet"):
        choose(CANDIDATES, [IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"),
                            IPv4Network("10.0.0.0/8")])  # fmt: skip


def test_a_spoilt_memory_is_named(fake: FakeHost, configured: Configured) -> None:
    config = configured()
    subnet(config, "br0")
    memory = config.cloud.data_dir / "network" / "subnet"
    memory.write_text("\x00\x01")
    with pytest.raises(NetworkUnusable, match="Remove the file"):
        subnet(config, "br0")
