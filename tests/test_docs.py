"""The docs say what is there, and nothing else."""

import re
from pathlib import Path

import pytest

from eucabox import actions

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"^\| `([A-Z]\w+)` \|", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def test_every_operation_of_s3_and_metadata_has_its_line() -> None:
    served = {
        name for service, name in actions.load() if service in ("s3", "s3control", "metadata")
    }
    lines = LINE.findall((ROOT / "docs" / "s3.md").read_text())
    assert set(lines) == served
    assert len(lines) == len(served), "an operation has two lines"


def test_what_the_page_on_compatibility_calls_refused_is_not_served() -> None:
    page = (ROOT / "docs" / "s3-compatibility.md").read_text()
    section = page.partition("## What is refused")[2].partition("\nServed")[0]
    refused = set(re.findall(r"`([A-Z]\w+)`", section)) - {"NotImplemented"}
    served = {name for service, name in actions.load() if service == "s3"}
    assert refused & served == {"PutBucketNotificationConfiguration"}


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link


def test_make_lists_its_targets() -> None:
    text = (ROOT / "Makefile").read_text()
    declared = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())  # type: ignore[index]
    documented = set(re.findall(r"^([a-z0-9-]+):.*## ", text, re.MULTILINE))
    assert declared == documented
