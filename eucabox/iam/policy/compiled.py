"""The policies used last, compiled, by their texts."""

from collections import OrderedDict
from threading import Lock

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy.document import RESOURCE, Grammar, parse
from eucabox.iam.policy.identity_documents import IDENTITY, TRUST
from eucabox.iam.policy.statements import NOTHING, Policy

MOST_KEPT = 256 * 1024  # characters of the documents in a cache


class _Anything:
    """The vocabulary for a stored document, which was checked when it was put."""

    def action(self, pattern: str) -> bool:
        return True

    resource = key = action


class _Cache:
    """Compiled policies of one grammar.

    Limited by the texts' characters: a compiled policy can take two hundred times its text.
    """

    def __init__(self, grammar: Grammar, most: int = MOST_KEPT) -> None:
        self._grammar = grammar
        self._most = most
        self._size = 0
        self._found: OrderedDict[str, Policy] = OrderedDict()
        self._lock = Lock()

    def __call__(self, text: str) -> Policy:
        with self._lock:
            if text in self._found:
                self._found.move_to_end(text)
                return self._found[text]
        compiled = self._compile(text)
        with self._lock:
            if text not in self._found:
                self._size += len(text)
            self._found[text] = compiled
            while self._size > self._most:
                self._size -= len(self._found.popitem(last=False)[0])
        return compiled

    def _compile(self, text: str) -> Policy:
        try:
            return parse(text, _Anything(), grammar=self._grammar)
        except MalformedPolicy:
            return NOTHING


_resource, _identity, _trust = _Cache(RESOURCE), _Cache(IDENTITY), _Cache(TRUST)


def compile_policy(text: str) -> Policy:
    """Return the compiled policy of a resource's document that was checked before, from a cache.

    A document that can't be read any more denies everything.
    """
    return _resource(text)


def compile_identity_policy(text: str) -> Policy:
    """As `compile_policy`, for a policy of a user, group or role, a boundary or a session."""
    return _identity(text)


def compile_trust_policy(text: str) -> Policy:
    """As `compile_policy`, for the document that tells who may assume a role."""
    return _trust(text)
