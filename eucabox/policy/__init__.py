"""The language of policies: documents are read and judged; never what is done with a verdict."""

from eucabox.policy.document import Policy, Statement, compiled, parse
from eucabox.policy.principals import Directory
from eucabox.policy.question import Question

__all__ = ["Directory", "Policy", "Question", "Statement", "compiled", "parse"]
