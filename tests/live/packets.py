"""Single packets and connections between machines on virtual wires, and whether they arrived."""

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from ipaddress import IPv4Address

from tests.live.wires import Space

PATIENCE = 0.25  # seconds for a packet to cross a wire of this machine
Where = Space | None  # None: this host


def inside(where: Where) -> AbstractContextManager[None]:
    return where.inside() if where else nullcontext()


@contextmanager
def opened(
    where: Where, kind: int, bound: tuple[str, int] | None = None, protocol: int = 0
) -> Iterator[socket.socket]:
    with inside(where):
        made = socket.socket(socket.AF_INET, kind, protocol)
    with made:
        made.settimeout(PATIENCE)
        if bound:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(bound)
        yield made


@contextmanager
def listening(where: Where, port: int, address: str = "") -> Iterator[socket.socket]:
    with opened(where, socket.SOCK_STREAM, (address, port)) as made:
        made.listen()
        yield made


@contextmanager
def connected(
    source: Where, target: Where, address: str, port: int
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection from source to a server on target: its two ends."""
    with listening(target, port) as server, opened(source, socket.SOCK_STREAM) as client:
        client.connect((address, port))
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(PATIENCE)
            yield client, accepted


def connects(source: Where, target: Where, address: str, port: int) -> bool:
    """Whether a TCP connection can be made."""
    try:
        with connected(source, target, address, port):
            return True
    except TimeoutError:
        return False


def connects_to(source: Where, target: Where, named: tuple[str, int], port: int) -> bool:
    """Whether a connection to an address and port reaches a server at another port of target."""
    with listening(target, port), opened(source, socket.SOCK_STREAM) as client:
        try:
            client.connect(named)
        except TimeoutError:
            return False
        return True


def says(sender: socket.socket, receiver: socket.socket, text: bytes = b"hello") -> bool:
    """Whether what one end of a connection sends reaches the other."""
    with contextlib.suppress(TimeoutError):
        sender.send(text)
        return receiver.recv(100) == text
    return False


def arrives(
    source: Where, target: Where, address: str, port: int, size: int = 5, sport: int = 0
) -> bool:
    """Whether a UDP packet arrives; `target` needs no way back."""
    with (
        opened(target, socket.SOCK_DGRAM, ("", port)) as server,
        opened(source, socket.SOCK_DGRAM, ("", sport)) as client,
    ):
        client.sendto(b"x" * size, (address, port))
        with contextlib.suppress(TimeoutError):
            return len(server.recv(65535)) == size
    return False


def answered(source: Where, target: Where, address: str, port: int, size: int = 5) -> bool:
    """Whether a UDP packet is answered by one of the same size."""
    with (
        opened(target, socket.SOCK_DGRAM, ("", port)) as server,
        opened(source, socket.SOCK_DGRAM) as client,
    ):
        client.sendto(b"x" * size, (address, port))
        with contextlib.suppress(TimeoutError):
            data, peer = server.recvfrom(65535)
            server.sendto(data, peer)
            return len(client.recv(65535)) == size
    return False


def pings(source: Where, address: str) -> bool:
    words = [*(("ip", "netns", "exec", source.name) if source else ()), "ping", "-c1", "-W0.25"]
    return not subprocess.run([*words, address], capture_output=True, check=False).returncode


def raw(source: Where, target: Where, address: str, protocol: int) -> bool:
    """Whether a packet of another protocol arrives."""
    with (
        opened(target, socket.SOCK_RAW, protocol=protocol) as server,
        opened(source, socket.SOCK_RAW, protocol=protocol) as client,
    ):
        client.sendto(b"mark", (address, 0))
        with contextlib.suppress(TimeoutError):
            return server.recv(100).endswith(b"mark")
    return False


# --- frames of one's own making -----------------------------------------------------------------


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip(text: str) -> bytes:
    return IPv4Address(text).packed


def udp_frame(
    macs: tuple[str, str], ips: tuple[str, str], ports: tuple[int, int], tag: bytes = b""
) -> bytes:
    """An Ethernet frame with a UDP packet that says `mark`; each pair is source and target."""
    whole = framed(macs, ips, struct.pack("!HHHH", *ports, 12, 0) + b"mark")
    return whole[:12] + tag + whole[12:]


def dhcp_frame(
    macs: tuple[str, str],
    ips: tuple[str, str],
    kind: int,
    client: str,
    *options: bytes,
    ports: tuple[int, int] = (68, 67),
    ciaddr: str = "0.0.0.0",
) -> bytes:
    """A frame with a DHCP message of one kind, as if `client` were the asking machine's MAC."""
    message = b"\x01\x01\x06\x00" + b"mark" + bytes(4) + ip(ciaddr) + bytes(12)
    message += mac(client) + bytes(202) + b"\x63\x82\x53\x63" + bytes([53, 1, kind])
    message += b"".join(options) + b"\xff"
    return framed(macs, ips, struct.pack("!HHHH", *ports, 8 + len(message), 0) + message)


def framed(macs: tuple[str, str], ips: tuple[str, str], udp: bytes, fragment: int = 0) -> bytes:
    """An Ethernet frame with a datagram, or a part of one."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 7, fragment, 64, 17, 0)
    head += ip(ips[0]) + ip(ips[1])
    total = sum(struct.unpack("!10H", head))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum) + head[12:]
    return mac(macs[1]) + mac(macs[0]) + b"\x08\x00" + head + udp


def arp_frame(macs: tuple[str, str], sent: tuple[str, str], asked: str) -> bytes:
    """An ARP reply: `said` are the MAC and address that it announces."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mac(sent[0]) + ip(sent[1])
    return mac(macs[1]) + mac(macs[0]) + b"\x08\x06" + body + mac(macs[1]) + ip(asked)


def seen(source: Where, target: Where, frame: bytes, device: str = "eth0") -> bool:
    """Whether a frame from source's eth0 arrives at target's device, whole."""
    with inside(target):
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with inside(source):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with sniffer, sender:
        sniffer.bind((device, 3))
        sender.bind(("eth0", 0))
        sender.send(frame)
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            sniffer.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if sniffer.recv(2000)[14:][: len(frame) - 14] == frame[14:]:
                    return True
    return False


def soon(look: Callable[[], bool], patience: float = 10) -> bool:
    """Whether something is so within a while."""
    deadline = time.monotonic() + patience
    while not look():
        if time.monotonic() > deadline:
            return False
    return True
