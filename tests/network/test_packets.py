from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucabox.network.packets import AddressClaim, Lease, probe, read

MAC = "d0:0d:00:00:00:01"
CHADDR = bytes.fromhex(MAC.replace(":", ""))
GIVEN, SERVER = IPv4Address("192.168.1.50"), IPv4Address("192.168.1.1")
ACK, END = b"\x35\x01\x05", b"\xff"
HOUR = b"\x33\x04\x00\x00\x0e\x10"


def frame(options: bytes = ACK + HOUR + END, message: bytes = b"") -> bytearray:
    """Return a DHCPACK as a server broadcasts it, or with another message."""
    head = b"\x02\x01\x06\x00" + bytes(12) + GIVEN.packed + bytes(8) + CHADDR + bytes(202)
    message = message or head + b"\x63\x82\x53\x63" + options
    datagram = b"\x00\x43\x00\x44" + (8 + len(message)).to_bytes(2) + b"\0\0" + message
    header = b"\x45\0" + (20 + len(datagram)).to_bytes(2) + b"\0\0\0\0\x40\x11\0\0"
    packet = header + SERVER.packed + b"\xff\xff\xff\xff" + datagram
    return bytearray(b"\xff" * 6 + b"\x02\0\0\0\0\x07" + b"\x08\x00" + packet)


def claim(operation: int = 1) -> bytearray:
    made = bytearray(probe(MAC, SERVER))
    made[21] = operation
    made[28:32] = GIVEN.packed
    return made


def test_an_acknowledgement_is_a_lease() -> None:
    assert read(bytes(frame())) == Lease(MAC, GIVEN, SERVER, 3600)
    padded = frame(b"\x00\x00" + ACK + END) + bytes(40)
    assert read(bytes(padded)) == Lease(MAC, GIVEN, SERVER, 600)


def test_a_header_with_options_is_read_past() -> None:
    made = frame()
    made[14] = 0x46
    made[34:34] = bytes(4)
    made[16:18] = (len(made) - 14).to_bytes(2)
    assert read(bytes(made)) == Lease(MAC, GIVEN, SERVER, 3600)


@pytest.mark.parametrize(
    "options",
    [
        b"\x35\x01\x02" + END,  # an offer
        b"\x35\x01\x06" + END,  # a refusal
        b"\x35\x02\x05\x05" + END,
        b"\x35\xff\x05",
        b"\x35",
        END + ACK,
        HOUR + END,
        b"",
        b"\x35\x01\x02" + ACK + END,  # the first counts
    ],
)
def test_other_messages_are_none(options: bytes) -> None:
    assert read(bytes(frame(options))) is None


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        (14, 0x65),  # IPv6
        (14, 0x44),  # a header shorter than a header
        (14, 0x4F),  # one longer than what follows makes sense of
        (16, 0xFF),  # longer than the frame
        (17, 0x00),
        (20, 0x20),  # more fragments follow
        (21, 0x01),  # a later fragment
        (23, 6),  # TCP
        (35, 68),  # from a client's port
        (37, 67),  # to a server
        (38, 0xFF),  # a datagram longer than its packet
        (42, 1),  # a request
        (43, 6),  # not Ethernet
        (44, 16),  # a longer MAC
        (278, 0),  # no DHCP
    ],
)
def test_a_frame_with_one_lie_in_it_is_none(place: int, byte: int) -> None:
    made = frame()
    made[place] = byte
    assert read(bytes(made)) is None


def test_every_cut_is_none() -> None:
    for made in (frame(), claim()):
        for length in range(len(made)):
            assert read(bytes(made[:length])) is None


@pytest.mark.parametrize("operation", [1, 2])
def test_arp_is_a_claim_of_its_sender(operation: int) -> None:
    assert read(bytes(claim(operation))) == AddressClaim(MAC, GIVEN)
    assert read(bytes(claim(operation)) + bytes(18)) == AddressClaim(MAC, GIVEN)


@pytest.mark.parametrize("place", [6, 14, 16, 18, 19, 21])
def test_arp_that_is_not_its_senders_or_no_arp_is_none(place: int) -> None:
    made = claim()
    made[place] += 8
    assert read(bytes(made)) is None


def test_a_probe_claims_nothing() -> None:
    packet = read(probe("02:00:00:00:00:07", GIVEN))
    assert packet == AddressClaim("02:00:00:00:00:07", IPv4Address(0))
    assert len(probe(MAC, GIVEN)) == 42


@given(st.binary(max_size=600))
def test_any_bytes_are_read_without_a_fault(content: bytes) -> None:
    for kind in (b"\x08\x00", b"\x08\x06"):
        read(bytes(12) + kind + content)
    read(content)


@given(st.binary(max_size=80))
def test_any_options_are_read_without_a_fault(options: bytes) -> None:
    read(bytes(frame(options)))


@given(st.integers(0, 300), st.integers(0, 255))
def test_any_changed_byte_makes_no_other_machines_lease(place: int, byte: int) -> None:
    made = frame()
    made[place % len(made)] = byte
    packet = read(bytes(made))
    assert packet is None or isinstance(packet, Lease)
    if packet and place not in range(70, 76):
        assert packet.mac_address == MAC
