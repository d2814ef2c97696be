"""What every instance may do whatever its groups say: DHCP, names, metadata; holds no rules."""

from eucabox.config import Config
from eucabox.network import FirewallRule
from eucabox.network.bridge import metadata_address
from eucabox.network.dnsmasq import DhcpService
from eucabox.network.host_services import METADATA_PORT
from eucabox.network.nft_rules import AlwaysAllowed


def always_allowed(config: Config, service: DhcpService | None) -> AlwaysAllowed:
    """Return what needs no rule where `service` is our DHCP server, or None for the site's.

    Of the site's nothing is known: any machine that is no instance may answer DHCP, and its name
    servers are reached as the groups' rules for egress say.
    """
    rules: list[FirewallRule] = []
    servers: list[str] = []
    if service:
        servers.append(str(service.address))
        for name in servers if service.dns else service.servers:
            rules += [FirewallRule(True, each, 53, 53, f"{name}/32") for each in ("udp", "tcp")]
    metadata = metadata_address(config)
    if metadata:
        for port in sorted({METADATA_PORT, config.metadata.port}):
            rules.append(FirewallRule(True, "tcp", port, port, f"{metadata}/32"))
    if metadata and service:
        servers.append(str(metadata))  # which dnsmasq answers from, if it is the bridge's first
    return AlwaysAllowed(tuple(rules), tuple(servers))
