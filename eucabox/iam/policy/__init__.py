"""The policy language: parses documents and evaluates requests; acts on no verdict."""

from eucabox.iam.policy.document import Policy, Statement, compile_policy, parse
from eucabox.iam.policy.principals import PrincipalDirectory
from eucabox.iam.policy.request import AuthorizationRequest

__all__ = [
    "AuthorizationRequest",
    "Policy",
    "PrincipalDirectory",
    "Statement",
    "compile_policy",
    "parse",
]
