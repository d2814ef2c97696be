"""What a whole row of each of IAM's tables holds; booleans are 0 or 1, times are text in UTC."""

from typing import TypedDict


class UserRow(TypedDict):
    """A user or, with `is_root`, what stands for its account; `information` is JSON."""

    user_id: str
    account_id: str
    user_name: str
    path: str
    admin: int
    created: str
    is_root: int
    password: str
    password_created: str
    password_reset_required: int
    password_last_used: str
    permissions_boundary: str
    information: str
    disabled: int
    password_expires: str


class UsedPasswordRow(TypedDict):
    """A password that a user has or had, hashed."""

    user_id: str
    password: str
    created: str


class AccessKeyRow(TypedDict):
    """An access key; its secret is sealed."""

    access_key_id: str
    user_id: str
    secret: bytes
    status: str
    created: str
    last_used: str
    last_used_service: str
    last_used_region: str


class CertificateRow(TypedDict):
    """A signing certificate; `private_key` is sealed, and None where the user uploaded it."""

    certificate_id: str
    user_id: str
    certificate: str
    private_key: bytes | None
    status: str
    created: str


class MfaDeviceRow(TypedDict):
    """A virtual MFA device; its seed is sealed. With a `user_id` but not `enabled` it is one that
    this user alone may enable. `drift` is by how many steps its clock is before ours, `last_step`
    that of the last code that was taken."""

    serial_number: str
    account_id: str
    user_id: str | None
    seed: bytes
    drift: int
    last_step: int
    created: str
    enabled: str


class GroupRow(TypedDict):
    """A group of users."""

    group_id: str
    account_id: str
    group_name: str
    path: str
    created: str


class RoleRow(TypedDict):
    """A role."""

    role_id: str
    account_id: str
    role_name: str
    path: str
    description: str
    trust_policy: str
    max_session_duration: int
    permissions_boundary: str
    created: str
    last_used: str
    last_used_region: str


class InstanceProfileRow(TypedDict):
    """An instance profile; `role_id` is None while it has no role."""

    instance_profile_id: str
    account_id: str
    instance_profile_name: str
    path: str
    role_id: str | None
    created: str


class PolicyRow(TypedDict):
    """A managed policy."""

    policy_id: str
    account_id: str
    policy_name: str
    path: str
    description: str
    default_version_id: str
    newest_version: int
    created: str
    updated: str


class PolicyVersionRow(TypedDict):
    """A version of a managed policy."""

    policy_id: str
    version_id: str
    document: str
    created: str


class OidcProviderRow(TypedDict):
    """An identity provider; `client_ids` and `thumbprints` are JSON, `jwks` its keys or ""."""

    provider_id: str
    account_id: str
    url: str
    client_ids: str
    thumbprints: str
    jwks: str
    created: str


class SessionRow(TypedDict):
    """Temporary credentials; `policies` (None for no limit), `tags` and `transitive_tags` are JSON,
    `federated` is the ARN of the identity provider that vouched for who assumed the role."""

    access_key_id: str
    secret: bytes
    token_hash: str
    account_id: str
    user_id: str | None
    role_id: str | None
    session_name: str
    instance_id: str
    policies: str | None
    tags: str
    transitive_tags: str
    federated: str
    mfa: int
    source_identity: str
    created: str
    expires: str


class SignUpRow(TypedDict):
    """Somebody who asks for an account; `password` is hashed, `information` is JSON."""

    sign_up_id: str
    user_name: str
    email: str
    password: str
    information: str
    state: str
    created: str
    expires: str


class CodeRow(TypedDict):
    """A code that was mailed, by its hash, of a user or of a sign-up."""

    code_hash: str
    purpose: str
    user_id: str | None
    sign_up_id: str | None
    created: str
    expires: str


ROW_TYPES = {
    "users": UserRow,
    "used_passwords": UsedPasswordRow,
    "access_keys": AccessKeyRow,
    "certificates": CertificateRow,
    "mfa_devices": MfaDeviceRow,
    "groups": GroupRow,
    "roles": RoleRow,
    "instance_profiles": InstanceProfileRow,
    "policies": PolicyRow,
    "policy_versions": PolicyVersionRow,
    "oidc_providers": OidcProviderRow,
    "sessions": SessionRow,
    "sign_ups": SignUpRow,
    "codes": CodeRow,
}
