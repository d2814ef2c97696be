from ipaddress import IPv4Address

import pytest

from eucabox.network import bindings
from eucabox.network.bindings import Book, Known, possible
from eucabox.network.packets import Claim, Lease

A, B, STRANGER = "d0:0d:00:00:00:0a", "d0:0d:00:00:00:0b", "02:00:00:00:00:01"
SERVER = IPv4Address("192.168.1.1")
FIVE, SIX = "192.168.1.5", "192.168.1.6"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("eucabox.network.bindings.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def two(clock: list[float]) -> Book:
    made = Book()
    made.keep({A: Known("tapa", ""), B: Known("tapb", "")})
    return made


def lease(mac: str, ip: str, seconds: int = 3600) -> Lease:
    return Lease(mac, IPv4Address(ip), SERVER, seconds)


def claim(mac: str, ip: str) -> Claim:
    return Claim(mac, IPv4Address(ip))


def addresses(known: Book) -> dict[str, str]:
    return {mac: each.ip for mac, each in known.guests().items()}


def test_a_lease_counts_at_once_and_is_news_once(two: Book) -> None:
    assert two.lease(lease(A, FIVE))
    assert not two.lease(lease(A, FIVE))
    assert not two.lease(lease(STRANGER, SIX))
    assert addresses(two) == {A: FIVE, B: ""}
    assert two.lease(lease(A, SIX))
    assert addresses(two) == {A: SIX, B: ""}


def test_an_address_is_one_guests(two: Book, clock: list[float]) -> None:
    two.lease(lease(A, FIVE))
    assert not two.lease(lease(B, FIVE)), "a server may be fooled by a client identifier"
    assert addresses(two) == {A: FIVE, B: ""}
    clock[0] += 3600
    assert two.lease(lease(B, FIVE))
    assert addresses(two) == {A: "", B: FIVE}


def test_a_claim_waits_for_objections(two: Book, clock: list[float]) -> None:
    assert two.claim(claim(A, FIVE)) == [FIVE]
    assert two.claim(claim(A, SIX)) == [], "one at a time"
    assert two.due() == ([], 1.0)
    clock[0] += 1
    assert two.due() == ([A], None)
    assert addresses(two)[A] == FIVE
    two.claim(claim(B, SIX))
    two.object(claim(STRANGER, SIX))
    clock[0] += 1
    assert two.due() == ([], None)
    assert addresses(two)[B] == ""


def test_a_lease_that_runs_is_stronger_than_a_claim(two: Book, clock: list[float]) -> None:
    two.lease(lease(A, FIVE, 60))
    assert two.claim(claim(A, SIX)) == []
    clock[0] += 61
    assert two.claim(claim(A, SIX)) == [SIX, FIVE]
    clock[0] += 1
    assert two.due() == ([A], None)
    assert addresses(two)[A] == SIX


def test_a_lease_without_an_end_has_none(two: Book, clock: list[float]) -> None:
    two.lease(lease(A, FIVE, 0xFFFFFFFF))
    clock[0] += 86400 * 365
    assert two.claim(claim(A, SIX)) == []


def test_a_row_is_believed_until_the_guest_says_otherwise(clock: list[float]) -> None:
    known = Book()
    known.add(A, Known("tapa", FIVE))
    assert known.claim(claim(A, SIX)) == [SIX, FIVE]
    assert known.claim(claim(A, FIVE)) == [], "it answers at the old one"
    clock[0] += 1
    assert known.due() == ([], None)
    assert known.claim(claim(A, SIX)) == [], "which was seen just now"
    clock[0] += bindings.SEEN
    assert known.claim(claim(A, SIX)) == [SIX, FIVE]


def test_nobody_claims_what_another_guest_has(two: Book, clock: list[float]) -> None:
    two.lease(lease(A, FIVE))
    assert two.claim(claim(B, FIVE)) == []
    assert two.claim(claim(STRANGER, SIX)) == []
    two.claim(claim(B, SIX))
    two.lease(lease(A, SIX))
    clock[0] += 1
    assert two.due() == ([], None)
    assert addresses(two) == {A: SIX, B: ""}


def test_who_stays_keeps_what_was_heard(two: Book) -> None:
    two.lease(lease(A, FIVE))
    two.keep({A: Known("tapa", SIX)})
    assert addresses(two) == {A: FIVE}
    two.drop(A)
    two.drop(A)
    two.add(A, Known("tapa", SIX))
    assert addresses(two) == {A: SIX}


def test_what_could_not_be_told_is_news_again(two: Book) -> None:
    two.lease(lease(A, FIVE))
    two.doubt(A)
    two.doubt(STRANGER)
    assert two.guests()[A] == Known("tapa", "")
    assert two.lease(lease(A, FIVE))


@pytest.mark.parametrize(
    "ip", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255"]
)
def test_nobodys_addresses_are_never_learnt(two: Book, ip: str) -> None:
    assert not possible(IPv4Address(ip))
    assert not two.lease(lease(A, ip))
    assert two.claim(claim(A, ip)) == []
    assert possible(IPv4Address(FIVE))
