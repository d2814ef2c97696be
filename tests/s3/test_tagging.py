"""Tags as they may be, and those that S3 refuses."""

import pytest

from eucabox.errors import Fault
from eucabox.s3 import tagging
from eucabox.s3.tagging import ObjectTag


def tags(**given: str) -> list[ObjectTag]:
    return [{"key": key, "value": value} for key, value in given.items()]


def test_tags_are_listed_by_key() -> None:
    found = tagging.object_tags({"tag_set": tags(b="2", a="")})
    assert found == {"b": "2", "a": ""}
    assert tagging.to_api(found) == tags(a="", b="2")
    assert tagging.object_tags(None) == tagging.object_tags({}) == {}


def test_the_longest_and_the_most() -> None:
    long: list[ObjectTag] = [{"key": f"{each:0128}", "value": "v" * 256} for each in range(10)]
    assert len(tagging.object_tags({"tag_set": long})) == 10
    assert len(tagging.bucket_tags(tags(**{f"k{each}": "" for each in range(50)}))) == 50


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (tags(**{f"k{each}": "" for each in range(51)}), "InvalidTag"),
        (tags(**{"k" * 129: ""}), "InvalidTag"),
        (tags(a="v" * 257), "InvalidTag"),
        (tags(**{"": ""}), "InvalidTag"),
        (tags(**{"aws:a": ""}), "InvalidTag"),
        (tags(**{"AWS:a": ""}), "InvalidTag"),
        (tags(a="<"), "InvalidTag"),
        (tags(**{"a\n": ""}), "InvalidTag"),
        ([{"key": "a", "value": ""}, {"key": "a", "value": "b"}], "InvalidTag"),
        ([{"key": "a"}], "MalformedXML"),
        ([{}], "MalformedXML"),
    ],
)
def test_what_is_refused(wrong: list[ObjectTag], code: str) -> None:
    with pytest.raises(Fault) as caught:
        tagging.bucket_tags(wrong)
    assert caught.value.code == code
    assert caught.value.message.isascii()


def test_letters_of_any_script() -> None:
    assert tagging.bucket_tags(tags(Größe="日本 1.5_:/=+-@")) == {"Größe": "日本 1.5_:/=+-@"}
