"""Which addresses identity providers may be asked at."""

import ipaddress

import pytest

from eucabox.errors import IdentityProviderUnreachable
from eucabox.server.provider_documents import fetch, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "ff0e::1"),
    ],
)
def test_addresses_that_are_not_of_the_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "ftp://example.com/x", "http://example.com/x", "https://", "https://a b/"),
        *("https://example.com:0/", "https://example.com:99999/", "https://u@example.com/"),
        *("https://example.com/?q", "https://example.com/#f", "https://example.com/../x"),
        *("https://example.com/\r\nX: y", "http://localhost.example.com/"),
    ],
)
def test_urls_that_are_not_asked(url: str) -> None:
    with pytest.raises(IdentityProviderUnreachable, match="is no URL of a provider"):
        fetch(url, {"example.com"})
