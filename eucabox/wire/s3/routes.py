"""Which operation a request is, by method, depth, query and headers; all from the model."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from botocore.model import StructureShape

from eucabox.errors import MethodNotAllowed
from eucabox.wire import model
from eucabox.wire.model import Operation
from eucabox.wire.request import parse_query

# Only a host name that this cloud does not have would tell these from other operations.
ELSEWHERE = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse"})
READS = ("GET", "HEAD")


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
    """Return the operation; raises MethodNotAllowed if none is like that."""
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
        deprecated=bool(operation.model.deprecated),
    )
