"""A permission that a request needs, and how its members are read before they are validated.

Nothing here trusts a member's type: what can't be read names nothing, and then the permission is
asked for all resources of the kind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from eucabox.errors import InvalidParameterValue
from eucabox.iam.policy.request import PolicyPrincipal, Values, key_name
from eucabox.iam.policy.request_values import RequestValues
from eucabox.validation import to_api_name

Members = Mapping[str, object]
Facts = Mapping[str, str]
MOST_NAMES = 1000  # of resources in one member
ANY = "*"


def _load_nothing() -> Facts:
    return {}


@dataclass(frozen=True)
class NeededPermission:
    """An action on a resource, and what conditions may test of it.

    `shown` is how a refusal names the resource: by what the caller sent alone, so that it tells
    nothing of what is stored. `facts` are values of condition keys, `load_facts` and `load_tags`
    read those of the stored resource when a policy tests one.
    """

    action: str
    resource: str = ANY
    shown: str = ""
    facts: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    request_tags: Facts | None = None
    load_facts: Callable[[], Facts] = _load_nothing
    load_tags: Callable[[], Facts] = _load_nothing


@dataclass(frozen=True)
class NeededValues:
    """The values of condition keys for one needed permission of a request."""

    needed: NeededPermission
    principal: PolicyPrincipal
    principal_tags: Facts
    context: Mapping[str, str]
    session: Facts = field(default_factory=dict)

    def __call__(self, key: str) -> Values | None:
        """Return the values of a key, as `key_name` writes it; None where there is none."""
        values = self._of_request(key)
        if values is None and key in self._stored_facts:
            return (self._stored_facts[key],)
        return values

    @cached_property
    def _of_request(self) -> RequestValues:
        return RequestValues(
            principal=self.principal,
            context=self.context,
            principal_tags=self.principal_tags,
            request_tags=self.needed.request_tags,
            resource_tags=LoadedTags(self.needed.load_tags),
            resource_account=self.principal.account_id,
            more={**self.session, **self.needed.facts},
        )

    @cached_property
    def _stored_facts(self) -> Facts:
        return {key_name(name): value for name, value in self.needed.load_facts().items()}


class LoadedTags(Mapping[str, str]):
    """Tags that are read when a policy asks for one."""

    def __init__(self, load: Callable[[], Facts]) -> None:
        self._load = load

    @cached_property
    def _tags(self) -> Facts:
        return self._load()

    def __getitem__(self, key: str) -> str:
        return self._tags[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tags)

    def __len__(self) -> int:
        return len(self._tags)


# --- members as they came -----------------------------------------------------------------------


def read_text(members: object, name: str) -> str:
    """Return a member that is text, else ""."""
    value = members.get(name) if isinstance(members, Mapping) else None
    return value if isinstance(value, str) else ""


def read_records(members: object, name: str) -> list[Members]:
    """Return the structures of a list; raises InvalidParameterValue for too many."""
    value = members.get(name) if isinstance(members, Mapping) else None
    listed = value if isinstance(value, (list, tuple)) else ()
    _check_count(name, listed)
    return [each for each in listed if isinstance(each, Mapping)]


def read_texts(members: object, name: str) -> list[str]:
    """Return a text, or the texts of a list, each once; raises InvalidParameterValue for too
    many."""
    value = members.get(name) if isinstance(members, Mapping) else None
    listed = value if isinstance(value, (list, tuple)) else (value,)
    _check_count(name, listed)
    return list(dict.fromkeys(each for each in listed if isinstance(each, str) and each))


def read_tags(members: object, name: str) -> dict[str, str] | None:
    """Return the tags of a list of {key, value}; None for none."""
    tags = {}
    for each in read_records(members, name):
        if key := read_text(each, "key"):
            tags[key] = read_text(each, "value")
    return tags or None


def _check_count(name: str, listed: Sequence[object]) -> None:
    if len(listed) > MOST_NAMES:
        reason = f"A request can name {MOST_NAMES}."
        raise InvalidParameterValue(parameter=to_api_name(name), value=len(listed), reason=reason)
