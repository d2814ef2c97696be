"""Fetches the documents of identity providers, over https or from this host; follows no redirect.

An address that is not of the public internet is asked only where the administrator named its host
in [iam] private_providers: accounts choose the URLs, and what is behind them may be nobody's to
reach. The address that is checked is the one that is asked.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection

from eucabox.errors import IdentityProviderUnreachable
from eucabox.iam.identity_providers import ProviderUrl

SECONDS = 5.0  # for one document, from the connection to its last byte
LARGEST = 256 * 1024  # bytes of a document
# addresses of IPv6 in which ones of IPv4 are hidden
TRANSLATED = tuple(ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "2002::/16"))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch(url: str, private_hosts: Collection[str]) -> bytes:
    """Return the document at a URL; raises IdentityProviderUnreachable."""
    parts = ProviderUrl.parse(url)
    if parts is None:
        raise IdentityProviderUnreachable(reason=f"{url[:300]} is no URL of a provider.")
    try:
        address = _find_address(parts, parts.host in private_hosts)
        end = time.monotonic() + SECONDS
        with socket.create_connection((str(address), parts.port), SECONDS) as plain:
            return _ask(plain, parts, end - time.monotonic())
    except (OSError, http.client.HTTPException, ValueError) as problem:
        reason = f"The identity provider at {url[:300]} can't be asked: {problem or 'no answer'}"
        raise IdentityProviderUnreachable(reason=reason) from None


def _find_address(parts: ProviderUrl, may_be_private: bool) -> Address:
    found = socket.getaddrinfo(parts.host, parts.port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(each[4][0]) for each in found]
    for address in addresses:
        if not (may_be_private or is_public(address)):
            raise OSError(
                f"its address {address} is private; the administrator may name {parts.host} in"
                " [iam] private_providers."
            )
    return addresses[0]


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


def _ask(plain: socket.socket, parts: ProviderUrl, seconds: float) -> bytes:
    """Send one request and read the answer; the socket is shut when the time is over."""
    end = threading.Timer(max(seconds, 0), _shut, [plain])
    end.daemon = True
    end.start()
    try:
        with _wrap(plain, parts) as connection:
            return _read(connection, parts)
    finally:
        end.cancel()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _wrap(plain: socket.socket, parts: ProviderUrl) -> socket.socket:
    if parts.scheme == "http":
        return plain
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context.wrap_socket(plain, server_hostname=parts.host)


def _read(connection: socket.socket, parts: ProviderUrl) -> bytes:
    client = http.client.HTTPConnection(parts.host, parts.port, SECONDS)
    client.sock = connection
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    standard = parts.port == (443 if parts.scheme == "https" else 80)
    headers = {"Host": host if standard else f"{host}:{parts.port}", "Accept": "application/json"}
    client.request("GET", parts.path or "/", headers=headers)
    answer = client.getresponse()
    if answer.status != 200:
        raise http.client.HTTPException(f"it answers with status {answer.status}.")
    document = answer.read(LARGEST + 1)
    if len(document) > LARGEST:
        raise http.client.HTTPException(f"it answers with more than {LARGEST} bytes.")
    return document
