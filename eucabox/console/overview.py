"""What the first page tells of the cloud or the account, each block by its verb; changes nothing.

A block is None where the verb refuses: the page then does without it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, cast

from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault

VERBOSE = "verbose"  # Eucalyptus' word: of every account, for the administrator
NEWEST, EVENTS = 5, 6  # rows of a block
FINDINGS_AGE = 600  # seconds after which the host is checked again
ENDED = ("terminated", "shutting-down")
BAD = ("warn", "FAIL")
Shown = Mapping[str, object]


class OverviewState(TypedDict):
    """An instance's state."""

    name: str


class OverviewInstance(TypedDict):
    """The members of an instance that the first page shows."""

    instance_id: str
    instance_type: str
    state: OverviewState
    private_ip_address: str | None
    launch_time: datetime
    tags: list[dict[str, str]]


class OverviewReservation(TypedDict):
    """Instances that were launched together."""

    instances: list[OverviewInstance]


class OverviewCount(TypedDict):
    """How many instances of a type fit, now and on an empty host."""

    available: int
    max: int


class OverviewType(TypedDict):
    """An instance type: vCPUs, MiB, GiB."""

    name: str
    cpu: int
    memory: int
    disk: int
    availability: list[OverviewCount]


class OverviewBucket(TypedDict, total=False):
    """A bucket's numbers, as far as the caller may know them."""

    objects: int
    bytes: int


class OverviewFinding(TypedDict):
    """What a check of the host found."""

    what: str
    state: str
    detail: str
    fix: str


@dataclass(frozen=True)
class HomeBlock:
    """A part of the first page: the verb it needs, and what reads the members of its template."""

    name: str
    needs: tuple[tuple[str, str], ...]  # any of these
    read: Callable[[], Shown]
    is_slow: bool = False  # the page comes without it, and fetches it then


def read_instances() -> Shown:
    """Count the instances by state, and list the newest: the administrator's are all."""
    chosen = [VERBOSE] if _is_administrator() else []
    result = perform("ec2", "DescribeInstances", instance_ids=chosen)
    reservations = cast(list[OverviewReservation], result["reservations"])
    rows = [each for reservation in reservations for each in reservation["instances"]]
    alive = [each for each in rows if each["state"]["name"] not in ENDED]
    newest = sorted(alive, key=lambda each: each["launch_time"], reverse=True)
    return {
        "counts": Counter(each["state"]["name"] for each in rows),
        "newest": [{**each, "name": _find_name(each["tags"])} for each in newest[:NEWEST]],
        "more": max(0, len(newest) - NEWEST),
    }


def read_capacity() -> Shown:
    """List the types with how many more of each fit."""
    result = perform("ec2", "DescribeInstanceTypes")
    types = cast(list[OverviewType], result["instance_type_details"])
    return {"types": [each for each in types if each["availability"]]}


def read_storage() -> Shown:
    """Sum up the buckets: the administrator's are all, with the free space."""
    if _is_administrator():
        buckets = perform("bootstrap", "DescribeBuckets")["buckets"]
    else:
        buckets = perform("console", "ListBucketSummaries")["buckets"]
    rows = cast(Sequence[OverviewBucket], buckets)
    return {
        "buckets": len(rows),
        "objects": sum(each.get("objects", 0) for each in rows),
        "bytes": sum(each.get("bytes", 0) for each in rows),
        "largest": sorted(rows, key=lambda each: -each.get("bytes", 0))[:NEWEST],
    }


def read_health() -> Shown:
    """Return what `eucabox doctor` finds, what is wrong first."""
    result = perform("bootstrap", "DescribeFaults", max_age=FINDINGS_AGE)
    findings = cast(Sequence[OverviewFinding], result["findings"])
    return {
        "problems": result["problems"],
        "findings": [each for each in findings if each["state"] in BAD],
        "well": sum(each["state"] not in BAD for each in findings),
        "checked": result["checked"],
    }


def read_events() -> Shown:
    """List what happened last."""
    return {"events": perform("bootstrap", "DescribeEvents", max_results=EVENTS)["events"]}


BLOCKS = (
    HomeBlock("instances", (("ec2", "DescribeInstances"),), read_instances),
    HomeBlock("capacity", (("ec2", "DescribeInstanceTypes"),), read_capacity),
    HomeBlock(
        "storage", (("bootstrap", "DescribeBuckets"), ("console", "ListBucketSummaries")),
        read_storage, is_slow=True,
    ),
    HomeBlock("health", (("bootstrap", "DescribeFaults"),), read_health, is_slow=True),
    HomeBlock("events", (("bootstrap", "DescribeEvents"),), read_events),
)  # fmt: skip


def read_block(block: HomeBlock) -> Shown | None:
    """Return the members of a block's template; None where the visitor may not see it."""
    try:
        return block.read()
    except Fault:
        return None


def _is_administrator() -> bool:
    caller = current_visitor().caller
    return bool(caller and caller.admin)


def _find_name(tags: Sequence[Mapping[str, str]]) -> str:
    return next((each["value"] for each in tags if each["key"] == "Name"), "")
