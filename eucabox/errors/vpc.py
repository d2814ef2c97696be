"""Faults of the default VPC and its parts, and of what a single node has none of."""

from eucabox.errors.fault import Fault


class RouteTableNotFound(Fault):
    code, text = "InvalidRouteTableID.NotFound", "The route table ID '{id}' does not exist."


class InternetGatewayNotFound(Fault):
    code = "InvalidInternetGatewayID.NotFound"
    text = "The internet gateway ID '{id}' does not exist."


class NetworkAclNotFound(Fault):
    code, text = "InvalidNetworkAclID.NotFound", "The network ACL ID '{id}' does not exist."


class DhcpOptionsNotFound(Fault):
    code, text = "InvalidDhcpOptionID.NotFound", "The DHCP options ID '{id}' does not exist."


class NetworkInterfaceNotFound(Fault):
    code = "InvalidNetworkInterfaceID.NotFound"
    text = "The network interface ID '{id}' does not exist."


class AbsentNotFound(Fault):
    """An id of what no account can have here; the table of absences knows AWS' code for it."""

    text = "The {noun} '{id}' does not exist: this cloud has none."

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(**facts)
        self.code = code  # type: ignore[misc]
