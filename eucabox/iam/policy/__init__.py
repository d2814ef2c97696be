"""The language of policies: documents are read and judged; never what is done with a verdict."""

from eucabox.iam.policy.document import Policy, Statement, compiled, parse
from eucabox.iam.policy.principals import Directory
from eucabox.iam.policy.request import Question

__all__ = ["Directory", "Policy", "Question", "Statement", "compiled", "parse"]
