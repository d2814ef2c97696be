"""Regions: this cloud is one."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2.filters import Filter, select
from eucabox.errors import InvalidParameterValue

FILTERS = {
    "region-name": "region_name",
    "endpoint": "endpoint",
    "opt-in-status": "opt_in_status",
}


@action(ignored=["all_regions"])
def describe_regions(
    call: Call, *, region_names: Sequence[str] = (), filters: Sequence[Filter] = ()
) -> Result:
    """List the one region, at the address by which the client reached it."""
    region = {
        "region_name": call.cloud.config.cloud.region,
        "endpoint": call.endpoint + call.path,
        "opt_in_status": "opt-in-not-required",
    }
    for name in region_names:
        if name != region["region_name"]:
            reason = f"The region here is {region['region_name']}."
            raise InvalidParameterValue(parameter="RegionName", value=name[:60], reason=reason)
    return {"regions": select([region], filters, FILTERS)}
