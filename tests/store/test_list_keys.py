"""Pages, prefixes and delimiters, against a plain walk over sorted keys."""

import io
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucabox.bucket import Object, ObjectProperties, Store
from eucabox.store.index import Index
from eucabox.store.list_keys import page
from eucabox.store.paths import end_of_prefix
from eucabox.store.types import to_datetime

TEXT = st.text(alphabet="ab/\ud7ff\ue000\U0010ffff\x7f\n", min_size=1, max_size=5)
FACTS = ObjectProperties(owner="1", checksums={"CRC32": "x"}, checksum_type="FULL_OBJECT")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Index]:
    made = Index(tmp_path_factory.mktemp("index"))
    assert not made.open()
    made.journal.start()
    yield made
    made.close()


def fill(index: Index, keys: Iterable[str]) -> None:
    index.drop_bucket("b")
    for key in keys:
        index.add(Object("b", key, 1, "e", to_datetime(0), FACTS))


def test_a_reader_of_an_index_that_is_being_rebuilt_is_not_used_again(index: Index) -> None:
    fill(index, ["old"])
    index.flush()
    with index._reading():
        index.reset()
    fill(index, ["new"])
    index.flush()
    assert [key for key, *_ in index.rows("b", "", None, 9)] == ["new"]


def walked(keys: set[str], prefix: str, delimiter: str) -> list[str]:
    found: dict[str, None] = {}
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found[key if at < 0 else key[: at + len(delimiter)]] = None
    return list(found)


@pytest.mark.not_fast
@settings(max_examples=150, deadline=None, database=None)
@given(
    keys=st.sets(TEXT, max_size=20),
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "ab", "\n"]),
    limit=st.integers(1, 4),
)
def test_all_pages_together_are_the_whole_listing(
    index: Index, keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    fill(index, keys)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        got = page(index, "b", prefix, delimiter, after, limit)
        here = sorted([each.key for each in got.objects] + got.prefixes, key=str.encode)
        assert len(here) <= limit
        assert got.truncated == (got.next is not None)
        assert not got.truncated or (len(here) == limit and got.next == here[-1])
        found += here
        after = got.next
    assert found == walked(keys, prefix, delimiter)


def test_a_row_has_what_a_listing_shows(index: Index) -> None:
    fill(index, ["k"])
    (found,) = page(index, "b", "", "", "", 5).objects
    assert (found.bucket, found.key, found.size, found.e_tag) == ("b", "k", 1, "e")
    assert found.properties.owner == "1"
    assert list(found.properties.checksums) == ["CRC32"]
    assert found.properties.checksum_type == "FULL_OBJECT"


def test_start_after(index: Index) -> None:
    fill(index, ["a", "b/1", "b/2", "c"])
    assert page(index, "b", "", "/", "b/1", 9).prefixes == ["b/"]
    assert page(index, "b", "", "/", "b/2", 9).prefixes == []
    assert page(index, "b", "", "/", "b/", 9).prefixes == []
    assert [each.key for each in page(index, "b", "b/", "", "a", 9).objects] == ["b/1", "b/2"]
    assert page(index, "b", "b/", "", "c", 9).objects == []
    assert page(index, "b", "", "", "", 0).truncated is False


def test_keys_below_a_common_prefix_are_skipped(index: Index) -> None:
    fill(index, [f"{folder}/{name:04}" for folder in "abc" for name in range(3000)])
    fetched = 0
    rows = index.rows

    def counted(*what: object) -> list[tuple[str, int, str, int, str, str]]:
        nonlocal fetched
        found = rows(*what)  # type: ignore[arg-type]
        fetched += len(found)
        return found

    index.rows = counted  # type: ignore[method-assign, assignment]
    try:
        assert page(index, "b", "", "/", "", 1000).prefixes == ["a/", "b/", "c/"]
    finally:
        del index.rows
    assert fetched < 100


@pytest.mark.slow
def test_memory_stays_flat(index: Index) -> None:
    fill(index, (f"{number:06}" for number in range(100_000)))
    tracemalloc.start()
    after: str | None = ""
    count = 0
    while after is not None:
        got = page(index, "b", "", "", after, 1000)
        count, after = count + len(got.objects), got.next
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 4 << 20


def test_the_text_after_a_prefix() -> None:
    assert end_of_prefix("a") == "b"
    assert end_of_prefix("\ud7ff") == "\ue000"
    assert end_of_prefix("a\U0010ffff") == "b"
    assert end_of_prefix("\U0010ffff") is None
    assert end_of_prefix("") is None


def test_what_was_put_is_listed_at_once(store: Store) -> None:
    for number in range(5):
        store.put("box", f"k{number}", io.BytesIO(b""), ObjectProperties())
        assert len(store.list("box").objects) == number + 1
