"""What the pages about users, groups, roles and policies share: lists that are read whole, and the
changes that forms ask for, each one verb of IAM."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from flask import request
from werkzeug.exceptions import BadRequest

from eucabox.console import navigation
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault

Item = Mapping[str, object]
MOST_CALLS, IN_ONE = 10, 1000  # of a verb, for one list
IN_A_PAGE = 50
MOST_CHOICES = 300  # of a field in which one of a list is chosen; more are typed
MOST_NAME, MOST_ARN = 128, 2048


@dataclass(frozen=True)
class Change:
    """A change that a form asks for: the verb, what is told when it is done, and its members."""

    verb: str
    note: str
    read: Callable[[], dict[str, object]] = dict


@dataclass(frozen=True)
class ListPage:
    """A page of a list: its items, the number of the page from 1, of the last, and of all items."""

    items: Sequence[Item]
    number: int
    last: int
    total: int
    query: str


def may_perform(service: str, verb: str) -> bool:
    """Whether the visitor may perform a verb on anything at all."""
    caller = current_visitor().caller
    return caller is not None and navigation.may(caller, service, verb)


def read_list(verb: str, member: str, **members: object) -> list[Item]:
    """Return all items of a list of IAM; raises the Fault that a client would get."""
    items: list[Item] = []
    for _ in range(MOST_CALLS):
        answer = perform("iam", verb, max_items=IN_ONE, **members)
        items += cast(list[Item], answer[member])
        if not answer.get("is_truncated"):
            break
        members["marker"] = answer["marker"]
    return items


def try_list(verb: str, member: str, **members: object) -> list[Item] | None:
    """Return all items of a list; None where the visitor may not see them.

    Who may never is not even asked for: refusals are kept, and nobody tried anything.
    """
    if not may_perform("iam", verb):
        return None
    try:
        return read_list(verb, member, **members)
    except Fault:
        return None


def cut_list(items: Sequence[Item], *names: str) -> ListPage:
    """Return the page of a list that the address asks for: `q` is in one of these members, and
    `page` counts from 1."""
    query = request.args.get("q", "")[:MOST_NAME].strip()
    words = query.lower()
    fitting = [
        each for each in items if any(words in str(each.get(name, "")).lower() for name in names)
    ]
    last = max(1, -(-len(fitting) // IN_A_PAGE))
    wanted = request.args.get("page", "1")
    number = min(int(wanted), last) if wanted.isascii() and wanted.isdecimal() else 1
    start = (max(number, 1) - 1) * IN_A_PAGE
    return ListPage(fitting[start : start + IN_A_PAGE], max(number, 1), last, len(fitting), query)


def read_field(name: str) -> str:
    """Return a field of the form as one text without blanks around it."""
    return request.form.get(name, "").strip()


def read_text(name: str) -> str:
    """Return a field of several lines, which browsers end as mail does."""
    return request.form.get(name, "").replace("\r\n", "\n").strip()


def take(*names: str) -> Callable[[], dict[str, object]]:
    """Return what reads these fields as members of a verb."""
    return lambda: {name: read_field(name) for name in names}


def take_tag() -> dict[str, object]:
    """Read a tag of the form as a member of a verb."""
    return {"tags": [{"key": read_field("key"), "value": read_field("value")}]}


def take_tag_key() -> dict[str, object]:
    """Read the key of a tag that goes."""
    return {"tag_keys": [read_field("key")]}


def carry_out(changes: Mapping[str, Change], **owner: object) -> None:
    """Perform the verb of the change that the form names in `do`; raises its Fault."""
    change = changes.get(request.form.get("do", ""))
    if change is None:
        raise BadRequest("This form is not one of the page's.")
    perform("iam", change.verb, **owner, **change.read())


def get_note(changes: Mapping[str, Change]) -> str:
    """Return what the page tells of the change that led to it, or ""."""
    change = changes.get(request.args.get("note", ""))
    return change.note if change else ""


def list_policy_choices() -> list[Item]:
    """Return the managed policies that may be attached: none where they may not be listed, or
    are too many to choose from, and then an ARN is typed."""
    policies = try_list("ListPolicies", "policies") or []
    own = [each for each in policies if not str(each["arn"]).startswith("arn:aws:iam::aws:")]
    if len(policies) > MOST_CHOICES:
        return []
    return [*own, *(each for each in policies if each not in own)]
