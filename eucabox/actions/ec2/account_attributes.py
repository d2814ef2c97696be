"""Account attributes: the limits of an account."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc
from eucabox.errors import InvalidParameterValue


@action()
def describe_account_attributes(call: Call, *, attribute_names: Sequence[str] = ()) -> Result:
    """List the account's attributes; there are no elastic addresses on a single node."""
    attributes = _list_attributes(call)
    for name in attribute_names:
        if name not in attributes:
            reason = f"The attributes are: {', '.join(attributes)}."
            raise InvalidParameterValue(parameter="AttributeName", value=name[:60], reason=reason)
    return {
        "account_attributes": [
            {
                "attribute_name": name,
                "attribute_values": [{"attribute_value": attributes[name]}],
            }
            for name in attribute_names or attributes
        ]
    }


def _list_attributes(call: Call) -> dict[str, str]:
    limits = call.limits
    capacity = max((row.max for row in call.cloud.capacity.table()), default=0)
    own = {
        "max-vcpus": limits.vcpus,
        "max-images": limits.images,
        "max-security-groups": limits.security_groups,
        "max-rules-per-security-group": limits.rules,
    }
    return {
        "supported-platforms": "VPC",
        "default-vpc": default_vpc.vpc_id(call.account_id),
        "max-instances": str(min(capacity, limits.instances or capacity)),
        **{name: str(most) for name, most in own.items() if most},
        "vpc-max-security-groups-per-interface": "16",
        "max-elastic-ips": "0",
        "vpc-max-elastic-ips": "0",
    }
