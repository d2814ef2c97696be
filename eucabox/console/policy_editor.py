"""A policy's document in a form: what a new one begins with, and where a wrong one is wrong."""

import json
from dataclasses import dataclass

from flask import request

from eucabox.console.iam_pages import read_text
from eucabox.console.visitor import perform
from eucabox.errors import Fault

VERSION = "2012-10-17"


def _write(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": VERSION, "Statement": list(statements)}, indent=2)


STARTS = {
    "look": (
        "Look at instances and images",
        _write({"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}),
    ),
    "instances": (
        "Run and end instances",
        _write({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}),
    ),
    "bucket": (
        "Read and write one bucket",
        _write(
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::BUCKET",
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": "arn:aws:s3:::BUCKET/*",
            },
        ),
    ),
    "own": (
        "Care for one's own keys",
        _write(
            {
                "Effect": "Allow",
                "Action": ["iam:*AccessKey*", "iam:*SigningCertificate*", "iam:GetUser"],
                "Resource": "arn:aws:iam::*:user/${aws:username}",
            }
        ),
    ),
}
TRUST_EC2 = _write(
    {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
)


@dataclass(frozen=True)
class Editor:
    """What a form shows: the document, why it is refused ("" where it is not), the line from 1 of
    which that is true or 0, and whether it was looked at and found right."""

    document: str
    message: str = ""
    line: int = 0
    is_right: bool = False

    @property
    def lines(self) -> list[str]:
        """The document's lines, where one of them is wrong."""
        return self.document.split("\n") if self.line else []


def start_editor() -> Editor:
    """Return the editor of a new policy, which begins as the address has it in `start`."""
    return Editor(STARTS.get(request.args.get("start", ""), STARTS["look"])[1])


def check_editor(kind: str, document: str = "") -> Editor:
    """Return the editor with the form's document, or this one, and what is wrong with it."""
    text = document or read_text("policy_document")
    found = perform("console", "GetDocumentFault", kind=kind, document=text)
    message, line = str(found["message"]), int(str(found["line"]))
    return Editor(text, message, line, is_right=not message)


def edit_again(kind: str, fault: Fault) -> Editor:
    """Return the editor with the form's document, which a fault kept from being saved; where the
    document is what is wrong, with its line."""
    if fault.code != "MalformedPolicyDocument":
        return Editor(read_text("policy_document"))
    return check_editor(kind)


def indent_document(document: object) -> str:
    """Return a stored document with its lines, for people to read."""
    text = str(document)
    try:
        return text if "\n" in text.strip() else json.dumps(json.loads(text), indent=2)
    except ValueError:
        return text
