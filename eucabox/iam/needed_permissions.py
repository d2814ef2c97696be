"""Which permissions a request to IAM, STS or the cloud's own services needs. Decides nothing.

As in IAM a refusal names an entity by the name that the caller sent, without its path.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eucabox.iam.identity_providers import list_providers, provider_arn, provider_name
from eucabox.iam.needed_permission import (
    ANY,
    Facts,
    Members,
    NeededPermission,
    read_tags,
    read_text,
    read_texts,
)
from eucabox.iam.policy.resource_types import list_resource_types, resource_arn
from eucabox.state import Row, State

TABLES = {
    "group": "groups",
    "instance-profile": "instance_profiles",
    "policy": "policies",
    "role": "roles",
    "user": "users",
}
MADE_BY = {
    "CreateGroup": "group",
    "CreateInstanceProfile": "instance-profile",
    "CreatePolicy": "policy",
    "CreateRole": "role",
    "CreateUser": "user",
    "CreateVirtualMFADevice": "mfa",
}
NAMES = {"mfa": "virtual_mfa_device_name"}  # members with the names of new ones; else KIND_name
RENAMING = {"UpdateGroup": "group", "UpdateUser": "user"}
BOUNDED = ("role", "user")
NAMED_BY_ARN = {
    "policy": "policy_arn",
    "oidc-provider": "open_id_connect_provider_arn",
    "mfa": "serial_number",
}
ENTITY = ("policy_source_arn", "arn")  # in actions on a user, a group or a role
OF_USERS = ("CreateSigningCertificate", "GetUserInfo", "UpdateUserInfo")  # Eucalyptus' own
ARN = re.compile(r"arn:aws:iam::(\d{12}):([a-z-]+)(/(?:.*/)?)([^/]+)")
PASSING = "AddRoleToInstanceProfile"
SERVICE = "ec2.amazonaws.com"
BOUNDARY = "permissions_boundary"


@dataclass(frozen=True)
class IamRequest:
    """A request to a service without instances or buckets, whose members nobody has checked yet.

    `user_name` is the caller's, whom many actions of IAM mean where they name no user; "" for a
    session of a role.
    """

    service: str
    name: str
    params: Members
    state: State
    account_id: str
    user_name: str

    def list_needed(self) -> Iterator[NeededPermission]:
        """Yield the permissions one after the other."""
        action = f"{self.service}:{self.name}"
        resources = list(self._list_resources(self._list_types(action)))
        for resource in resources or [NeededPermission(action)]:
            yield replace(resource, facts=self._read_facts(), request_tags=self._read_tags())
        if self.name == PASSING:
            yield self._need_pass_role()

    def _list_types(self, action: str) -> list[str]:
        if self.service != "iam":
            return []
        if self.name in OF_USERS:
            return ["user"]
        return [each.removeprefix("iam:") for each in list_resource_types(action)]

    def _list_resources(self, types: Sequence[str]) -> Iterator[NeededPermission]:
        if len(types) > 1:
            yield self._need_arn(next(filter(None, map(self._read, ENTITY)), ""))
            return
        for kind in types:
            if MADE_BY.get(self.name) == kind:
                yield self._need_new(kind)
            elif self.name == "CreateOpenIDConnectProvider":
                name = provider_name(self._read("url")) or ANY
                arn = resource_arn("iam:oidc-provider", name, self.account_id)
                yield NeededPermission(f"{self.service}:{self.name}", arn)
            elif kind in NAMED_BY_ARN:
                yield self._need_arn(self._read(NAMED_BY_ARN[kind]))
            elif kind in TABLES:
                yield from self._list_named(kind)

    def _list_named(self, kind: str) -> Iterator[NeededPermission]:
        """The entity that the request names, and what it becomes by another name or path."""
        name = self._read(f"{kind.replace('-', '_')}_name")
        shown = name or (self.user_name if kind == "user" else "")
        if not name and kind == "user":
            name = self._find_unnamed_user()
        row = self._find_row(kind, name)
        yield self._need(kind, shown, name, "/", row)
        new_name, new_path = (
            self._read(f"new_{kind}_name"),
            self._read("new_path"),
        )
        if RENAMING.get(self.name) == kind and (new_name or new_path):
            path = new_path or (row["path"] if row else "/")
            yield self._need(kind, new_name or shown, new_name or name, path, None)

    def _find_unnamed_user(self) -> str:
        """Return the caller's user, or the owner of an access key of the account."""
        if self.name != "GetAccessKeyLastUsed":
            return self.user_name
        sql = """select user_name from access_keys join users using (user_id)
          where access_key_id = ? and account_id = ?"""
        key_id = self._read("access_key_id")
        row = self.state.one(sql, (key_id, self.account_id))
        return str(row["user_name"]) if row else ""

    def _need_new(self, kind: str) -> NeededPermission:
        name = self._read(NAMES.get(kind, f"{kind.replace('-', '_')}_name"))
        needed = self._need(kind, name, name, self._read("path") or "/", None)
        return replace(needed, shown="") if kind == "mfa" else needed  # AWS shows its ARN

    def _need(
        self, kind: str, shown: str, name: str, path: str, row: Row | None
    ) -> NeededPermission:
        """Return what is needed for an entity: its row, or without one its name and path."""
        whole = f"{row['path']}{row['name']}" if row else f"{path}{name or ANY}"
        return NeededPermission(
            f"{self.service}:{self.name}",
            resource_arn(f"iam:{kind}", whole.removeprefix("/"), self.account_id),
            f"{kind.replace('-', ' ')} {shown or ANY}",
            load_facts=lambda: self._load_facts(kind, row),
            load_tags=lambda: self._load_tags(row),
        )

    def _need_arn(self, arn: str) -> NeededPermission:
        """Return what is needed for an entity that is named by its ARN; one that is stored under
        another spelling is asked for as it is stored."""
        action, match = f"{self.service}:{self.name}", ARN.fullmatch(arn)
        if match is None or match[2] not in TABLES or match[1] != self.account_id:
            return NeededPermission(
                action, arn or ANY, load_tags=lambda: self._load_tags_of_arn(arn)
            )
        row = self._find_row(match[2], match[4])
        return replace(self._need(match[2], "", match[4], match[3], row), shown=arn)

    def _need_pass_role(self) -> NeededPermission:
        name = self._read("role_name")
        found = self._need("role", name, name, "/", self._find_row("role", name))
        facts = {"iam:PassedToService": SERVICE}
        shown = f"arn:aws:iam::{self.account_id}:role/{name or ANY}"
        return NeededPermission("iam:PassRole", found.resource, shown, facts)

    def _find_row(self, kind: str, name: str) -> Row | None:
        """Return an entity's row; as in IAM another case is no other name."""
        column = kind.replace("-", "_")
        boundary = BOUNDARY if kind in BOUNDED else "''"
        sql = f"""select {column}_id as id, path, {column}_name as name, {boundary} as boundary
          from {TABLES[kind]} where account_id = ? and lower({column}_name) = lower(?)"""
        return self.state.one(sql, (self.account_id, name)) if name else None

    def _read_facts(self) -> dict[str, str | Sequence[str]]:
        facts: dict[str, str | Sequence[str]] = {
            "iam:PolicyARN": self._read("policy_arn"),
            "iam:PermissionsBoundary": self._read(BOUNDARY),
            "aws:TagKeys": read_texts(self.params, "tag_keys"),
        }
        return {key: value for key, value in facts.items() if value}

    def _read_tags(self) -> dict[str, str] | None:
        return read_tags(self.params, "tags")

    def _read(self, member: str) -> str:
        return read_text(self.params, member)

    def _load_facts(self, kind: str, row: Row | None) -> Facts:
        """The boundary that a user or role has; one in the request goes before it."""
        if row is None or kind not in BOUNDED or not row["boundary"]:
            return {}
        return {"iam:PermissionsBoundary": row["boundary"]}

    def _load_tags_of_arn(self, arn: str) -> Facts:
        """The tags of an identity provider, or of an MFA device, whose ARN is its id."""
        sql = "select 1 from mfa_devices where serial_number = ? and account_id = ?"
        if self.state.one(sql, (arn, self.account_id)):
            return self._load_tags({"id": arn})
        for row in list_providers(self.state, self.account_id):
            if provider_arn(row) == arn:
                return self._load_tags({"id": row["provider_id"]})
        return {}

    def _load_tags(self, row: Row | None) -> Facts:
        if row is None:
            return {}
        sql = "select key, value from iam_tags where resource_id = ?"
        return {each["key"]: each["value"] for each in self.state.query(sql, (row["id"],))}
