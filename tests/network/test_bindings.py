from ipaddress import IPv4Address

import pytest

from eucabox.network import bindings
from eucabox.network.bindings import BindingTable, KnownAddress, is_possible
from eucabox.network.packets import AddressClaim, Lease

A, B, STRANGER = "d0:0d:00:00:00:0a", "d0:0d:00:00:00:0b", "02:00:00:00:00:01"
SERVER = IPv4Address("192.168.1.1")
FIVE, SIX = "192.168.1.5", "192.168.1.6"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("eucabox.network.bindings.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def two(clock: list[float]) -> BindingTable:
    made = BindingTable()
    made.keep_only({A: KnownAddress("tapa", ""), B: KnownAddress("tapb", "")})
    return made


def lease(mac: str, ip: str, seconds: int = 3600) -> Lease:
    return Lease(mac, IPv4Address(ip), SERVER, seconds)


def claim(mac: str, ip: str) -> AddressClaim:
    return AddressClaim(mac, IPv4Address(ip))


def addresses(known: BindingTable) -> dict[str, str]:
    return {mac: each.ip for mac, each in known.guests().items()}


def test_a_lease_counts_at_once_and_is_news_once(two: BindingTable) -> None:
    assert two.record_lease(lease(A, FIVE))
    assert not two.record_lease(lease(A, FIVE))
    assert not two.record_lease(lease(STRANGER, SIX))
    assert addresses(two) == {A: FIVE, B: ""}
    assert two.record_lease(lease(A, SIX))
    assert addresses(two) == {A: SIX, B: ""}


def test_an_address_is_one_guests(two: BindingTable, clock: list[float]) -> None:
    two.record_lease(lease(A, FIVE))
    assert not two.record_lease(lease(B, FIVE)), "a server may be fooled by a client identifier"
    assert addresses(two) == {A: FIVE, B: ""}
    clock[0] += 3600
    assert two.record_lease(lease(B, FIVE))
    assert addresses(two) == {A: "", B: FIVE}


def test_a_claim_waits_for_objections(two: BindingTable, clock: list[float]) -> None:
    assert two.record_claim(claim(A, FIVE)) == [FIVE]
    assert two.record_claim(claim(A, SIX)) == [], "one at a time"
    assert two.settle_claims() == ([], 1.0)
    clock[0] += 1
    assert two.settle_claims() == ([A], None)
    assert addresses(two)[A] == FIVE
    two.record_claim(claim(B, SIX))
    two.reject_claim(claim(STRANGER, SIX))
    clock[0] += 1
    assert two.settle_claims() == ([], None)
    assert addresses(two)[B] == ""


def test_a_lease_that_runs_is_stronger_than_a_claim(two: BindingTable, clock: list[float]) -> None:
    two.record_lease(lease(A, FIVE, 60))
    assert two.record_claim(claim(A, SIX)) == []
    clock[0] += 61
    assert two.record_claim(claim(A, SIX)) == [SIX, FIVE]
    clock[0] += 1
    assert two.settle_claims() == ([A], None)
    assert addresses(two)[A] == SIX


def test_a_lease_without_an_end_has_none(two: BindingTable, clock: list[float]) -> None:
    two.record_lease(lease(A, FIVE, 0xFFFFFFFF))
    clock[0] += 86400 * 365
    assert two.record_claim(claim(A, SIX)) == []


def test_a_row_is_believed_until_the_guest_says_otherwise(clock: list[float]) -> None:
    known = BindingTable()
    known.add(A, KnownAddress("tapa", FIVE))
    assert known.record_claim(claim(A, SIX)) == [SIX, FIVE]
    assert known.record_claim(claim(A, FIVE)) == [], "it answers at the old one"
    clock[0] += 1
    assert known.settle_claims() == ([], None)
    assert known.record_claim(claim(A, SIX)) == [], "which was seen just now"
    clock[0] += bindings.SEEN
    assert known.record_claim(claim(A, SIX)) == [SIX, FIVE]


def test_nobody_claims_what_another_guest_has(two: BindingTable, clock: list[float]) -> None:
    two.record_lease(lease(A, FIVE))
    assert two.record_claim(claim(B, FIVE)) == []
    assert two.record_claim(claim(STRANGER, SIX)) == []
    two.record_claim(claim(B, SIX))
    two.record_lease(lease(A, SIX))
    clock[0] += 1
    assert two.settle_claims() == ([], None)
    assert addresses(two) == {A: SIX, B: ""}


def test_who_stays_keeps_what_was_heard(two: BindingTable) -> None:
    two.record_lease(lease(A, FIVE))
    two.keep_only({A: KnownAddress("tapa", SIX)})
    assert addresses(two) == {A: FIVE}
    two.drop(A)
    two.drop(A)
    two.add(A, KnownAddress("tapa", SIX))
    assert addresses(two) == {A: SIX}


def test_what_could_not_be_told_is_news_again(two: BindingTable) -> None:
    two.record_lease(lease(A, FIVE))
    two.forget_address(A)
    two.forget_address(STRANGER)
    assert two.guests()[A] == KnownAddress("tapa", "")
    assert two.record_lease(lease(A, FIVE))


@pytest.mark.parametrize(
    "ip", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255"]
)
def test_nobodys_addresses_are_never_learnt(two: BindingTable, ip: str) -> None:
    assert not is_possible(IPv4Address(ip))
    assert not two.record_lease(lease(A, ip))
    assert two.record_claim(claim(A, ip)) == []
    assert is_possible(IPv4Address(FIVE))
