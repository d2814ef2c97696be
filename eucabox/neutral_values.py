"""Values that ask for nothing, which a member that is not supported may have.

Clients send whole structures, in which the members that their user did not set say "no".
"""

import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

# Default values of members that are words.
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
    """Tell whether a member's value changes nothing: false, empty, 0, or the default.

    A structure or a list changes nothing if none of its values does.
    """
    if isinstance(value, Mapping):
        return all(is_neutral(name, inner) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(is_neutral(member, each) for each in value)
    return not value or value in DEFAULTS.get(member, ())


def drop_neutral(value: Any, hint: Any) -> Any:
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
