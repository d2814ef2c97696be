"""Which bucket, key and operation a request is about: bucket and key by host and path, the
operation by method, depth, query and headers, as the model has them."""

import ipaddress
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from eucabox.errors import InvalidKey, MethodNotAllowed
from eucabox.wire import model
from eucabox.wire.model import Operation
from eucabox.wire.request import octets, parse_query
from eucabox.wire.shapes import StructureShape
from eucabox.wire.sign.canonical import LONGEST_HOST, split_prefix

MARKS = (".s3.", ".walrus.", ".objectstorage.")  # what parts a bucket from the rest of a host
SERVICES = ("s3", "walrus", "objectstorage")
LOCAL = "localhost"
HOSTS_KEPT = 256
SITES = "/_eucabox/website/"  # websites where no host can be theirs; no bucket is named so
WEBSITE = re.compile(r"(.+?)[.]s3-website[.-]", re.ASCII)
# Only a host name that this cloud does not have would tell these from other operations.
ELSEWHERE = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse"})
READS = ("GET", "HEAD")


# --- bucket and key ------------------------------------------------------------------------------


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


# --- the operation -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """What a request must have to be an operation; `fixed` values are "" where any will do."""

    operation: Operation
    fixed: Mapping[str, str]
    query: frozenset[str]
    headers: frozenset[str]
    deprecated: bool

    def fits(self, query: Mapping[str, str], headers: Container[str]) -> bool:
        """True if all that the operation needs is there."""
        return (
            all(name in query and value in ("", query[name]) for name, value in self.fixed.items())
            and all(name in query for name in self.query)
            and all(name in headers for name in self.headers)
        )

    @property
    def needs(self) -> frozenset[str]:
        """All names that must be in the query."""
        return self.query | self.fixed.keys()

    @property
    def rank(self) -> tuple[int, int, bool]:
        """The more an operation needs, the closer it fits; the newer of two names wins."""
        return (len(self.fixed), len(self.query) + len(self.headers), not self.deprecated)


def find(method: str, depth: int, query: Mapping[str, str], headers: Container[str]) -> Operation:
    """Return the operation; raises MethodNotAllowed if no operation fits."""
    names, header_names = distinguishing_names(method, depth)
    return _find_cached(
        method,
        depth,
        tuple(
            (name, value if value in names[name] else "")
            for name, value in query.items()
            if name in names
        ),
        tuple(name for name in header_names if name in headers),
    )


@lru_cache(maxsize=1024)
def _find_cached(
    method: str, depth: int, query_items: tuple[tuple[str, str], ...], headers: tuple[str, ...]
) -> Operation:
    query = dict(query_items)
    for route in routes().get((method, depth), ()):
        if route.fits(query, headers):
            # or DELETE of ?acl would be DELETE of the object
            if method in READS or route.needs.issuperset(subresources(depth) & query.keys()):
                return route.operation
            break
    raise MethodNotAllowed(method=method)


@cache
def distinguishing_names(
    method: str, depth: int
) -> tuple[dict[str, frozenset[str]], tuple[str, ...]]:
    """Return the names that tell operations apart: of query parameters, with the values that
    count, and of headers. The cache's keys are made of these alone, whatever is sent."""
    candidates = routes().get((method, depth), ())
    fixed = [entry for each in candidates for entry in each.fixed.items()]
    names = {
        name: frozenset(value for key, value in fixed if key == name and value)
        for name in subresources(depth)
    }
    return names, tuple(sorted({name for each in candidates for name in each.headers}))


@cache
def subresources(depth: int) -> frozenset[str]:
    """Every query parameter that tells some operation at this depth from the plain one."""
    route_lists = [each for place, each in routes().items() if place[1] == depth]
    return frozenset().union(*(route.needs for route_list in route_lists for route in route_list))


@cache
def routes() -> Mapping[tuple[str, int], tuple[Route, ...]]:
    """Every operation of the model by method and depth, those that need most first."""
    by_place: dict[tuple[str, int], list[Route]] = {}
    service = model.service("s3")
    for name in sorted(service.names - ELSEWHERE):
        operation = service.get_known(name)
        path = operation.http["requestUri"].partition("?")[0]
        place = operation.http["method"], len(path.strip("/").split("/")) if path != "/" else 0
        by_place.setdefault(place, []).append(_compile_route(operation))
    return {
        place: tuple(sorted(each, key=lambda route: route.rank, reverse=True))
        for place, each in by_place.items()
    }


def _compile_route(operation: Operation) -> Route:
    shape = operation.input
    members = shape.members if isinstance(shape, StructureShape) else {}
    required = shape.required_members if isinstance(shape, StructureShape) else []
    needs: dict[str, set[str]] = {"querystring": set(), "header": set()}
    for name in required:
        located = members[name].serialization
        if located.get("location") in needs:
            needs[located["location"]].add(located["name"])
    fixed = parse_query(operation.http["requestUri"].partition("?")[2])
    fixed = {name: value for name, value in fixed.items() if name != "x-id"}
    # a header tells an operation apart only where its query does not: a copy from a put
    headers = [] if fixed else needs["header"]
    return Route(
        operation=operation,
        fixed=fixed,
        query=frozenset(needs["querystring"]),
        headers=frozenset(name.lower() for name in headers),
        deprecated=operation.deprecated,
    )
