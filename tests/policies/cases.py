"""Random cases: documents, a request, and who makes it; the same for the same seed and number."""

import random
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Document = dict[str, Any]
Context = dict[str, str | list[str]]
VARIABLE = re.compile(r"\$\{[^}]*\}")

HOME, AWAY = "111111111111", "222222222222"
USER = f"arn:aws:iam::{HOME}:user/ann"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/reader/tuesday"
ROLE = f"arn:aws:iam::{HOME}:role/reader"
SERVICE = "logging.s3.amazonaws.com"
ANONYMOUS = ""
CALLERS = (USER, USER, USER, SESSION, SESSION, ANONYMOUS, SERVICE)
# actions with the resources that they may have
REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::photos/ann/cat.jpg"),
    ("s3:GetObject", "arn:aws:s3:::photos/public/a:b"),
    ("s3:PutObject", "arn:aws:s3:::photos/ann/cat.jpg"),
    ("s3:ListBucket", "arn:aws:s3:::photos"),
    ("s3:ListAllMyBuckets", "*"),
    ("ec2:DescribeInstances", "*"),
    ("ec2:TerminateInstances", f"arn:aws:ec2:eucabox:{HOME}:instance/i-00000001"),
    ("ec2:StartInstances", f"arn:aws:ec2:eucabox:{AWAY}:instance/i-00000002"),
    ("iam:GetUser", f"arn:aws:iam::{HOME}:user/ann"),
    ("iam:PassRole", f"arn:aws:iam::{HOME}:role/service/reader"),
    ("sts:AssumeRole", f"arn:aws:iam::{AWAY}:role/reader"),
)
ACTIONS = (
    "*", "s3:*", "s3:Get*", "s3:GetObject", "S3:getobject", "s3:?etObject", "s3:PutObject",
    "s3:ListBucket", "s3:List*", "ec2:*", "ec2:Describe*", "ec2:TerminateInstances",
    "ec2:*Instances", "iam:*", "iam:GetUser", "iam:PassRole", "sts:AssumeRole", "sts:*",
)  # fmt: skip
RESOURCES = (
    "*", "*", "arn:aws:s3:::photos", "arn:aws:s3:::photos/*", "arn:aws:s3:::*",
    "arn:aws:s3:::photos/ann/*", "arn:aws:s3:::photos/?nn/cat.jpg", "arn:aws:s3:::pho*",
    "arn:aws:s3:::photos/${aws:username}/*", "arn:aws:s3:::photos/${aws:PrincipalTag/team}/*",
    "arn:aws:s3:::photos/${aws:username, 'public'}/*", "arn:aws:s3:::photos/*/c*.jpg",
    "arn:aws:ec2:*:*:instance/*", f"arn:aws:ec2:eucabox:{HOME}:instance/*",
    "arn:aws:ec2:eucabox:*:instance/i-0000000?", "arn:aws:ec2:*:*:image/*", "arn:aws:ec2:*",
    f"arn:aws:iam::{HOME}:user/${{aws:username}}", "arn:aws:iam::*:role/*",
    f"arn:aws:iam::{HOME}:*", f"arn:aws:iam::{AWAY}:role/reader",
)  # fmt: skip
TEXTS = (
    "ann",
    "bob",
    "a*",
    "?nn",
    "ANN",
    "*",
    "red",
    "${aws:username}",
    "${aws:PrincipalTag/team}",
)
# keys with their values in requests, their operators, and values in documents
KEYS: dict[str, tuple[tuple[Any, ...], tuple[str, ...], tuple[Any, ...]]] = {}
STRINGS = (
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
    "StringLike", "StringNotLike",
)  # fmt: skip
ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
ARNS = ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike")
KEYS["aws:username"] = (("ann", "bob", None), STRINGS, TEXTS)
KEYS["aws:PrincipalTag/team"] = (("red", "ann", "Red", None), STRINGS, TEXTS)
KEYS["aws:UserAgent"] = (("ann", "*", "aws-cli/2", None), STRINGS, (*TEXTS, "aws-cli/*", "${*}"))
KEYS["aws:RequestedRegion"] = (("eucabox", "eu", None), STRINGS, ("eucabox", "eu*", "Eucabox"))
KEYS["aws:TagKeys"] = (
    (["team"], ["team", "cost"], ["Team"], None),
    STRINGS,
    ("team", "cost", "te*", "TEAM"),
)
KEYS["aws:SourceIp"] = (
    ("10.1.2.3", "192.0.2.1", "2001:db8::1", None),
    ("IpAddress", "NotIpAddress"),
    ("10.0.0.0/8", "192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32", "0.0.0.0/0"),
)
KEYS["aws:SecureTransport"] = (("true", "false", None), ("Bool",), ("true", "false", True, False))
KEYS["aws:MultiFactorAuthPresent"] = (("true", None), ("Bool",), ("true", "false"))
KEYS["aws:MultiFactorAuthAge"] = (
    ("0", "60", "3600", None),
    tuple(f"Numeric{each}" for each in ORDER),
    ("60", 60, "3600", "59.5", "-1"),
)
KEYS["aws:CurrentTime"] = (
    ("2026-01-31T12:00:00Z", "2025-06-01T00:00:00Z", None),
    tuple(f"Date{each}" for each in ORDER),
    ("2026-01-31T12:00:00Z", "2025-12-31T00:00:00Z", "2026-01-31T13:00:00+01:00"),
)
KEYS["aws:PrincipalArn"] = (
    (USER, ROLE, None),
    (*ARNS, *STRINGS),
    (USER, ROLE, "arn:aws:iam::*:user/*", f"arn:aws:iam::{HOME}:*", "arn:aws:iam::*:user/a?n"),
)
PRINCIPALS: tuple[Any, ...] = (
    "*", {"AWS": "*"}, {"AWS": HOME}, {"AWS": f"arn:aws:iam::{HOME}:root"}, {"AWS": USER},
    {"AWS": ROLE}, {"AWS": SESSION}, {"AWS": AWAY}, {"AWS": f"arn:aws:iam::{HOME}:user/bob"},
    {"Service": SERVICE}, {"AWS": [USER, ROLE]}, {"Service": "ec2.amazonaws.com"},
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One question to an evaluator."""

    name: str
    caller: str
    action: str
    resource: str
    owner: str
    context: Context
    identity: list[Document] = field(default_factory=list)
    boundary: list[Document] | None = None
    session: Document | None = None
    resource_policy: Document | None = None

    @property
    def documents(self) -> list[Document]:
        """All documents that apply."""
        others = [each for each in (self.session, self.resource_policy) if each]
        return [*self.identity, *(self.boundary or []), *others]


def make_case(name: str) -> Case:
    """Make the case of a name: the same name makes the same case."""
    chance = random.Random(name)
    caller = chance.choice(CALLERS)
    action, resource = chance.choice(REQUESTS)
    known = caller not in (ANONYMOUS, SERVICE)
    of_resource = not known or chance.random() < 0.5

    def make(principals: bool = False) -> Document:
        return make_document(chance, action, resource, principals)

    return Case(
        name=name,
        caller=caller,
        action=action,
        resource=resource,
        owner=_choose_owner(chance, resource),
        context=_make_context(chance),
        identity=[make() for _ in range(chance.randint(1, 2))] if known else [],
        boundary=[make()] if known and chance.random() < 0.3 else None,
        session=make() if caller == SESSION and chance.random() < 0.3 else None,
        resource_policy=make(principals=True) if of_resource else None,
    )


def _choose_owner(chance: random.Random, resource: str) -> str:
    named = (resource.split(":") + [""] * 5)[4]
    return named or chance.choice((HOME, HOME, AWAY))


def _make_context(chance: random.Random) -> Context:
    chosen = {key: chance.choice(values) for key, (values, _, _) in KEYS.items()}
    return {key: value for key, value in chosen.items() if value is not None}


def make_document(
    chance: random.Random, action: str, resource: str, principals: bool = False
) -> Document:
    """Make a document of one to three statements, half of them about an action and a resource."""
    count = chance.randint(1, 3)
    statements = [make_statement(chance, action, resource, principals) for _ in range(count)]
    return {"Version": "2012-10-17", "Statement": statements}


def make_statement(
    chance: random.Random, action: str, resource: str, principals: bool = False
) -> Document:
    """Make a statement, with a Principal if the document is a resource's."""
    statement: Document = {"Effect": "Deny" if chance.random() < 0.2 else "Allow"}
    if principals:
        inverted = statement["Effect"] == "Deny" and chance.random() < 0.2
        statement["NotPrincipal" if inverted else "Principal"] = chance.choice(PRINCIPALS)
    named = "Action" if chance.random() < 0.8 else "NotAction"
    statement[named] = _pick(chance, _choose_about(chance, ACTIONS, action.lower()))
    named = "Resource" if chance.random() < 0.8 else "NotResource"
    statement[named] = _pick(chance, _choose_about(chance, RESOURCES, resource))
    if chance.random() < 0.6:
        statement["Condition"] = _make_conditions(chance)
    return statement


def _choose_about(chance: random.Random, patterns: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Return all patterns, or as often those that a text may match."""
    if chance.random() < 0.5:
        return patterns
    return tuple(each for each in patterns if fnmatchcase(text, VARIABLE.sub("*", each)))


def _pick(chance: random.Random, values: tuple[Any, ...]) -> Any:
    picked = chance.sample(values, chance.randint(1, min(3, len(values))))
    return picked[0] if len(picked) == 1 and chance.random() < 0.5 else picked


def _make_conditions(chance: random.Random) -> Document:
    conditions: Document = {}
    for key in chance.sample(list(KEYS), chance.choice((1, 1, 2))):
        _, operators, values = KEYS[key]
        if chance.random() < 0.1:
            conditions.setdefault("Null", {})[key] = chance.choice(("true", "false", True, False))
            continue
        operator = chance.choice(operators)
        if key == "aws:TagKeys":
            prefix = ("ForAllValues:", "ForAnyValue:", "ForAllValues:", "ForAnyValue:", "")
            operator = chance.choice(prefix) + operator
        if chance.random() < 0.2:
            operator += "IfExists"
        conditions.setdefault(operator, {})[key] = _pick(chance, values)
    return conditions
