"""Tags of IAM's entities: 50 at most, keys that differ in case alone are the same."""

import pytest

from eucabox.errors import Fault
from eucabox.iam.iam_tags import IamTag, delete_tags, list_tags, remove_tags, set_tags
from eucabox.state import State


def tag(key: str, value: str = "x") -> IamTag:
    return {"key": key, "value": value}


def test_tags_are_set_replaced_and_removed_whatever_the_case_of_their_keys(state: State) -> None:
    set_tags(state, "AIDA1", [tag("Team", "red"), tag("stage", "")])
    set_tags(state, "AIDA2", [tag("team", "other")])
    set_tags(state, "AIDA1", [tag("TEAM", "blue")])
    assert list_tags(state, "AIDA1") == [tag("TEAM", "blue"), tag("stage", "")]
    remove_tags(state, "AIDA1", ["team", "none"])
    assert list_tags(state, "AIDA1") == [tag("stage", "")]
    delete_tags(state, "AIDA1")
    assert (list_tags(state, "AIDA1"), len(list_tags(state, "AIDA2"))) == ([], 1)


def test_an_entity_has_at_most_50_tags_and_keeps_those_it_has(state: State) -> None:
    set_tags(state, "AIDA1", [tag(f"k{number}") for number in range(50)])
    set_tags(state, "AIDA1", [tag("k1", "changed")])
    with pytest.raises(Fault) as caught:
        set_tags(state, "AIDA1", [tag("k1", "again"), tag("one-more")])
    assert caught.value.code == "LimitExceeded"
    assert len(list_tags(state, "AIDA1")) == 50
    assert tag("k1", "changed") in list_tags(state, "AIDA1")


@pytest.mark.parametrize(
    ("tags", "code", "sentence"),
    [
        ([tag("Team"), tag("team")], "InvalidInput", "Duplicate tag keys found. Please note that"),
        ([tag("aws:x")], "InvalidInput", "reserved"),
        ([tag("AWS:x")], "InvalidInput", "reserved"),
        ([tag("")], "ValidationError", "'tags.1.member.key' failed to satisfy constraint: Member"),
        ([tag("k" * 129)], "ValidationError", "less than or equal to 128"),
        ([tag("k", "v" * 257)], "ValidationError", "less than or equal to 256"),
        ([tag("a!b")], "ValidationError", r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+"),
        ([tag("a", "tab\t")], "ValidationError", "'tags.1.member.value'"),
        ([tag(f"k{number}") for number in range(51)], "ValidationError", "equal to 50"),
    ],
)
def test_a_bad_tag_changes_nothing(
    state: State, tags: list[IamTag], code: str, sentence: str
) -> None:
    with pytest.raises(Fault) as caught:
        set_tags(state, "AIDA1", tags)
    assert caught.value.code == code
    assert sentence in caught.value.message
    assert list_tags(state, "AIDA1") == []


def test_letters_of_all_languages_are_taken(state: State) -> None:
    set_tags(state, "AIDA1", [tag("Größe 1", "大")])
    assert list_tags(state, "AIDA1") == [tag("Größe 1", "大")]
