"""Values that ask for nothing: a member that this cloud does not serve may have such a value.

Clients send whole structures, with "no" in each member that their user did not set.
"""

import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

# What a member's value is without it, where that is a word.
DEFAULTS: dict[str, tuple[str, ...]] = {
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


def is_neutral(member: str, value: Any) -> bool:
    """Tell whether a member's value changes nothing: false, empty, 0, or what is so anyway.

    A structure or a list does if all that is in it does.
    """
    if isinstance(value, Mapping):
        return all(is_neutral(name, inner) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(is_neutral(member, each) for each in value)
    return not value or value in DEFAULTS.get(member, ())


def drop_neutral(value: Any, hint: Any) -> Any:
    """Return a value without those members that its TypedDict does not have and that ask for
    nothing, at every depth."""
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
