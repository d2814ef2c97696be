"""Compiled policies: statements, and whether they allow or deny a request."""

from dataclasses import dataclass
from typing import Literal

from eucabox.iam.policy.conditions import Condition
from eucabox.iam.policy.principals import NamedAs, Principals
from eucabox.iam.policy.request import AuthorizationRequest
from eucabox.iam.policy.wildcards import Pattern, lacks_value

Verdict = Literal["Allow", "Deny", ""]


@dataclass(frozen=True)
class Patterns:
    """Actions or resources: those that match a pattern, or with `others` those that match none.

    `needed` are the patterns of an Allow's NotResource whose variables must have a value: else
    what could not be named would be allowed.
    """

    patterns: tuple[Pattern, ...]
    others: bool = False
    needed: tuple[str, ...] = ()

    def matches(self, text: str, request: AuthorizationRequest) -> bool:
        """True if the text matches."""
        if self.needed and any(lacks_value(each, request) for each in self.needed):
            return False
        return any(each.matches(text, request) for each in self.patterns) != self.others


@dataclass(frozen=True)
class Statement:
    """A statement: its effect, principals, actions, resources and conditions."""

    allows: bool
    principals: Principals
    actions: Patterns
    resources: Patterns
    conditions: tuple[Condition, ...] = ()
    sid: str = ""

    def fits(self, request: AuthorizationRequest, bounded: bool = False) -> bool:
        """True if the statement applies to the request.

        As in AWS a denial by NotPrincipal meets all whose permissions have a boundary, `bounded`.
        """
        return (
            self.actions.matches(request.action, request)
            and self.resources.matches(request.resource, request)
            and (self.principals.matches(request) or (bounded and self.principals.others))
            and all(each.holds(request) for each in self.conditions)
        )


@dataclass(frozen=True)
class Policy:
    """A compiled document."""

    statements: tuple[Statement, ...]

    def evaluate(self, request: AuthorizationRequest) -> Verdict:
        """Return "Deny" if one statement denies it, else "Allow" if one allows it, else ""."""
        verdict: Verdict = ""
        for statement in self.statements:
            if (verdict != "Allow" or not statement.allows) and statement.fits(request):
                if not statement.allows:
                    return "Deny"
                verdict = "Allow"
        return verdict

    def list_fitting(self, request: AuthorizationRequest, bounded: bool = False) -> list[int]:
        """Return the numbers, from 0, of the statements that apply to the request."""
        numbered = enumerate(self.statements)
        return [number for number, each in numbered if each.fits(request, bounded)]

    def may_allow(self, request: AuthorizationRequest) -> bool:
        """True if a statement allows the action to the principal, for some resource and under some
        conditions; the rest of the request need not be known yet."""
        return any(
            each.allows
            and each.actions.matches(request.action, request)
            and each.principals.matches(request)
            for each in self.statements
        )

    def match_closely(self, numbers: list[int], request: AuthorizationRequest) -> NamedAs:
        """Tell how closely these statements name the principal of the request, at the closest."""
        named = (self.statements[each].principals.match_closely(request) for each in numbers)
        return max(named, default=NamedAs.NOBODY)


EVERYTHING = Patterns((Pattern("*"),))
# what a document means that can't be read any more
ALL = Principals(everyone=True, denies=True)
NOTHING = Policy((Statement(False, ALL, EVERYTHING, EVERYTHING),))
