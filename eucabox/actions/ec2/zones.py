"""The one availability zone; with its capacity for the administrator."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc
from eucabox.ec2.filters import Filter, select
from eucabox.errors import InvalidParameterValue

VERBOSE = "verbose"
FILTERS = {
    "zone-name": "zone_name",
    "zone-id": "zone_id",
    "zone-type": "zone_type",
    "region-name": "region_name",
    "state": "state",
    "group-name": "group_name",
    "group-long-name": "group_long_name",
    "opt-in-status": "opt_in_status",
    "message": None,
    "parent-zone-id": None,
    "parent-zone-name": None,
}


@action(ignored=["all_availability_zones"])
def describe_availability_zones(
    call: Call,
    *,
    zone_names: Sequence[str] = (),
    zone_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
) -> Result:
    """List the one zone; with `verbose` among the names the administrator sees its capacity."""
    config = call.cloud.config.cloud
    _refuse_unknown("ZoneName", zone_names, (config.zone, VERBOSE))
    _refuse_unknown("ZoneId", zone_ids, (default_vpc.zone_id(config.region),))
    zones = select([_zone_to_api(call)], filters, FILTERS)
    if VERBOSE in zone_names and call.user.admin:
        zones += _list_capacity(call)
    return {"availability_zones": zones}


def _zone_to_api(call: Call) -> Result:
    config = call.cloud.config.cloud
    return {
        "zone_name": config.zone,
        "zone_id": default_vpc.zone_id(config.region),
        "zone_type": "availability-zone",
        "state": "available",
        "region_name": config.region,
        "group_name": config.region,
        "group_long_name": config.region,
        "network_border_group": config.region,
        "opt_in_status": "opt-in-not-required",
        "messages": [],
    }


def _refuse_unknown(parameter: str, names: Sequence[str], choices: Sequence[str]) -> None:
    for name in names:
        if name not in choices:
            reason = f"The availability zone here is {choices[0]}."
            raise InvalidParameterValue(parameter=parameter, value=name[:60], reason=reason)


def _list_capacity(call: Call) -> list[Result]:
    """Return Eucalyptus' capacity report, in which each line has the form of a zone."""
    lines = [("|- vm types", "free / max   cpu   ram  disk")]
    for row in call.cloud.capacity.table():
        counts = f"{row.free:04d} / {row.max:04d}"
        size = f"{row.vcpus:2d}   {row.memory_mb:4d}  {row.disk_gb:4d}"
        lines.append((f"|- {row.type}", f"{counts}  {size}"))
    region = call.cloud.config.cloud.region
    return [
        {"zone_name": name, "state": state, "region_name": region, "messages": []}
        for name, state in lines
    ]
