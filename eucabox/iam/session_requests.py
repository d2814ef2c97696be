"""What is asked of a new session of a role: its name, time, tags and policies.

Holds it to the limits of STS; never decides who may have it.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from eucabox.errors import PackedPolicyTooLarge, ValidationError
from eucabox.iam.caller import Session
from eucabox.iam.constraints import (
    check_arn,
    check_count,
    check_length,
    check_number,
    check_pattern,
)
from eucabox.iam.iam_tags import MOST_TAGS, IamTag, check_tags
from eucabox.iam.managed_policies import find_policy, read_default_document
from eucabox.iam.policy import parse_identity_policy
from eucabox.iam.rows import RoleRow
from eucabox.state import State

NAME = re.compile(r"[\w+=,.@-]*", re.ASCII)
SHORTEST, LONGEST, BY_DEFAULT, IN_A_CHAIN = 900, 43_200, 3600, 3600  # seconds
LONGEST_POLICY, MOST_POLICIES = 2048, 10
PACKED_BYTES = 4096  # what policies and tags of a session may have when they are compressed


class PolicyDescriptor(TypedDict):
    """A managed policy."""

    arn: str


@dataclass(frozen=True)
class SessionRequest:
    """A session as it was asked for. Of what the members of STS's verbs hold `policy` is a
    document, "" for none, and `policy_arns` are managed policies."""

    session_name: str
    duration: int = BY_DEFAULT
    policy: str = ""
    policy_arns: Sequence[PolicyDescriptor] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tags: Sequence[str] = ()
    source_identity: str = ""

    def check(self) -> None:
        """Raise ValidationError, MalformedPolicyDocument or PackedPolicyTooLarge for what no role
        could give."""
        check_session_name("roleSessionName", self.session_name, 64)
        check_number("durationSeconds", self.duration, SHORTEST, LONGEST)
        if self.source_identity:
            check_session_name("sourceIdentity", self.source_identity, 256)
        if self.policy:
            check_length("policy", self.policy, LONGEST_POLICY)
            parse_identity_policy(self.policy)
        check_count("policyArns", self.policy_arns, MOST_POLICIES)
        for number, each in enumerate(self.policy_arns, 1):
            check_arn(f"policyArns.{number}.member.arn", each.get("arn", ""))
        check_count("transitiveTagKeys", self.transitive_tags, MOST_TAGS)
        if not set(self.transitive_tags) <= self.tags.keys():
            reason = "The specified transitive tag key must be included in the requested tags."
            raise ValidationError(reason=reason)
        percent = self.packed_percent
        if percent is not None and percent > 100:
            raise PackedPolicyTooLarge(percent=percent)

    def check_duration(self, role: RoleRow, session: Session | None) -> None:
        """Raise ValidationError for a longer time than the role gives; a role that is assumed by
        another's `session` gives an hour."""
        if session is not None and session.role is not None and self.duration > IN_A_CHAIN:
            reason = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed"
                " by role chaining."
            )
            raise ValidationError(reason=reason)
        if self.duration > role["max_session_duration"]:
            reason = (
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            )
            raise ValidationError(reason=reason)

    def read_policies(self, state: State, account_id: str) -> tuple[str, ...] | None:
        """Return the texts of the session's policies, None for no limit; ValidationError."""
        if not self.policy and not self.policy_arns:
            return None
        texts = [self.policy] if self.policy else []
        for each in self.policy_arns:
            if find_policy(state, account_id, each["arn"]) is None:
                reason = f"The policy {each['arn'][:200]} of PolicyArns does not exist."
                raise ValidationError(reason=reason)
            texts.append(read_default_document(state, each["arn"]))
        return tuple(texts)

    @property
    def packed_percent(self) -> int | None:
        """How much policies and tags take of the space for them, None where there are none."""
        pairs = [f"{key}={value}" for key, value in self.tags.items()]
        texts = [self.policy, *(each.get("arn", "") for each in self.policy_arns), *pairs]
        text = "\n".join(texts).strip("\n")
        if not text:
            return None
        packed = zlib.compress(text.encode("utf-8", "surrogatepass"))
        return -(-100 * len(packed) // PACKED_BYTES)


def check_session_name(member: str, name: str, most: int) -> None:
    """Raise ValidationError unless a name has 2 to `most` of the characters that STS allows."""
    check_length(member, name, most, 2)
    check_pattern(member, name, NAME, r"[\w+=,.@-]*")


def read_session_tags(tags: Sequence[IamTag]) -> dict[str, str]:
    """Return a session's tags by their keys; ValidationError or InvalidInput."""
    check_tags(tags)
    return {each["key"]: each.get("value", "") for each in tags}


def inherit_tags(session: Session | None, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a session hands on to the next role of a chain.

    Raises ValidationError where the new ones have one of them too.
    """
    if session is None:
        return {}
    inherited = {key: session.tags[key] for key in session.transitive_tags if key in session.tags}
    folded = {key.lower() for key in inherited}
    if any(key.lower() in folded for key in tags):
        reason = (
            "One of the specified transitive tag keys can't be set because it conflicts with a"
            " transitive tag key from the calling session."
        )
        raise ValidationError(reason=reason)
    check_count("tags", [*inherited, *tags], MOST_TAGS)  # else each role of a chain adds more
    return inherited
