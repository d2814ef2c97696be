"""What the pages about users, groups, roles and policies share: lists that are read whole, and the
changes that forms ask for, each one verb of IAM."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from flask import request
from werkzeug.exceptions import BadRequest

from eucabox.console import navigation
from eucabox.console.listing import Column
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault

Item = Mapping[str, object]
MOST_CALLS, IN_ONE = 10, 1000  # of a verb, for one list
MOST_CHOICES = 300  # of a field in which one of a list is chosen; more are typed


@dataclass(frozen=True)
class Change:
    """A change that a form asks for: the verb, what is told when it is done, and its members."""

    verb: str
    note: str
    read: Callable[[], dict[str, object]] = dict


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


def make_column(
    name: str, label: str, member: str, *, is_fixed: bool = False, style: str = ""
) -> Column[Item]:
    """Return a column of a list that is ordered by a member of its items."""
    return Column(
        name, label, lambda row: str(row.get(member, "")).lower(), is_fixed=is_fixed, style=style
    )


def join_members(*names: str) -> Callable[[Item], str]:
    """Return what of an item is searched: these members."""
    return lambda row: " ".join(str(row.get(name, "")) for name in names)


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
