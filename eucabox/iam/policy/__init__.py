"""The policy language: parses documents and evaluates requests; acts on no verdict."""

from eucabox.iam.policy.compiled import (
    compile_identity_policy,
    compile_policy,
    compile_trust_policy,
)
from eucabox.iam.policy.document import parse
from eucabox.iam.policy.identity_documents import parse_identity_policy, parse_trust_policy
from eucabox.iam.policy.principals import PrincipalDirectory
from eucabox.iam.policy.request import AuthorizationRequest, RoleSession
from eucabox.iam.policy.statements import Policy, Statement

__all__ = [
    "AuthorizationRequest",
    "Policy",
    "PrincipalDirectory",
    "RoleSession",
    "Statement",
    "compile_identity_policy",
    "compile_policy",
    "compile_trust_policy",
    "parse",
    "parse_identity_policy",
    "parse_trust_policy",
]
