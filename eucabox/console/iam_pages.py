"""What the pages about users, groups, roles and policies share: lists that are read whole, and the
changes that forms ask for, each one verb of IAM."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from flask import request
from werkzeug.exceptions import BadRequest

from eucabox.console import navigation
from eucabox.console.listing import Column
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault

Item = Mapping[str, object]
Step = tuple[str, dict[str, object]]  # a verb and its members
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


def list_others(verb: str, member: str, name: str, inside: list[Item]) -> list[Item]:
    """Return the items of a list that are not among those inside, by their name; none where the
    visitor may not see them."""
    names = {each[name] for each in inside}
    return [each for each in try_list(verb, member) or [] if each[name] not in names]


def list_access_keys(**owner: object) -> list[Item] | None:
    """Return the access keys of a user, the visitor for none, each with its `last_used`; None
    where the visitor may not see them."""
    keys = try_list("ListAccessKeys", "access_key_metadata", **owner)
    return None if keys is None else [{**each, "last_used": _read_use(each)} for each in keys]


def _read_use(key: Item) -> object:
    if not may_perform("iam", "GetAccessKeyLastUsed"):
        return {}
    try:
        used = perform("iam", "GetAccessKeyLastUsed", access_key_id=key["access_key_id"])
    except Fault:
        return {}
    return used["access_key_last_used"]


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


def carry_out(changes: Mapping[str, Change], **owner: object) -> str:
    """Perform the verb of the change that the form names in `do`, and return what is told then;
    raises its Fault."""
    change = changes.get(request.form.get("do", ""))
    if change is None:
        raise BadRequest("This form is not one of the page's.")
    perform("iam", change.verb, **owner, **change.read())
    return change.note


def delete_after(steps: Iterable[Step], verb: str, **owner: object) -> None:
    """Take from something what it must not have at its end, and delete it; raises the Fault of the
    first verb that is refused."""
    for each, members in steps:
        perform("iam", each, **owner, **members)
    perform("iam", verb, **owner)


def list_policy_choices() -> list[Item]:
    """Return the managed policies that may be attached: none where they may not be listed, or
    are too many to choose from, and then an ARN is typed."""
    policies = try_list("ListPolicies", "policies") or []
    own = [each for each in policies if not str(each["arn"]).startswith("arn:aws:iam::aws:")]
    if len(policies) > MOST_CHOICES:
        return []
    return [*own, *(each for each in policies if each not in own)]
