"""What the kernel tells of changes: whose they are, how often it is passed on, what is lost."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from eucabox.network import nft_events
from eucabox.network.nft_events import DEL_LINK, HEAD, LINK_NAME, NEW_LINK, TABLE_NAME, Events

TABLE_GONE, RULE_GONE, RULE_NEW = 10 << 8 | 2, 10 << 8 | 8, 10 << 8 | 6


def message(kind: int, name: str) -> bytes:
    """Write a message of the kernel that names a table or a device."""
    is_link = kind in (NEW_LINK, DEL_LINK)
    value = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), LINK_NAME if is_link else TABLE_NAME) + value
    body = bytes(16 if is_link else 4) + attribute
    whole = HEAD.pack(HEAD.size + len(body), kind, 0, 0, 0) + body
    return whole + bytes(-len(whole) % 4)


class Kernel:
    """Two sockets on which the kernel would tell, and what reached the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[set[str]] = []
        self.heard = threading.Event()
        self.rules, rules = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.links, links = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ears = {nft_events.NETFILTER: rules, socket.NETLINK_ROUTE: links}
        for each in ears.values():
            each.setblocking(False)
        monkeypatch.setattr(nft_events, "listen", lambda protocol, _: ears[protocol])
        self.events = Events(lambda name: name.startswith("eu"), self.hear)
        self.events.open()

    def hear(self, changed: set[str]) -> None:
        self.told.append(changed)
        self.heard.set()

    def close(self) -> None:
        self.events.close()
        self.rules.close()
        self.links.close()


@pytest.fixture(name="kernel")
def _kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel(monkeypatch)
    yield kernel
    kernel.close()


def test_many_changes_at_once_are_told_once_with_their_names(kernel: Kernel) -> None:
    kernel.links.send(message(NEW_LINK, "eutap1") + message(NEW_LINK, "eth0"))
    kernel.links.send(message(DEL_LINK, "eutap2"))
    kernel.rules.send(message(RULE_GONE, "eucabox-br0"))
    assert kernel.heard.wait(5)
    kernel.events.close()
    assert kernel.told == [{"eutap1", "eutap2", "eucabox-br0"}]


def test_changes_of_others_and_new_rules_are_not_told(kernel: Kernel) -> None:
    kernel.links.send(message(NEW_LINK, "docker0"))
    kernel.rules.send(message(TABLE_GONE, "firewalld") + message(RULE_NEW, "eucabox-br0"))
    kernel.links.send(message(NEW_LINK, "eutap1"))
    assert kernel.heard.wait(5)
    kernel.events.close()
    assert kernel.told == [{"eutap1"}]


def test_where_events_were_lost_anything_may_have_changed(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, full = socket.socket.recv, [OSError(105, "No buffer space available")]

    def recv(ear: socket.socket, *given: int) -> bytes:
        if full and ear.type == socket.SOCK_DGRAM:
            raise full.pop()
        return receive(ear, *given)

    monkeypatch.setattr(socket.socket, "recv", recv, raising=False)
    kernel.links.send(message(NEW_LINK, "docker0"))
    assert kernel.heard.wait(5)
    kernel.events.close()
    assert kernel.told == [set()]


def test_a_fault_does_not_end_it(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft_events, "PAUSE", 0.01)
    faults = [RuntimeError("no rules today")]

    def hear(changed: set[str]) -> None:
        if faults:
            raise faults.pop()
        kernel.hear(changed)

    kernel.events._changed = hear
    kernel.links.send(message(NEW_LINK, "eutap1"))
    while faults:
        pass
    kernel.links.send(message(NEW_LINK, "eutap2"))
    assert kernel.heard.wait(5)


def test_what_could_not_be_restored_is_restored_with_the_next_change(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nft_events, "PAUSE", 0.01)
    faults = [RuntimeError("no rules today")]
    failed = threading.Event()

    def hear(changed: set[str]) -> None:
        if faults:
            failed.set()
            raise faults.pop()
        kernel.hear(changed)

    kernel.events._changed = hear
    kernel.rules.send(message(TABLE_GONE, "eucabox-br0"))
    assert failed.wait(5)
    kernel.links.send(message(NEW_LINK, "eutap1"))
    assert kernel.heard.wait(5)
    kernel.events.close()
    assert kernel.told == [set()], "all of it"
