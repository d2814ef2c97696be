"""Where guests reach the API on this host, as the configuration says; opens nothing."""

from ipaddress import IPv4Address, IPv4Network, ip_address

from eucabox.config import Config


def find_door(config: Config, subnet: IPv4Network) -> IPv4Address | None:
    """Return the address of eucabox's own bridge at which guests need a listener of their own.

    None where they are to have none, or where the API listens for them anyway.
    """
    own, listen = subnet[1], ip_address(config.api.listen)
    if not config.api.guests or listen.is_unspecified or listen == own:
        return None
    return own


def is_open_to_others(config: Config) -> bool:
    """Tell whether other machines reach the API by IPv4 where [api] listens."""
    listen = ip_address(config.api.listen)
    return listen.is_unspecified or (listen.version == 4 and not listen.is_loopback)
