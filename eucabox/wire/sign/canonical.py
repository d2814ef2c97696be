"""The spellings in which real clients sign one path, query or host; never a key or a signature."""

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from eucabox.wire.request import octets, parse_pairs

# s3cmd writes the whole of its --host in lower case.
PREFIX = re.compile(r"/services/(?:objectstorage|walrus)(?=/|$)", re.ASCII | re.IGNORECASE)
LONGEST_HOST = 300  # characters; a name has 253, and then comes a port
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def split_prefix(path: str) -> tuple[str, str]:
    """Part a path into the bucket service's prefix ("" if none) and the rest from its slash on."""
    match = PREFIX.match(path)
    if match:
        return match[0], path[match.end() :] or "/"
    return "", path


def encode(raw: bytes, safe: str = "") -> str:
    """Percent-encode as signatures want it: all but letters, digits and -_.~ and `safe`."""
    return quote(raw, safe=safe + "-_.~")


def uri_forms(path: str, *, twice: bool = False) -> Iterator[str]:
    """Yield a path as sent, in the standard encoding, and if `twice` encoded once more."""
    yield path
    raw = octets(path)
    standard = encode(unquote_to_bytes(raw), "/")
    if standard != path:
        yield standard
    if twice and (again := encode(raw, "/")) not in (path, standard):
        yield again


def host_forms(host: str, scheme: str) -> tuple[str, ...]:
    """A host as sent, with the scheme's own port added or taken away, with another port twice, as
    boto 2 presigns it, or without, as libraries sign that were made for AWS alone."""
    return _host_forms(host, scheme) if len(host) <= LONGEST_HOST else (host,)


@lru_cache(256)  # clients have few hosts
def _host_forms(host: str, scheme: str) -> tuple[str, ...]:
    default = _DEFAULT_PORTS.get(scheme, "")
    if default and host.endswith(default):
        return host, host[: -len(default)]
    _, colon, port = host.rpartition("]")[2].rpartition(":")
    if not colon:
        return host, host + default
    return host, f"{host}:{port}", host[: -len(colon + port)]


def encode_plus(query: str) -> str:
    """Write a query or a form in which each plus stands for itself so that all read it so."""
    return query.replace("+", "%2B")


def query_forms(query: str, leave_out: str = "") -> Iterator[str]:
    """Yield a query string in canonical order: standard encoding with + as a blank or as itself,
    then as sent. `leave_out` is the parameter that carries the signature."""
    if not query:
        yield ""
        return
    for plus in (b" ", b"+") if "+" in query else (b" ",):
        decoded = parse_pairs(query, plus)
        yield _join_sorted([(encode(name), encode(value)) for name, value in decoded], leave_out)
    parts = [part.partition("=") for part in query.split("&") if part]
    yield _join_sorted([(name, value) for name, _, value in parts], leave_out)


def _join_sorted(parts: list[tuple[str, str]], leave_out: str) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(parts) if name != leave_out)
