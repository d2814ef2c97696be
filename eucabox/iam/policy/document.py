"""Policy documents: parsed with precise errors into compiled policies; evaluates none."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy import conditions, principals
from eucabox.iam.policy.conditions import Condition
from eucabox.iam.policy.principals import PrincipalDirectory, Principals
from eucabox.iam.policy.statements import EVERYTHING, Patterns, Policy, Statement
from eucabox.iam.policy.wildcards import VARIABLE, Pattern

VERSIONS = ("2008-10-17", "2012-10-17")
FIELDS = ("Version", "Id", "Statement")
MEMBERS = (
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
    "NotResource", "Condition",
)  # fmt: skip
LARGEST = 20 * 1024  # bytes
DEEPEST = 100  # nested objects and lists; a policy needs six
STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)
OPENING, CLOSING = ("{", "["), ("}", "]")
ESCAPE = "\\u"
ARN_PARTS = 6
PROHIBITED = "Policy document should not specify a principal."


class Vocabulary(Protocol):
    """The actions, resources and keys that a service knows; a policy with others is refused."""

    def action(self, pattern: str) -> bool:
        """True if an action matches the pattern."""

    def resource(self, pattern: str) -> bool:
        """True if the policy may name such resources."""

    def key(self, name: str) -> bool:
        """True for a condition key, as `key_name` writes it."""


@dataclass(frozen=True)
class Grammar:
    """What a kind of document has beside effect, actions and conditions."""

    principals: tuple[str, ...] = principals.RESOURCE_KINDS  # none: a Principal is refused
    has_resource: bool = True
    plain_sids: bool = False  # of letters and digits, each only once
    completes_arns: bool = False  # takes the fields that an ARN leaves out for wildcards
    takes_empty: bool = False  # texts of no characters, which the vocabulary judges; no conditions
    versions: tuple[str, ...] = VERSIONS
    largest: int = LARGEST


RESOURCE = Grammar()


def parse(
    text: str,
    vocabulary: Vocabulary,
    directory: PrincipalDirectory | None = None,
    grammar: Grammar = RESOURCE,
) -> Policy:
    """Read a document; raises MalformedPolicy, with a directory also for unknown principals."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > grammar.largest:
        most = f"{size} of {grammar.largest} bytes"
        raise MalformedPolicy(reason=f"Policy exceeds the maximum allowed document size: {most}.")
    document = _read_json(text)
    _check_names(document, FIELDS, "the policy")
    version = document.get("Version", VERSIONS[0])
    if version not in grammar.versions:
        versions = " or ".join(grammar.versions)
        reason = f"The policy must contain a valid version string: {versions}."
        raise MalformedPolicy(reason=reason, outdated=version in VERSIONS)
    if not isinstance(document.get("Id", ""), str):
        raise MalformedPolicy(reason="The Id of the policy is no text.")
    if "Statement" not in document:
        raise MalformedPolicy(reason="Missing required field Statement.")
    statements = document["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    if not statements:
        raise MalformedPolicy(reason="Could not parse the policy: Statement is empty.")
    reader = _PolicyReader(vocabulary, directory, version == VERSIONS[1], grammar)
    read = Policy(tuple(reader.statement(each) for each in statements))
    if grammar.plain_sids:
        _check_sids([each.sid for each in read.statements if each.sid])
    return read


def _check_sids(sids: list[str]) -> None:
    if len(set(sids)) < len(sids):
        raise MalformedPolicy(reason="Statement IDs (SID) in a single policy must be unique.")
    if not all(each.isascii() and each.isalnum() for each in sids):
        reason = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the"
        raise MalformedPolicy(reason=f"{reason} regular expression [0-9A-Za-z]*")


def _read_json(text: str) -> dict[str, object]:
    if not text.startswith("{"):
        reason = "Policies must be valid JSON and the first byte must be '{'."
        raise MalformedPolicy(reason=reason)
    if _measure_depth(text) > DEEPEST:  # how deep json goes differs from Python to Python
        reason = f"This policy contains invalid Json: too deep, more than {DEEPEST} levels."
        raise MalformedPolicy(reason=reason)
    try:
        document: dict[str, object] = json.loads(text, object_pairs_hook=_refuse_twice)
        if ESCAPE in text:
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # neither a database nor an answer can hold it
        reason = "This policy contains invalid Json: \\ud800 to \\udfff are no characters alone."
        raise MalformedPolicy(reason=reason) from None
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
        self,
        vocabulary: Vocabulary,
        directory: PrincipalDirectory | None,
        variables: bool,
        grammar: Grammar,
    ) -> None:
        self._vocabulary = vocabulary
        self._directory = directory
        self._variables = variables  # the older version takes ${...} for plain text
        self._grammar = grammar

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
            self._read_actions(element),
            self._read_resources(element, effect == "Allow"),
            self._read_conditions(element.get("Condition", {}), effect == "Allow"),
            element.get("Sid", ""),
        )

    def _read_principals(self, element: dict[str, object], effect: str) -> Principals:
        if not self._grammar.principals:
            if "Principal" in element or "NotPrincipal" in element:
                raise MalformedPolicy(reason=PROHIBITED)
            return Principals(everyone=True)
        name = _choose_name(element, "Principal")
        if name == "NotPrincipal" and effect == "Allow":
            reason = "Allow with NotPrincipal is not allowed. Name who may, or deny the others."
            raise MalformedPolicy(reason=reason)
        return principals.read(
            element[name],
            self._directory,
            name == "NotPrincipal",
            self._grammar.principals,
            denies=effect == "Deny",
        )

    def _read_actions(self, element: dict[str, object]) -> Patterns:
        name, texts = self._read_texts(element, "Action", self._vocabulary.action)
        patterns = tuple(Pattern(each, variables=False, fold=True) for each in texts)
        return Patterns(patterns, name == "NotAction")

    def _read_resources(self, element: dict[str, object], allows: bool) -> Patterns:
        if not self._grammar.has_resource:
            for name in ("Resource", "NotResource"):
                if name in element:
                    raise MalformedPolicy(reason=f"Has prohibited field {name}.")
            return EVERYTHING
        name, texts = self._read_texts(element, "Resource", self._vocabulary.resource)
        if self._grammar.completes_arns:
            texts = [_complete_arn(each) for each in texts]
        patterns = tuple(Pattern(each, self._variables) for each in texts)
        others = name == "NotResource"
        widens = others and allows and self._variables
        needed = tuple(each for each in texts if "${" in each) if widens else ()
        return Patterns(patterns, others, needed)

    def _read_texts(
        self, element: dict[str, object], what: str, is_known: Callable[[str], bool]
    ) -> tuple[str, list[str]]:
        name = _choose_name(element, what)
        named = element[name]
        listed = named if isinstance(named, list) else [named]
        empty = self._grammar.takes_empty
        texts = [each for each in listed if isinstance(each, str) and (each or empty)]
        if not texts or len(texts) < len(listed):
            reason = f"The {name} of a statement is text or a list of texts."
            raise MalformedPolicy(reason=reason, missing="" if listed else what)
        for each in texts:
            if not is_known(each):
                raise MalformedPolicy(reason=f"Policy has invalid {what.lower()}: {each[:200]}.")
        return name, texts

    def _read_conditions(self, element: object, allows: bool) -> tuple[Condition, ...]:
        is_known, empty = self._vocabulary.key, self._grammar.takes_empty
        read = conditions.read(element, is_known, allows, empty)
        escapes = not self._variables and any("${" in text for each in read for text in each.values)
        if escapes and isinstance(element, dict):
            return conditions.read(_escape_variables(element), is_known, allows, empty)
        return read


def _complete_arn(text: str) -> str:
    """Return an ARN with a wildcard for each field that it leaves out at its end."""
    missing = ARN_PARTS - 1 - VARIABLE.sub("", text).count(":")
    return text + ":*" * missing if text.startswith("arn:") and missing > 0 else text


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
        raise MalformedPolicy(reason=f"Missing required field {name}.", missing=name)
    if len(present) > 1:
        raise MalformedPolicy(reason=f"A statement has either {name} or Not{name}, not both.")
    return present[0]
