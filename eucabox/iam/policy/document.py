"""Policy documents: parsed with precise errors, compiled, and evaluated for a request."""

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Literal, Protocol

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy import conditions, principals
from eucabox.iam.policy.conditions import Condition
from eucabox.iam.policy.principals import PrincipalDirectory, Principals
from eucabox.iam.policy.request import AuthorizationRequest
from eucabox.iam.policy.wildcards import Pattern

Verdict = Literal["Allow", "Deny", ""]
VERSIONS = ("2008-10-17", "2012-10-17")
FIELDS = ("Version", "Id", "Statement")
MEMBERS = (
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
    "NotResource", "Condition",
)  # fmt: skip
LARGEST = 20 * 1024  # bytes
DEEPEST = 100  # objects and lists in each other; a policy's meaning ends at the sixth
STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)
OPENING, CLOSING = ("{", "["), ("}", "]")
MOST_KEPT = 256 * 1024  # characters of the documents in the cache


class Vocabulary(Protocol):
    """The actions, resources and keys that a service knows; a policy with others is refused."""

    def action(self, pattern: str) -> bool:
        """True if an action matches the pattern."""

    def resource(self, pattern: str) -> bool:
        """True if the policy may name such resources."""

    def key(self, name: str) -> bool:
        """True for a condition key, as `key_name` writes it."""


@dataclass(frozen=True)
class Patterns:
    """Actions or resources: those that match a pattern, or with `others` those that match none."""

    patterns: tuple[Pattern, ...]
    others: bool = False

    def matches(self, text: str, request: AuthorizationRequest) -> bool:
        """True if the text matches."""
        return any(each.matches(text, request) for each in self.patterns) != self.others


@dataclass(frozen=True)
class Statement:
    """A statement: its effect, principals, actions, resources and conditions."""

    allows: bool
    principals: Principals
    actions: Patterns
    resources: Patterns
    conditions: tuple[Condition, ...] = ()

    def fits(self, request: AuthorizationRequest) -> bool:
        """True if the statement applies to the request."""
        return (
            self.actions.matches(request.action, request)
            and self.resources.matches(request.resource, request)
            and self.principals.matches(request)
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

    def may_allow(self, request: AuthorizationRequest) -> bool:
        """True if a statement allows the action to the principal, for some resource and under some
        conditions; the rest of the request need not be known yet."""
        return any(
            each.allows
            and each.actions.matches(request.action, request)
            and each.principals.matches(request)
            for each in self.statements
        )


class _Anything:
    """The vocabulary for a stored document, which was checked when it was put."""

    def action(self, pattern: str) -> bool:
        return True

    resource = key = action


NOTHING = Policy(
    (
        Statement(
            False,
            Principals(everyone=True),
            Patterns((Pattern("*"),)),
            Patterns((Pattern("*"),)),
        ),
    )
)


class _Cache:
    """The policies used last, compiled, by their texts.

    Limited by the texts' characters: a compiled policy can take two hundred times its text.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._found: OrderedDict[str, Policy] = OrderedDict()
        self._lock = Lock()

    def __call__(self, text: str) -> Policy:
        with self._lock:
            if text in self._found:
                self._found.move_to_end(text)
                return self._found[text]
        try:
            compiled = parse(text, _Anything())
        except MalformedPolicy:
            compiled = NOTHING
        with self._lock:
            if text not in self._found:
                self._size += len(text)
            self._found[text] = compiled
            while self._size > self._most:
                self._size -= len(self._found.popitem(last=False)[0])
        return compiled


_cache = _Cache(MOST_KEPT)


def compile_policy(text: str) -> Policy:
    """Return the compiled policy of a document that was checked before, from a cache.

    A document that can't be read any more denies everything.
    """
    return _cache(text)


def parse(text: str, vocabulary: Vocabulary, directory: PrincipalDirectory | None = None) -> Policy:
    """Read a document; raises MalformedPolicy, with a directory also for unknown principals."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        reason = f"Policy exceeds the maximum allowed document size: {size} of {LARGEST} bytes."
        raise MalformedPolicy(reason=reason)
    document = _read_json(text)
    _check_names(document, FIELDS, "the policy")
    version = document.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        reason = f"The policy must contain a valid version string: {' or '.join(VERSIONS)}."
        raise MalformedPolicy(reason=reason)
    if not isinstance(document.get("Id", ""), str):
        raise MalformedPolicy(reason="The Id of the policy is no text.")
    if "Statement" not in document:
        raise MalformedPolicy(reason="Missing required field Statement.")
    statements = document["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    if not statements:
        raise MalformedPolicy(reason="Could not parse the policy: Statement is empty.")
    reader = _PolicyReader(vocabulary, directory, version == VERSIONS[1])
    return Policy(tuple(reader.statement(each) for each in statements))


def _read_json(text: str) -> dict[str, object]:
    if not text.startswith("{"):
        reason = "Policies must be valid JSON and the first byte must be '{'."
        raise MalformedPolicy(reason=reason)
    if _measure_depth(text) > DEEPEST:  # how deep json goes differs from Python to Python
        reason = f"This policy contains invalid Json: too deep, more than {DEEPEST} levels."
        raise MalformedPolicy(reason=reason)
    try:
        document: dict[str, object] = json.loads(text, object_pairs_hook=_refuse_twice)
    except ValueError as problem:
        raise MalformedPolicy(reason=f"This policy contains invalid Json: {problem}.") from None
    return document


def _measure_depth(text: str) -> int:
    depth = deepest = 0
    for token in STRINGS_AND_BRACKETS.findall(text):
        depth += (token in OPENING) - (token in CLOSING)
        deepest = max(deepest, depth)
    return deepest


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise MalformedPolicy(reason=f"The policy has {twice[:60]} twice in one place.")
    return members


def _check_names(members: dict[str, object], names: Iterable[str], where: str) -> None:
    for name in members:
        if name not in names:
            reason = f"Unknown field {name[:60]} in {where}; there are {', '.join(names)}."
            raise MalformedPolicy(reason=reason)


class _PolicyReader:
    """Reads the statements of one document."""

    def __init__(
        self, vocabulary: Vocabulary, directory: PrincipalDirectory | None, variables: bool
    ) -> None:
        self._vocabulary = vocabulary
        self._directory = directory
        self._variables = variables  # the older version takes ${...} for plain text

    def statement(self, element: object) -> Statement:
        if not isinstance(element, dict):
            raise MalformedPolicy(reason="A statement of the policy is no JSON object.")
        _check_names(element, MEMBERS, "a statement")
        if not isinstance(element.get("Sid", ""), str):
            raise MalformedPolicy(reason="The Sid of a statement is no text.")
        effect = element.get("Effect")
        if effect is None:
            raise MalformedPolicy(reason="Missing required field Effect.")
        if effect not in ("Allow", "Deny"):
            raise MalformedPolicy(reason=f"Invalid effect: {str(effect)[:60]}. Use Allow or Deny.")
        return Statement(
            effect == "Allow",
            self._read_principals(element, effect),
            self._read_patterns(element, "Action", self._vocabulary.action),
            self._read_patterns(element, "Resource", self._vocabulary.resource),
            self._read_conditions(element.get("Condition", {})),
        )

    def _read_principals(self, element: dict[str, object], effect: str) -> Principals:
        name = _choose_name(element, "Principal")
        if name == "NotPrincipal" and effect == "Allow":
            reason = "Allow with NotPrincipal is not allowed. Name who may, or deny the others."
            raise MalformedPolicy(reason=reason)
        return principals.read(element[name], self._directory, name == "NotPrincipal")

    def _read_patterns(
        self, element: dict[str, object], what: str, is_known: Callable[[str], bool]
    ) -> Patterns:
        name = _choose_name(element, what)
        named = element[name]
        listed = named if isinstance(named, list) else [named]
        texts = [each for each in listed if isinstance(each, str) and each]
        if not texts or len(texts) < len(listed):
            raise MalformedPolicy(reason=f"The {name} of a statement is text or a list of texts.")
        for each in texts:
            if not is_known(each):
                raise MalformedPolicy(reason=f"Policy has invalid {what.lower()}: {each[:200]}.")
        if what == "Action":
            return Patterns(
                tuple(Pattern(each, variables=False, fold=True) for each in texts),
                name.startswith("Not"),
            )
        patterns = tuple(Pattern(each, self._variables) for each in texts)
        return Patterns(patterns, name.startswith("Not"))

    def _read_conditions(self, element: object) -> tuple[Condition, ...]:
        read = conditions.read(element, self._vocabulary.key)
        escapes = not self._variables and any("${" in text for each in read for text in each.values)
        if escapes and isinstance(element, dict):
            return conditions.read(_escape_variables(element), self._vocabulary.key)
        return read


def _escape_variables(element: dict[str, dict[str, object]]) -> dict[str, object]:
    """Return a Condition element in which every ${ stands for itself."""

    def plain(value: object) -> object:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return value.replace("${", "${$}{") if isinstance(value, str) else value

    return {
        operator: {key: plain(values) for key, values in keys.items()}
        for operator, keys in element.items()
    }


def _choose_name(element: dict[str, object], name: str) -> str:
    present = [each for each in (name, f"Not{name}") if each in element]
    if not present:
        raise MalformedPolicy(reason=f"Missing required field {name}.")
    if len(present) > 1:
        raise MalformedPolicy(reason=f"A statement has either {name} or Not{name}, not both.")
    return present[0]
