"""Reads DHCP replies and ARP claims from single frames; trusts no length in them."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ETHERNET = 14
IPV4, ARP = 0x0800, 0x0806
UDP = 17
SERVER_PORT, CLIENT_PORT = 67, 68
FRAGMENT = 0x3FFF  # more of them follow, or this is not the first
ARP_BODY = struct.Struct("!HHBBH6s4s6s4s")
ARP_HEAD = (1, IPV4, 6, 4)  # Ethernet and IPv4, with the lengths of their addresses
BOOTP = 240  # bytes before the options
REPLY_HEAD = b"\x02\x01\x06"  # a reply, to an Ethernet address of 6 bytes
COOKIE = b"\x63\x82\x53\x63"
PAD, LEASE_TIME, MESSAGE_TYPE, END = 0, 51, 53, 255
ACK = b"\x05"
UNSAID = 600  # seconds that an address is believed in whose lease says nothing


@dataclass(frozen=True)
class Lease:
    """A DHCP lease: a MAC has an address for so many seconds."""

    mac_address: str
    ip: IPv4Address
    server: IPv4Address
    seconds: int


@dataclass(frozen=True)
class AddressClaim:
    """A host's claim, by ARP, that it has an address."""

    mac_address: str
    ip: IPv4Address


def read(frame: bytes) -> Lease | AddressClaim | None:
    """Return the lease or the claim in an Ethernet frame; None for any other frame."""
    if len(frame) < ETHERNET:
        return None
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == ARP:
        return _claim(frame)
    return _lease(frame[ETHERNET:]) if kind == IPV4 else None


def probe(sender: str, ip: IPv4Address) -> bytes:
    """Return an ARP probe for an address, which claims none (RFC 5227)."""
    mac = bytes.fromhex(sender.replace(":", ""))
    body = ARP_BODY.pack(*ARP_HEAD, 1, mac, bytes(4), bytes(6), ip.packed)
    return b"\xff" * 6 + mac + struct.pack("!H", ARP) + body


def _claim(frame: bytes) -> AddressClaim | None:
    if len(frame) < ETHERNET + ARP_BODY.size:
        return None
    *head, operation, mac, ip, _, _ = ARP_BODY.unpack_from(frame, ETHERNET)
    if tuple(head) != ARP_HEAD or operation not in (1, 2) or frame[6:12] != mac:
        return None
    return AddressClaim(mac.hex(":"), IPv4Address(ip))


def _lease(packet: bytes) -> Lease | None:
    datagram = _datagram(packet)
    if datagram is None or len(datagram) < 8:
        return None
    source, target, length = struct.unpack_from("!HHH", datagram)
    if (source, target) != (SERVER_PORT, CLIENT_PORT) or not 8 <= length <= len(datagram):
        return None
    message = datagram[8:length]
    if not message.startswith(REPLY_HEAD) or message[BOOTP - 4 : BOOTP] != COOKIE:
        return None
    options = _options(message[BOOTP:])
    if options.get(MESSAGE_TYPE) != ACK:
        return None
    given, mac = IPv4Address(message[16:20]), message[28:34].hex(":")
    told = options.get(LEASE_TIME, b"")
    seconds = int.from_bytes(told) if len(told) == 4 else UNSAID
    return Lease(mac, given, IPv4Address(packet[12:16]), seconds)


def _datagram(packet: bytes) -> bytes | None:
    """Return what an IPv4 packet carries, if that is the whole of a UDP datagram."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != UDP:
        return None
    header = (packet[0] & 15) * 4
    total, _, fragment = struct.unpack_from("!HHH", packet, 2)
    if fragment & FRAGMENT or not 20 <= header <= total <= len(packet):
        return None
    return packet[header:total]


def _options(content: bytes) -> dict[int, bytes]:
    """Return DHCP's options by number, as far as their lengths are true; the first of each."""
    options: dict[int, bytes] = {}
    place = 0
    while place + 1 < len(content) and content[place] != END:
        number, length = content[place], content[place + 1]
        if number == PAD:
            place += 1
            continue
        value = content[place + 2 : place + 2 + length]
        if len(value) < length:
            break
        options.setdefault(number, value)
        place += 2 + length
    return options
