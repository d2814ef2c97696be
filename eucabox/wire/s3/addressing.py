"""Which bucket and which key a request is about, by host and path; knows no operation."""

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from eucabox.errors import InvalidKey
from eucabox.wire.request import octets
from eucabox.wire.sign.canonical import LONGEST_HOST, split_prefix

MARKS = (".s3.", ".walrus.", ".objectstorage.")  # what parts a bucket from the rest of a host
SERVICES = ("s3", "walrus", "objectstorage")
LOCAL = "localhost"
HOSTS_KEPT = 256
SITES = "/_eucabox/website/"  # websites where no host can be theirs; no bucket is named so
WEBSITE = re.compile(r"(.+?)[.]s3-website[.-]", re.ASCII)


class BucketAddress(NamedTuple):
    """A bucket and a key, None where there is none; `hosted` is a bucket named by the host."""

    bucket: str | None
    key: str | None
    hosted: str = ""

    @property
    def depth(self) -> int:
        """0 for the service, 1 for a bucket, 2 for an object."""
        return (self.bucket is not None) + (self.key is not None)


def locate(path: str, host: str, hosts: tuple[str, ...] = ()) -> BucketAddress:
    """Read a raw path and a Host header. A key is exactly what its percent-encoding says: `+` is
    a plus, `//` and `%2F` stay. Raises InvalidURI for what is not UTF-8."""
    if hosted := bucket_of(host, hosts):
        key = path.removeprefix("/")
        return BucketAddress(hosted, _decode(key) if key else None, hosted)
    may_have_prefix = path[:2] in ("/s", "/S")
    rest = (split_prefix(path)[1] if may_have_prefix else path).removeprefix("/")
    if not rest:
        return BucketAddress(None, None)
    bucket, _, key = rest.partition("/")
    return BucketAddress(_decode(bucket), _decode(key) if key else None)


def bucket_of(host: str, hosts: tuple[str, ...] = ()) -> str:
    """The bucket that a host names (bucket.localhost, bucket.s3.example.com), or "".

    `hosts` are the names under which this cloud is known, in lower case. An address, one of these
    names alone and a host that begins with the service's own word name no bucket.
    """
    return _bucket_of(host, hosts) if len(host) <= LONGEST_HOST else ""


@lru_cache(HOSTS_KEPT)  # it is called for every request, and clients have few hosts
def _bucket_of(host: str, hosts: tuple[str, ...]) -> str:
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    name = name.lower().rstrip(".")
    if not name or _is_address(name) or name.partition(".")[0] in SERVICES:
        return ""
    for mark in MARKS:
        if mark in name:
            return name.partition(mark)[0]
    known_hosts = sorted((*hosts, LOCAL), key=len, reverse=True)
    for known_host in () if name in known_hosts else known_hosts:
        if name.endswith("." + known_host):
            return name[: -len(known_host) - 1]
    return ""


class WebsiteHost(NamedTuple):
    """A bucket that is shown as a website, the key in it, and the path that stands before keys."""

    bucket: str
    key: str
    base: str = ""


def site_of(path: str, host: str) -> WebsiteHost:
    """The page of a website, by a host of websites or by a path below SITES; raises InvalidURI."""
    if bucket := website_of(host):
        return WebsiteHost(bucket, _decode(path.removeprefix("/")))
    bucket, _, key = path.removeprefix(SITES).partition("/")
    return WebsiteHost(_decode(bucket), _decode(key), f"{SITES}{bucket}")


def is_site(path: str, host: str, hosts: tuple[str, ...] = ()) -> bool:
    """Whether a request is for a website's page rather than for S3."""
    below = path.startswith(SITES) and not bucket_of(host, hosts)  # then it is a key
    return below or bool(website_of(host))


def website_of(host: str) -> str:
    """The bucket whose website a host names (BUCKET.s3-website.localhost, or with a region as
    BUCKET.s3-website-eucabox.example.com), or ""."""
    return _website_of(host) if len(host) <= LONGEST_HOST else ""


@lru_cache(HOSTS_KEPT)
def _website_of(host: str) -> str:
    match = WEBSITE.match(host.lower())
    return match[1] if match else ""


def bucket_in(path: str, host: str, hosts: tuple[str, ...] = ()) -> str:
    """The bucket that a request is about, whatever else it is; "" if there is none to tell."""
    try:
        if is_site(path, host, hosts):
            return site_of(path, host).bucket
        return locate(path, host, hosts).bucket or ""
    except InvalidKey:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _decode(raw: str) -> str:
    if raw.isascii() and "%" not in raw:
        return raw
    try:
        return unquote_to_bytes(octets(raw)).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidKey(reason="or bucket name is not UTF-8 in its percent-encoding") from None
