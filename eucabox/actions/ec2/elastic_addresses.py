"""Elastic addresses: not offered; lists are empty and all other actions are refused."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2.filters import Filter, select
from eucabox.errors import UnsupportedOperation

REFUSED = (
    "AllocateAddress",
    "AssociateAddress",
    "DisassociateAddress",
    "ReleaseAddress",
    "ModifyAddressAttribute",
    "ResetAddressAttribute",
    "MoveAddressToVpc",
    "RestoreAddressToClassic",
)
WHY = (
    "Elastic addresses are not available in the SYSTEM and STATIC network modes: an instance has"
    " one address, its private one. Use that."
)
VERBOSE = "verbose"  # for the administrator: of every account, which have none either
FILTERS = dict.fromkeys(
    (
        *("allocation-id", "association-id", "domain", "instance-id", "network-border-group"),
        *("network-interface-id", "network-interface-owner-id", "private-ip-address", "public-ip"),
    )
)


@action()
def describe_addresses(
    call: Call,
    *,
    public_ips: Sequence[str] = (),
    allocation_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
) -> Result:
    """List no address; naming one is refused."""
    if allocation_ids or any(each != VERBOSE for each in public_ips):
        raise UnsupportedOperation(what=WHY)
    return {"addresses": select([], filters, FILTERS)}


def refuse(call: Call, **members: object) -> Result:
    """Refuse any action on elastic addresses."""
    raise UnsupportedOperation(what=WHY)


for _name in REFUSED:
    action(name=_name)(refuse)
