"""The values of condition keys that a request has by its caller, its way and its tags: those of
AWS that are the same for all services, and EC2's. S3's own are in s3/condition_keys.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from eucabox import ids
from eucabox.iam.policy.request import PolicyPrincipal, RoleSession, key_name

# condition keys that a part of Call.context has
CONTEXT = {
    "aws:referer": "referer",
    "aws:requestedregion": "region",
    "aws:securetransport": "secure",
    "aws:sourceip": "source_ip",
    "aws:useragent": "user_agent",
}
PRINCIPAL_TAG, REQUEST_TAG = "aws:principaltag/", "aws:requesttag/"
RESOURCE_TAGS = ("aws:resourcetag/", "ec2:resourcetag/", "iam:resourcetag/")
MFA, ISSUED = "aws:multifactorauthpresent", "aws:tokenissuetime"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class RequestValues:
    """Looks up the values of a request when a policy asks for them.

    `context` tells how the request came, as Call.context; `more` has what only the action knows,
    by key, such as ec2:InstanceType or iam:PassedToService; its spelling does not matter.
    `mfa` is None for keys that never come with a second factor.
    """

    principal: PolicyPrincipal | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    principal_tags: Mapping[str, str] = field(default_factory=dict)
    request_tags: Mapping[str, str] | None = None
    resource_tags: Mapping[str, str] | None = None
    resource_account: str = ""
    mfa: bool | None = None
    more: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    now: Callable[[], datetime] = _now

    def __post_init__(self) -> None:
        spelled = {key_name(key): value for key, value in self.more.items()}
        object.__setattr__(self, "more", spelled)

    def __call__(self, key: str) -> Sequence[str] | None:
        """Return the values of a key, as `key_name` writes it; None where the request has none."""
        if key in self.more:
            value = self.more[key]
            return (value,) if isinstance(value, str) else tuple(value)
        if key in CONTEXT:
            return _one(self.context.get(CONTEXT[key]))
        if "/" in key:
            return self._read_tag(key)
        return OTHERS[key](self) if key in OTHERS else None

    def _read_tag(self, key: str) -> Sequence[str] | None:
        name, _, tag = key.partition("/")
        if name + "/" == PRINCIPAL_TAG:
            return _tag(self.principal_tags, tag)
        if name + "/" == REQUEST_TAG:
            return _tag(self.request_tags, tag)
        return _tag(self.resource_tags, tag) if name + "/" in RESOURCE_TAGS else None

    def _read_principal_arn(self) -> Sequence[str] | None:
        if isinstance(self.principal, RoleSession):
            return (self.principal.role_arn,)
        return _one(getattr(self.principal, "arn", ""))

    def _read_type(self) -> Sequence[str]:
        if self.principal is None:
            return ("Anonymous",)
        if isinstance(self.principal, RoleSession):
            return ("AssumedRole",)
        return ("Account",) if self.principal.arn.endswith(":root") else ("User",)

    def _read_mfa_age(self) -> Sequence[str] | None:
        """The seconds since a session began that came with a second factor."""
        began = self.more.get(ISSUED)
        if self(MFA) != ("true",) or not isinstance(began, str):
            return None
        return (str(max(0, int((self.now() - ids.parse_time(began)).total_seconds()))),)

    def _read_user_name(self) -> Sequence[str] | None:
        if self.principal is None or self._read_type() != ("User",):
            return None
        return _one(self.principal.user_name)


def _one(value: object) -> Sequence[str] | None:
    return (str(value),) if value else None


def _tag(tags: Mapping[str, str] | None, name: str) -> Sequence[str] | None:
    return (tags[name],) if tags is not None and name in tags else None


OTHERS: dict[str, Callable[[RequestValues], Sequence[str] | None]] = {
    "ec2:region": lambda values: _one(values.context.get("region")),
    "aws:currenttime": lambda values: (values.now().isoformat(),),
    "aws:epochtime": lambda values: (str(int(values.now().timestamp())),),
    "aws:multifactorauthage": RequestValues._read_mfa_age,
    MFA: lambda values: None if values.mfa is None else (str(values.mfa).lower(),),
    "aws:principalaccount": lambda values: _one(getattr(values.principal, "account_id", "")),
    "aws:principalarn": RequestValues._read_principal_arn,
    "aws:principalisawsservice": lambda values: ("false",),
    "aws:principaltype": RequestValues._read_type,
    "aws:resourceaccount": lambda values: _one(values.resource_account),
    "aws:tagkeys": lambda values: tuple(values.request_tags or ()) or None,
    "aws:userid": lambda values: (
        _one(getattr(values.principal, "unique_id", "")) if values.principal else ("anonymous",)
    ),
    "aws:username": RequestValues._read_user_name,
    "aws:viaawsservice": lambda values: ("false",),
}
