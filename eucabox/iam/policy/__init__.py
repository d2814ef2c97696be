"""The language of policies: documents are read and judged; never what is done with a verdict."""

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
