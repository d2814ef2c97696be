"""AWS's own managed policies, as far as they make sense here; the documents are in a data file.

Nobody changes them; an account attaches them as its own.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("aws_policies.json")
OWNER = "aws"  # where an ARN has an account
VERSION = "v1"


@dataclass(frozen=True)
class ManagedPolicy:
    """A managed policy without its documents; `account_id` is "aws" for AWS's own."""

    account_id: str
    policy_id: str
    policy_name: str
    path: str
    description: str
    default_version_id: str
    created: str
    updated: str

    @property
    def arn(self) -> str:
        """The Amazon resource name."""
        return f"arn:aws:iam::{self.account_id}:policy{self.path}{self.policy_name}"

    @property
    def is_of_aws(self) -> bool:
        """Whether it is one that nobody changes."""
        return self.account_id == OWNER


def list_aws_policies() -> list[ManagedPolicy]:
    """Return all of them, sorted by name."""
    return [policy for policy, _ in _read().values()]


def find_aws_policy(arn: str) -> ManagedPolicy | None:
    """Return the one of that ARN, or None."""
    return _read()[arn][0] if arn in _read() else None


def find_aws_document(arn: str) -> str | None:
    """Return the document of the one of that ARN, or None."""
    return _read()[arn][1] if arn in _read() else None


@cache
def _read() -> Mapping[str, tuple[ManagedPolicy, str]]:
    """Return each policy with its document, by ARN."""
    entries = json.loads(FILE.read_text(encoding="ascii"))
    policies = [
        (_make_policy(name, entry), _write_document(entry["statements"]))
        for name, entry in sorted(entries.items(), key=lambda item: str.lower(item[0]))
    ]
    return {policy.arn: (policy, document) for policy, document in policies}


def _make_policy(name: str, entry: Mapping[str, str]) -> ManagedPolicy:
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()
    return ManagedPolicy(
        account_id=OWNER,
        policy_id=f"ANPA{digest[:16]}",
        policy_name=name,
        path=entry["path"],
        description=entry["description"],
        default_version_id=VERSION,
        created=entry["created"],
        updated=entry["created"],
    )


def _write_document(statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
