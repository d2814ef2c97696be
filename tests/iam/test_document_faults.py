"""A wrong document is refused in IAM's words, and its line is found."""

import json

import pytest

from eucabox.iam.document_faults import KINDS, DocumentFault, find_fault
from eucabox.state import State

GOOD = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}


def write(*statements: object, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)}, indent=2)


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "trust"])
def test_a_right_document_has_no_fault(state: State, kind: str) -> None:
    assert find_fault(state, kind, write(GOOD)) is None


@pytest.mark.parametrize(
    ("document", "message", "marked"),
    [
        (write(GOOD, {**GOOD, "Action": "Describe"}), "must be prefaced by a vendor", '"Describe"'),
        (write(GOOD, {**GOOD, "Action": "ec 2:x"}), "Vendor ec 2 is not valid", '"ec 2:x"'),
        (write(GOOD, {**GOOD, "Resource": "bucket"}), "Resource bucket must be in ARN", '"bucket"'),
        (write(GOOD, {**GOOD, "Effect": "Perhaps"}), "Perhaps", '"Perhaps"'),
        (write({**GOOD, "Colour": "red"}), "Syntax errors in policy", '"Colour"'),
        (write(GOOD, {"Effect": "Allow", "Action": "*"}), "must contain resources", None),
        ('{\n  "Version": "2012-10-17",\n  "Statement": [\n  }\n}', "Expecting", "  }"),
    ],
)
def test_the_line_of_a_fault_is_found(
    state: State, document: str, message: str, marked: str | None
) -> None:
    fault = find_fault(state, "managed", document)
    assert fault is not None
    assert message in fault.message
    assert fault.line > 0
    if marked:
        line = document.split("\n")[fault.line - 1]
        assert marked in line
        assert fault.column > 0


def test_a_statement_without_resources_is_pointed_at_itself(state: State) -> None:
    document = write(GOOD, {"Effect": "Allow", "Action": "*"})
    fault = find_fault(state, "user", document)
    assert fault is not None
    before = document.split("\n")[: fault.line - 1]
    assert sum('"Effect"' in line for line in before) == 1, "the second statement"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "length"),
        ("[]", "Syntax errors"),
        ("nothing", "Syntax errors"),
        (write(GOOD, version="2008-10-17"), "2012-10-17 or greater"),
        ("{" * 3000, "Syntax errors"),
        (write(*[GOOD] * 200), "PolicySize"),
    ],
)
def test_what_is_wrong_as_a_whole_is_told_too(state: State, document: str, message: str) -> None:
    fault = find_fault(state, "managed", document)
    assert fault is not None
    assert message in fault.message


def test_a_trust_policy_names_who_is_there(state: State) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    right = write({**statement, "Principal": {"Service": "ec2.amazonaws.com"}})
    assert find_fault(state, "trust", right) is None
    nobody = "arn:aws:iam::123456789012:user/nobody"
    fault = find_fault(state, "trust", write({**statement, "Principal": {"AWS": nobody}}))
    assert isinstance(fault, DocumentFault)
    assert fault.message.startswith(f"Invalid principal in policy: {nobody}")
    assert fault.line == 8
