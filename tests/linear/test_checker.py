"""The checker accepts what has an order and refuses what has none."""

from itertools import count

import pytest

from tests.linear import checker
from tests.linear.checker import Undecided, Violation, check
from tests.linear.model import EMPTY, OK, Answer, Operation, State, forget_uploads, step

_numbers = count(1)
MISS = ("NoSuchKey", "")
FAILED = ("PreconditionFailed",)


def op(
    verb: str, begin: float, end: float, answer: Answer | None, e_tag: str = "", **more: str
) -> Operation:
    made = Operation(next(_numbers), verb, begin, end, answer, e_tag)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def versioned(
    verb: str, begin: float, end: float, answer: Answer | None, e_tag: str = "", **more: str
) -> Operation:
    made = op(verb, begin, end, answer, e_tag, **more)
    made.versioned = True
    return made


def put(
    e_tag: str, begin: float, end: float, answer: Answer | None = (OK, ""), **more: str
) -> Operation:
    return op("put", begin, end, answer, e_tag, **more)


def get(e_tag: str, begin: float, end: float) -> Operation:
    return op("get", begin, end, (OK, e_tag, "") if e_tag else MISS)


def judge(*history: Operation, states: tuple[State, ...] = (EMPTY,)) -> set[State]:
    return forget_uploads(check(history, states, step))


def plain(*e_tags: str) -> set[State]:
    """The states of a key without versions that holds one of these, "" for none."""
    return {(((("", each),) if each else ()), frozenset()) for each in e_tags}


def refuse(*history: Operation) -> str:
    with pytest.raises(Violation) as caught:
        judge(*history)
    return str(caught.value)


# --- without versions ----------------------------------------------------------------------------


def test_one_after_another() -> None:
    assert judge(get("", 0, 1), put("a", 2, 3), get("a", 4, 5), put("b", 6, 7)) == plain("b")


def test_two_puts_at_once_may_end_either_way() -> None:
    assert judge(put("a", 0, 5), put("b", 1, 6)) == plain("a", "b")
    assert judge(put("a", 0, 5), put("b", 1, 6), get("a", 7, 8)) == plain("a")


def test_a_read_beside_a_put_sees_it_or_not() -> None:
    for seen in ("a", "b"):
        assert judge(put("a", 0, 1), put("b", 2, 9), get(seen, 3, 4)) == plain("b")


def test_a_stale_read() -> None:
    text = refuse(put("a", 0, 1), put("b", 2, 3), get("a", 4, 5))
    assert "NOT POSSIBLE NEXT" in text
    assert "get  -> ('ok', 'a', '')" in text


def test_a_read_that_goes_back() -> None:
    refuse(put("a", 0, 1), put("b", 2, 9), get("b", 3, 4), get("a", 5, 6))


def test_two_readers_that_see_two_orders() -> None:
    writes = put("a", 0, 9), put("b", 0, 9)
    refuse(*writes, get("a", 10, 11), get("b", 12, 13))


def test_a_lost_update() -> None:
    """Two clients read the same content, and both are told that they replaced it."""
    first = put("b", 2, 5, if_match="a")
    refuse(put("a", 0, 1), first, put("c", 3, 6, if_match="a"))
    assert judge(put("a", 0, 1), first, put("c", 3, 6, FAILED, if_match="a")) == plain("b")


def test_a_write_that_was_acknowledged_and_is_not_there() -> None:
    refuse(put("a", 0, 1), get("", 2, 3))


def test_a_value_that_nobody_wrote() -> None:
    refuse(put("a", 0, 1), get("x", 2, 3))
    refuse(put("x", 0, 1, FAILED, if_none_match="*"))


def test_two_creations_of_one_key() -> None:
    first = put("a", 0, 5, if_none_match="*")
    refuse(first, put("b", 1, 6, if_none_match="*"))
    assert judge(first, put("b", 1, 6, FAILED, if_none_match="*")) == plain("a")


def test_a_conditional_write_over_anothers() -> None:
    refuse(put("a", 0, 1), put("b", 2, 3), put("c", 4, 5, if_match="a"))


def test_a_refusal_without_a_reason() -> None:
    refuse(put("a", 0, 1), put("b", 2, 3, FAILED, if_match="a"))
    refuse(put("a", 0, 1, FAILED, if_none_match="*"))
    refuse(put("a", 0, 1), op("delete", 2, 3, ("NoSuchKey",), if_match="a"))


def test_conditions_of_deletions() -> None:
    gone = op("delete", 2, 3, (OK, ""), if_match="a")
    assert judge(put("a", 0, 1), gone, get("", 4, 5)) == plain("")
    refuse(put("a", 0, 1), gone, get("a", 4, 5))
    refuse(put("a", 0, 1), op("delete", 2, 3, (OK, ""), if_match="b"))
    refuse(op("delete", 2, 3, (OK, ""), if_match="b"))


def test_a_write_without_an_answer_may_have_been() -> None:
    lost = put("b", 2, 3, None)
    assert judge(put("a", 0, 1), lost) == plain("a", "b")
    assert judge(put("a", 0, 1), lost, get("a", 4, 5)) == plain("a")
    assert judge(put("a", 0, 1), lost, get("b", 4, 5)) == plain("b")


def test_a_write_without_an_answer_that_appears_and_disappears() -> None:
    lost = put("b", 2, 3, None)
    refuse(put("a", 0, 1), lost, get("b", 4, 5), get("a", 6, 7))
    refuse(put("a", 0, 1), lost, get("a", 4, 5), get("b", 6, 7))


def test_a_write_without_an_answer_and_without_its_condition() -> None:
    lost = put("b", 2, 3, None, if_match="x")
    assert judge(put("a", 0, 1), lost) == plain("a")
    refuse(put("a", 0, 1), lost, get("b", 4, 5))


def test_what_may_be_is_carried_into_the_next_round() -> None:
    maybe = tuple(judge(put("a", 0, 1), put("b", 2, 3, None)))
    assert judge(get("b", 0, 1), states=maybe) == plain("b")
    with pytest.raises(Violation):
        judge(get("b", 0, 1), get("a", 2, 3), states=maybe)


def test_listings() -> None:
    assert judge(put("a", 0, 1), op("list", 2, 3, (OK, (("", "a"),)))) == plain("a")
    refuse(put("a", 0, 1), op("list", 2, 3, (OK, ())))
    refuse(put("a", 0, 1), op("list", 2, 3, (OK, (("", "x"),))))
    refuse(put("a", 0, 9), get("a", 1, 2), op("list", 3, 4, (OK, ())))


# --- uploads -------------------------------------------------------------------------------------


def complete(
    e_tag: str, begin: float, end: float, answer: Answer | None = (OK, ""), **more: str
) -> Operation:
    return op("complete", begin, end, answer, e_tag, upload=f"upload of {e_tag}", **more)


def test_an_upload_is_completed_once() -> None:
    twice = complete("u", 0, 1), complete("u", 2, 3)
    assert judge(*twice, get("u", 4, 5)) == plain("u")
    gone = complete("u", 4, 5, ("NoSuchUpload",))
    assert judge(complete("u", 0, 1), put("a", 2, 3), gone) == plain("a")
    refuse(complete("u", 0, 1), put("a", 2, 3), complete("u", 4, 5))
    refuse(complete("u", 0, 1), gone)
    refuse(gone)


def test_an_upload_with_a_condition() -> None:
    refuse(put("a", 0, 5, if_none_match="*"), complete("u", 1, 6, if_none_match="*"))
    refused = complete("u", 2, 3, FAILED, if_none_match="*")
    assert judge(put("a", 0, 1), refused, complete("u", 4, 5)) == plain("u")
    # who asks again after success is told the same, whatever the condition
    again = complete("u", 2, 3, if_none_match="*")
    assert judge(complete("u", 0, 1, if_none_match="*"), again) == plain("u")


def test_an_upload_whose_end_was_not_answered() -> None:
    lost = complete("u", 0, 1, None)
    assert judge(lost, complete("u", 2, 3), get("u", 4, 5)) == plain("u")
    refuse(lost, get("u", 2, 3), get("", 4, 5))


# --- versions ------------------------------------------------------------------------------------

FIRST = versioned("put", 0, 1, (OK, "1"), "a"), versioned("put", 2, 3, (OK, "2"), "b")
HIDDEN = (*FIRST, versioned("delete", 4, 5, (OK, "3")))


def test_versions_are_kept() -> None:
    shown = versioned("list", 6, 7, (OK, (("3", ""), ("2", "b"), ("1", "a"))))
    missed = versioned("get", 6, 7, ("NoSuchKey", "3"))
    old = versioned("get version", 6, 7, (OK, "a"), version="1")
    marker = versioned("get version", 6, 7, ("MethodNotAllowed",), version="3")
    assert judge(*HIDDEN, shown, missed, old, marker) == {
        ((("3", ""), ("2", "b"), ("1", "a")), frozenset())
    }


def test_deleting_a_version_brings_the_one_before_back() -> None:
    removed = versioned("delete version", 6, 7, (OK,), version="3")
    seen = versioned("get", 8, 9, (OK, "b", "2"))
    assert judge(*HIDDEN, removed, seen) == {((("2", "b"), ("1", "a")), frozenset())}
    refuse(*HIDDEN, removed, versioned("get", 8, 9, ("NoSuchKey", "3")))
    refuse(*HIDDEN, removed, versioned("get version", 8, 9, ("MethodNotAllowed",), version="3"))
    refuse(*HIDDEN, removed, versioned("get", 8, 9, (OK, "a", "1")))


@pytest.mark.parametrize(
    "listed",
    [
        (("2", "b"), ("2", "b"), ("1", "a")),  # one twice
        (("2", "b"),),  # one is missing
        (("1", "a"), ("2", "b")),  # the wrong order
        (("2", "b"), ("1", "x")),  # another content
        (("2", "b"), ("9", "a")),  # another version
    ],
)
def test_listings_of_versions_that_are_wrong(listed: tuple[tuple[str, str], ...]) -> None:
    refuse(*FIRST, versioned("list", 4, 5, (OK, listed)))


def test_a_version_that_is_lost_or_of_two_writes() -> None:
    refuse(*FIRST, versioned("get version", 4, 5, ("NoSuchVersion",), version="1"))
    refuse(*FIRST, versioned("put", 4, 5, (OK, "2"), "c"))
    refuse(*FIRST, versioned("put", 4, 5, (OK, ""), "c"))
    refuse(*FIRST, versioned("get", 4, 5, (OK, "b", "1")))
    refuse(*FIRST, versioned("put", 4, 5, (OK, "3"), "c", if_match="a"))


def test_a_version_without_an_answer_is_named_once() -> None:
    lost = versioned("put", 4, 5, None, "c")
    named = versioned("get", 6, 7, (OK, "c", "7"))
    assert judge(*FIRST, lost, named) == {((("7", "c"), ("2", "b"), ("1", "a")), frozenset())}
    refuse(*FIRST, lost, named, versioned("get", 8, 9, (OK, "c", "8")))
    refuse(*FIRST, lost, named, versioned("list", 8, 9, (OK, (("2", "b"), ("1", "a")))))
    refuse(*FIRST, lost, versioned("get", 6, 7, (OK, "c", "2")))
    marker = versioned("delete", 4, 5, None)
    shown = versioned("list", 6, 7, (OK, (("7", ""), ("2", "b"), ("1", "a"))))
    refuse(*FIRST, marker, shown, versioned("get", 8, 9, ("NoSuchKey", "8")))
    assert judge(*FIRST, marker, shown, versioned("get", 8, 9, ("NoSuchKey", "7")))


# --- the search ----------------------------------------------------------------------------------


def test_a_long_history_is_judged_at_once() -> None:
    history = [
        put(f"{number}", number, number + 4.5, None if number % 10 == 0 else (OK, ""))
        for number in range(300)
    ]
    assert judge(*history, get("299", 400, 401)) == plain("299")


def test_a_search_that_takes_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "MOST_TRIED", 1000)
    with pytest.raises(Undecided, match="20 operations took more than 1000 steps"):
        judge(*(put(f"{number}", 0, 1) for number in range(20)))
