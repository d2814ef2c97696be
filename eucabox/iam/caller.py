"""Who makes a request: a user of an account, its root, or a session; looks nobody up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from eucabox.iam.policy.request import PolicyPrincipal, RoleSession


@dataclass(frozen=True)
class Session:
    """Temporary credentials, under which a caller acts.

    `role` is the session of a role, None where a user has the session for itself. `policies` are
    the texts of the policies that limit the session, None where none does; `tags` are those of the
    principal for aws:PrincipalTag, and `transitive_tags` the names of those that the next role
    in a chain gets too. `created` and `expires` are times as `ids.now` writes them.
    """

    access_key_id: str
    token_hash: str
    expires: str
    role: RoleSession | None = None
    policies: tuple[str, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    instance_id: str = ""  # whose metadata gave the credentials
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""
    federated: str = ""  # the ARN of the identity provider that vouched for the caller
    mfa: bool = False
    created: str = ""


@dataclass(frozen=True)
class ConsoleSignIn:
    """How a user of the console came in: with a code of an MFA device or without, and when, as
    `ids.now` writes it."""

    mfa: bool
    created: str


@dataclass(frozen=True)
class Caller:
    """A user of an account who makes a request with an access key or on the console, or the
    session of a role.

    For the session of a role `user_id` and `user_name` are "".
    """

    account_id: str
    account_name: str
    canonical_id: str
    user_id: str
    user_name: str
    admin: bool  # of the whole cloud
    access_key_id: str = ""
    email: str = ""  # of the account
    is_root: bool = False  # of its account: the one who may do all in it
    path: str = "/"
    session: Session | None = None
    sign_in: ConsoleSignIn | None = None
    # False for a root by a key of its own, who may do all in its account and is asked for no policy
    is_limited: bool = field(init=False, repr=False, compare=False)
    # the name in logs: ACCOUNT_ID/USER, or ACCOUNT_ID/ROLE/SESSION
    label: str = field(init=False, repr=False, compare=False)
    # of what its requests are a use: the id of its access key, or of the role whose session it is;
    # "" for a session that a user has for itself
    credential_id: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        role = self.session.role if self.session is not None else None
        name = f"{role.role_name}/{role.session_name}" if role is not None else self.user_name
        object.__setattr__(self, "is_limited", not self.is_root or self.session is not None)
        object.__setattr__(self, "label", f"{self.account_id}/{name}")
        used = role.role_id if role is not None else self.access_key_id if not self.session else ""
        object.__setattr__(self, "credential_id", used)

    @property
    def principal(self) -> PolicyPrincipal:
        """The caller as policies name it."""
        if self.session is not None and self.session.role is not None:
            return self.session.role
        return self

    @property
    def arn(self) -> str:
        """The Amazon resource name of the user, of the account's root, or of the role's session."""
        if self.session is not None and self.session.role is not None:
            return self.session.role.arn
        if self.is_root:
            return f"arn:aws:iam::{self.account_id}:root"
        return f"arn:aws:iam::{self.account_id}:user{self.path}{self.user_name}"

    @property
    def unique_id(self) -> str:
        """The id that policies call aws:userid: of a root its account, of a role's session that of
        the role and the session's name."""
        if self.session is not None and self.session.role is not None:
            return self.session.role.unique_id
        return self.account_id if self.is_root else self.user_id


@dataclass(frozen=True)
class Credential:
    """An access key with its secret and its owner."""

    caller: Caller
    secret: str
    active: bool
