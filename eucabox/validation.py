"""Checks arguments of actions against their type hints, not what the values mean; finds and drops
values that change nothing."""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NoReturn, Union, Unpack, get_args, get_origin, get_type_hints, is_typeddict

from eucabox.errors import InvalidParameterValue, UnsupportedParameter

NOUNS: dict[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    bytes: "bytes",
    datetime: "a date and time",
}
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
INTEGERS = range(-(2**63), 2**63)  # what a column of SQLite can hold


@cache
def type_hints(function: Callable[..., object]) -> dict[str, object]:
    """Return an action's type hints; none, so nothing is checked, if one can't be resolved."""
    try:
        members = find_record(function) or function
        return {**get_type_hints(members), **list_unpacked_members(function)}
    except NameError:
        return {}


def find_record(function: Callable[..., object]) -> type | None:
    """Return the dataclass of a `members: SomeDataclass` argument, or None."""
    hint = function.__annotations__.get("members")
    return hint if isinstance(hint, type) and is_dataclass(hint) else None


def list_unpacked_members(function: Callable[..., object]) -> dict[str, object]:
    """Return the members, with their types, of a `**members: Unpack[SomeTypedDict]`."""
    unpack: object = Unpack
    for hint in function.__annotations__.values():
        if get_origin(hint) is unpack:
            return get_type_hints(get_args(hint)[0])
    return {}


def validate(action: str, name: str, value: object, hint: object) -> None:
    """Raise a Fault unless the value has the shape of the hint, at every depth.

    A TypedDict has the supported members of a structure; any other member is refused by its
    name (UnsupportedParameter). Wrong types raise InvalidParameterValue.
    """
    origin = get_origin(hint)
    if hint in NOUNS:
        _check_scalar(name, value, hint)
    elif is_typeddict(hint):
        _check_structure(action, name, value, hint)
    elif origin in (list, Sequence):
        _check_list(action, name, value, get_args(hint)[0])
    elif origin in (Union, types.UnionType):
        _check_union(action, name, value, get_args(hint))


def _check_scalar(name: str, value: object, kind: type) -> None:
    odd = kind is not bool and isinstance(value, bool)
    if odd or not isinstance(value, (int, float) if kind is float else kind):
        _refuse(name, value, NOUNS[kind])
    if kind is int and value not in INTEGERS:
        _refuse(name, value, "an integer of 64 bits")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            _refuse(name, value, "text that UTF-8 can hold")


def _check_structure(action: str, name: str, value: object, hint: object) -> None:
    if not isinstance(value, Mapping):
        _refuse(name, value, "a structure")
    members = get_type_hints(hint)
    for member, inner in value.items():
        path = f"{name}.{to_api_name(str(member))}"
        if member not in members:
            raise UnsupportedParameter(parameter=path, action=action)
        validate(action, path, inner, members[member])


def _check_list(action: str, name: str, value: object, hint: object) -> None:
    if not isinstance(value, (list, tuple)):
        _refuse(name, value, "a list")
    for number, inner in enumerate(value, 1):
        validate(action, f"{name}.{number}", inner, hint)


def _check_union(action: str, name: str, value: object, hints: tuple[object, ...]) -> None:
    if value is None and types.NoneType in hints:
        return
    first, *_ = [each for each in hints if each is not types.NoneType]
    validate(action, name, value, first)


def _refuse(name: str, value: object, noun: str) -> NoReturn:
    text = repr(value)[:60]
    raise InvalidParameterValue(parameter=name, value=text, reason=f"Give {noun}.")


# Names with more capitals than words.
CAPITALS = {
    "auto_enable_io": "AutoEnableIO",
    "aws_access_key_id": "AWSAccessKeyId",
    "enable_resource_name_dns_aaaa_record": "EnableResourceNameDnsAAAARecord",
}


@lru_cache(4096)
def to_api_name(snake: str) -> str:
    """Return a member's name as the API writes it."""
    return CAPITALS.get(snake) or "".join(word.capitalize() for word in snake.split("_"))


def check_ascii(parameter: str, value: str, most: int, least: int = 1) -> str:
    """Return a text as `check_text` does, which must also be ASCII, as EC2 wants for names."""
    if not value.isascii():
        reason = "Character sets beyond ASCII are not supported."
        raise InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)
    return check_text(parameter, value, most, least)


def check_text(parameter: str, value: str, most: int, least: int = 1) -> str:
    """Return a text if it has `least` to `most` characters and no control characters.

    XML can't carry control characters, and a line break in a key's name would be a second line
    in a guest's authorized_keys.
    """
    if not least <= len(value) <= most:
        reason = f"Give {least} to {most} characters."
    elif CONTROL.search(value):
        reason = "Leave out control characters."
    else:
        return value
    raise InvalidParameterValue(parameter=parameter, value=repr(value[:60]), reason=reason)


# --- values that change nothing -----------------------------------------------------------------
# Clients send whole structures, in which the members that their user did not set say "no".

# Default values of members that are words.
NEUTRAL_WORDS: dict[str, tuple[str, ...]] = {
    "affinity": ("default",),
    "amd_sev_snp": ("disabled",),
    "auto_recovery": ("default", "disabled"),
    "bandwidth_weighting": ("default",),
    "capacity_reservation_preference": ("open", "none"),
    "cpu_credits": ("standard",),
    "hostname_type": ("ip-name",),
    "interface_type": ("interface",),
    "nested_virtualization": ("disabled",),
    "reboot_migration": ("default", "disabled"),
    "tenancy": ("default",),
}


def is_neutral(member: str, value: object) -> bool:
    """Tell whether a member's value changes nothing: false, empty, 0, or the default.

    A structure or a list changes nothing if none of its values does.
    """
    if isinstance(value, Mapping):
        return all(is_neutral(name, inner) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(is_neutral(member, each) for each in value)
    return not value or value in NEUTRAL_WORDS.get(member, ())


def drop_neutral(value: object, hint: object) -> Any:
    """Return a value without the members, at every depth, that its TypedDict does not have and
    whose values are neutral."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not types.NoneType)
        origin = get_origin(hint)
    if is_typeddict(hint) and isinstance(value, Mapping):
        members = get_type_hints(hint)
        return {
            name: drop_neutral(inner, members.get(name))
            for name, inner in value.items()
            if name in members or not is_neutral(name, inner)
        }
    if origin in (list, Sequence) and isinstance(value, (list, tuple)):
        return [drop_neutral(each, get_args(hint)[0]) for each in value]
    return value
