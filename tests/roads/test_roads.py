"""A short form of `make roads`, and what the straight road itself must do."""

import gc
import random
import re
import time
import tracemalloc
import weakref
from collections.abc import Iterable
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.wire.s3 import straight_road
from eucabox.wire.s3.descriptions import Description
from eucabox.wire.s3.habits import MOST_HABITS
from tests.roads.__main__ import run
from tests.roads.clients import CLIENTS, EMPTY, Sent, boto3, curl
from tests.roads.pair import Difference, Pair, Side, open_pair

CASES = 2000


def put(pair: Pair, times: int = 1) -> None:
    for number in range(times):
        pair.ask(
            curl("PUT", "/plain/a", b"content", random.Random(1)).write(pair.keys["admin"]), ""
        )
        assert pair.counts.cases > number


def read(pair: Pair, who: str = "admin", path: str = "/plain/a") -> bool:
    """Read an object by both roads; whether the straight one took it."""
    before = pair.counts.straight
    pair.ask(Sent("GET", path).write(pair.keys[who]), path)
    return pair.counts.straight > before


@pytest.mark.slow
def test_both_roads_lead_to_the_same(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        run(pair, CASES, 1)
        assert pair.counts.cases == CASES
        assert pair.counts.straight > CASES / 5


@pytest.mark.not_fast
def test_a_difference_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        odd = Description(200, "ETag: odd\r\n", 0, 1)
        monkeypatch.setattr(straight_road, "describe", lambda *_: odd)
        with pytest.raises(Difference):
            [read(pair) for _ in range(10)]


@pytest.mark.not_fast
@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
def test_each_client_goes_straight_once_it_is_known(tmp_path: Path, client: object) -> None:
    chance = random.Random(7)
    with open_pair(tmp_path) as pair:
        for method in ("PUT", "GET", "HEAD", "DELETE"):
            before = pair.counts.straight
            for _ in range(10):  # the use of the key is written meanwhile, so it is read anew
                body = b"0123456789" * 600 if method == "PUT" else b""
                assert callable(client)
                pair.ask(client(method, "/plain/a", body, chance).write(pair.keys["admin"]), method)
                if method == "DELETE":
                    put(pair)
            assert pair.counts.straight >= before + 2, method


@pytest.mark.not_fast
def test_a_body_is_sent_for_and_the_client_goes_straight(tmp_path: Path) -> None:
    sent = boto3("PUT", "/plain/a", b"content", random.Random(3))
    sent.unsigned["Expect"] = "100-continue"
    with open_pair(tmp_path) as pair:
        for _ in range(10):  # clients that wait for nothing
            pair.ask(sent.write(pair.keys["admin"]), "")
        side, before, raw = pair.sides[0], pair.counts.straight, sent.write(pair.keys["admin"])
        assert side.send(raw[: -len(b"content")]) is False
        assert side.read_all() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert side.send(b"content") is True
        assert side.read_all().startswith(b"HTTP/1.1 200 OK\r\n")
        assert pair.counts.straight == before + 2
        assert side.send(sent.write(pair.keys["admin"])[: -len(b"content")]) is False
        side.hang_up_half()
        assert side.send(b"") is False  # the general road says what is missing
        answer = side.read_all()
        assert answer.count(b"100 Continue") <= 2
        assert b"HTTP/1.1 400 Bad Request\r\n" in answer


@pytest.mark.not_fast
def test_what_a_limited_user_may_do_is_remembered_until_it_changes(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        assert [read(pair, "anna") for _ in range(10)][-1]
        pair.perform("iam", "DeleteUserPolicy", user_name="anna", policy_name="p")
        before = pair.statuses["403"]
        assert not read(pair, "anna")
        assert pair.statuses["403"] == before + 1


@pytest.mark.not_fast
def test_a_key_that_is_stopped_is_refused_at_once(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        assert [read(pair, "anna") for _ in range(10)][-1]
        set_status(pair, "Inactive")
        assert not read(pair, "anna")
        assert pair.statuses["403"] == 1
        set_status(pair, "Active")
        assert [read(pair, "anna") for _ in range(10)][-1]


def set_status(pair: Pair, status: str) -> None:
    key = pair.keys["anna"].access
    pair.perform("iam", "UpdateAccessKey", user_name="anna", access_key_id=key, status=status)


@pytest.mark.not_fast
@pytest.mark.parametrize("setting", ["policy", "cors", "logging", "versioning", "lifecycle"])
def test_a_setting_of_the_bucket_counts_at_once(tmp_path: Path, setting: str) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        assert [read(pair) for _ in range(10)][-1]
        for side in pair.sides:
            side.cloud.store.set_bucket_setting("plain", setting, VALUES[setting])
        assert not read(pair)
        for side in pair.sides:
            side.cloud.store.set_bucket_setting("plain", setting, None)
        assert read(pair)


VALUES = {
    "policy": '{"Statement": []}',
    "cors": {"cors_rules": []},
    "logging": {"target_bucket": "mine", "target_prefix": ""},
    "versioning": {"status": "Enabled"},
    "lifecycle": {"rules": []},
}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_versioning_that_begins_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    sent = curl(method, "/plain/a", b"content" if method == "PUT" else b"", random.Random(1))
    work = "begin_put" if method == "PUT" else "delete"
    with open_pair(tmp_path) as pair:
        for _ in range(5):
            pair.ask(sent.write(pair.keys["admin"]), method)
        before, do = pair.counts.straight, getattr(Store, work)

        def begin(store: Store, bucket: str, *given: object, **named: object) -> object:
            store.set_bucket_setting(bucket, "versioning", {"status": "Enabled"})
            return do(store, bucket, *given, **named)

        monkeypatch.setattr(Store, work, begin)
        pair.ask(sent.write(pair.keys["admin"]), method)
        assert pair.counts.straight == before + 1


@pytest.mark.not_fast
def test_a_signature_of_yesterday_or_of_another_path_goes_the_general_road(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        assert [read(pair) for _ in range(10)][-1]
        straight = pair.counts.straight
        for odd in (Sent("GET", "/plain/a", skew=-1000), Sent("GET", "/plain/b", signed_path="/")):
            pair.ask(odd.write(pair.keys["admin"]), "odd")
        raw = Sent("GET", "/plain/a", payload=EMPTY).write(pair.keys["admin"])
        pair.ask(raw.replace(b"Signature=", b"Signature=0")[:-5] + b"\r\n\r\n", "cut")
        assert pair.counts.straight == straight
        assert pair.statuses["403"] == 3


@pytest.mark.not_fast
def test_headers_that_are_too_long_are_refused_though_the_client_is_known(tmp_path: Path) -> None:
    sent = curl("PUT", "/plain/a", b"content", random.Random(1))
    with open_pair(tmp_path) as pair:
        for text in ("a",) * 9 + ("a" * 17_000, "a" * 70_000):
            sent.headers["content-disposition"] = text
            pair.ask(sent.write(pair.keys["admin"]), "")
        assert pair.counts.straight > 0
        assert pair.statuses == {"200": 9, "400": 2}


@pytest.mark.not_fast
def test_a_header_is_signed_with_its_very_name(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        keys = pair.keys["admin"]
        for name in ("x-amz-meta-a%%b",) * 9 + ("x-amz-meta-a%b",):
            sent = curl("PUT", "/plain/a", b"content", random.Random(1))
            sent.headers[name] = "c"
            raw = sent.write(keys)
            pair.ask(raw.replace(b"meta-a%b", b"meta-a%%b"), name)
        assert pair.statuses == {"200": 9, "403": 1}


def measure_memory(pair: Pair, sent: Iterable[Sent]) -> int:
    """Return how many bytes more are held after these reads than after eight of them."""
    put(pair, 3)
    for number, each in enumerate(sent):
        if number == 8:
            gc.collect()
            tracemalloc.start()
        answer, _ = pair.sides[0].ask(each.write(pair.keys["admin"]))
        assert answer.startswith(b"HTTP/1.1 200 ")
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


@pytest.mark.not_fast
def test_a_client_that_sends_other_headers_each_time_takes_little_memory(tmp_path: Path) -> None:
    def ask(number: int) -> Sent:
        return Sent("GET", "/plain/a", unsigned={f"{number}{each:x}": "" for each in range(1700)})

    with open_pair(tmp_path) as pair:
        assert measure_memory(pair, map(ask, range(40))) < 1 << 20


def test_the_habits_of_other_days_are_forgotten(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        assert [read(pair) for _ in range(5)][-1]
        connection = pair.sides[0]._connection
        assert connection is not None and connection.client is not None
        (habit,) = [each for each in connection.client.habits if each.method == "GET"]
        old = habit._replace(signer=habit.signer._replace(date="20200101"))
        connection.client.habits = [old] * MOST_HABITS
        assert [read(pair) for _ in range(3)] == [False, True, True]


def test_many_habits_of_a_client_take_little_memory(tmp_path: Path) -> None:
    def ask(number: int) -> Sent:
        agent = f"{number // 3}" + "%" * 3500
        return Sent("GET", "/plain/a", unsigned={"user-agent": agent})

    with open_pair(tmp_path) as pair:
        assert measure_memory(pair, map(ask, range(60))) < 1 << 17


def test_blanks_in_a_header_are_read_at_once(tmp_path: Path) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        began = time.process_time()
        for odd in (" " * 1000 + "\t", "a" + " " * 3000 + "b", "a " * 1500 + "\t"):
            for _ in range(4):
                raw = Sent("GET", "/plain/a", unsigned={"accept": odd}).write(pair.keys["admin"])
                pair.ask(raw, odd)
        assert pair.statuses["200"] == 13
        assert time.process_time() - began < 1


def test_an_object_needs_a_length_though_a_bucket_needs_none(tmp_path: Path) -> None:
    def drop(head: str) -> str:
        return head.replace("Content-Length: 0\r\n", "")

    with open_pair(tmp_path) as pair:
        put(pair, 3)
        for path in (*[f"/bucket{number}" for number in range(9)], "/plain/a"):
            pair.ask(Sent("PUT", path, damage=drop).write(pair.keys["admin"]), path)
        assert pair.statuses == {"200": 12, "411": 1}


def test_an_empty_body_is_sent_for(tmp_path: Path) -> None:
    chance = random.Random(5)
    with open_pair(tmp_path) as pair:
        for body in (*[b"a"] * 6, *[b""] * 6):
            sent = boto3("PUT", "/plain/a", body, chance)
            sent.unsigned["Expect"] = "100-continue"
            pair.ask(sent.write(pair.keys["admin"]), "")
        assert pair.counts.straight > 0
        assert pair.statuses == {"200": 6, "100": 6}


def test_an_authorization_is_refused_that_lacks_what_stood_behind_its_signature(
    tmp_path: Path,
) -> None:
    def turn(head: str) -> str:
        return re.sub("(SignedHeaders=.*), (Signature=.*)\r", r"\2, \1\r", head)

    def cut(head: str) -> str:
        return re.sub("SignedHeaders=.*, (Signature=.*)\r", r"\1\r", head)

    with open_pair(tmp_path) as pair:
        put(pair, 3)
        for damage in (*[turn] * 9, cut):
            pair.ask(Sent("GET", "/plain/a", damage=damage).write(pair.keys["admin"]), "")
        assert pair.statuses == {"200": 12, "400": 1}


@pytest.mark.parametrize("setting", ["website", "lifecycle"])
def test_a_deleted_bucket_leaves_nothing_of_its_settings(tmp_path: Path, setting: str) -> None:
    with open_pair(tmp_path) as pair:
        put(pair)
        assert [read(pair) for _ in range(10)][-1]
        for side in pair.sides:
            side.cloud.store.create_bucket("gone", side.cloud.store.bucket("plain").owner)
            side.cloud.store.set_bucket_setting("gone", setting, {"rules": ["long"]})
        left = weakref.ref(pair.sides[0].cloud.store.bucket("gone"))
        read(pair, path="/gone/a")
        for side in pair.sides:
            side.cloud.store.delete_bucket("gone")
        gc.collect()
        assert left() is None


@pytest.mark.not_fast
def test_guests_have_no_straight_road(tmp_path: Path) -> None:
    from eucabox import api

    side = Side(tmp_path, straight=True)
    try:
        assert api.create_metadata_app(side.cloud).straight_road is None
        assert side.dispatcher.straight_road is not None
    finally:
        side.close()
