"""What this cloud counts, in the families that Prometheus reads; changes nothing."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from eucabox import __version__
from eucabox.events.request_counts import PAGES, REQUESTS, Labels, Row, count_below
from eucabox.instance_states import InstanceState

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

STORAGE_SECONDS = 60.0  # between two counts of all objects
# What waits, and how it is counted.
QUEUES = {
    "launches": "select count(*) n from instances where state = 'pending'",
    "images": "select count(*) n from images where state = 'pending'",
    "bundles": "select count(*) n from bundle_tasks where state not in"
    " ('complete', 'failed', 'cancelled')",
    "mails": "select count(*) n from mails where state = 'waiting'",
    "sign-ups": "select count(*) n from sign_ups where state = 'waiting'",
}


class CloudCollector(Collector):
    """Collects when it is scraped, and keeps nothing but the last count of objects."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._storage: tuple[float, Mapping[str, int], int] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield InfoMetricFamily("eucabox", "Which eucabox this is.", {"version": __version__})
        started = self._cloud.started.timestamp()
        yield GaugeMetricFamily("eucabox_start_time_seconds", "Since when it runs.", started)
        problems = len(self._cloud.list_problems())
        yield GaugeMetricFamily("eucabox_problems", "What its parts can't do.", problems)
        yield from _show_requests()
        yield from self._show_instances()
        yield from self._show_capacity()
        yield from self._show_storage()
        yield from self._show_queues()

    def _show_instances(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("eucabox_instances", "Instances by state.", labels=("state",))
        rows = self._cloud.state.query("select state, count(*) n from instances group by state")
        counted = {row["state"]: row["n"] for row in rows}
        for state in InstanceState:
            family.add_metric((state.value,), counted.get(state.value, 0))
        yield family
        guests = self._cloud.node.status()["guests"]
        yield GaugeMetricFamily("eucabox_impaired_instances", "With a problem.", len(guests))

    def _show_capacity(self) -> Iterator[Metric]:
        capacity = self._cloud.capacity
        host, used = capacity.host(), capacity.sum_used()
        for name, unit, factor in (("cores", "vcpus", 1), ("memory_mb", "memory_bytes", 2**20),
                                   ("disk_gb", "disk_bytes", 2**30)):  # fmt: skip
            total, taken = getattr(host, name) * factor, getattr(used, name) * factor
            yield GaugeMetricFamily(f"eucabox_host_{unit}", "What instances may take.", total)
            yield GaugeMetricFamily(f"eucabox_used_{unit}", "What instances have taken.", taken)
        family = GaugeMetricFamily(
            "eucabox_free_instances", "How many more fit.", labels=("instance_type",)
        )
        for kind in capacity.table():
            family.add_metric((kind.type,), kind.free)
        yield family

    def _show_storage(self) -> Iterator[Metric]:
        storage, buckets = self._count_storage()
        yield GaugeMetricFamily("eucabox_buckets", "Buckets.", buckets)
        yield GaugeMetricFamily("eucabox_objects", "Objects in buckets.", storage["objects"])
        yield GaugeMetricFamily("eucabox_object_bytes", "Bytes of objects.", storage["bytes"])
        free = self._cloud.store.free_bytes()
        yield GaugeMetricFamily("eucabox_bucket_free_bytes", "Space for buckets.", free)

    def _count_storage(self) -> tuple[Mapping[str, int], int]:
        """Count all objects, which takes a while where they are many, but once a minute."""
        with self._lock:
            now = time.monotonic()
            if self._storage is None or now - self._storage[0] > STORAGE_SECONDS:
                usage = self._cloud.store.usage()
                self._storage = now, usage, len(usage["buckets"])
            return self._storage[1], self._storage[2]

    def _show_queues(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("eucabox_queue_length", "What waits.", labels=("queue",))
        for name, sql in QUEUES.items():
            row = self._cloud.state.one(sql)
            family.add_metric((name,), row["n"] if row else 0)
        family.add_metric(("events",), self._cloud.events.count_waiting())
        yield family
        lost = CounterMetricFamily("eucabox_lost_events", "Events that were not written.")
        lost.add_metric((), self._cloud.events.lost)
        yield lost


def _show_requests() -> Iterator[Metric]:
    yield from _show_counts(
        REQUESTS.copy(), "eucabox_requests", "Requests of the APIs", ("service", "action", "code")
    )
    pages = {("", name, status): row for (_, name, status), row in PAGES.copy().items()}
    yield from _show_counts(
        pages, "eucabox_console_requests", "Requests of the console", ("", "page", "status")
    )


def _show_counts(
    counted: Mapping[Labels, Row], name: str, about: str, labels: tuple[str, str, str]
) -> Iterable[Metric]:
    """Yield a counter by all labels, and a histogram of seconds without the last one."""
    names = [each for each in labels if each]
    counter = CounterMetricFamily(name, f"{about}, by outcome.", labels=names)
    together: dict[tuple[str, ...], Sequence[float]] = {}
    for values, row in sorted(counted.items()):
        chosen = tuple(value for label, value in zip(labels, values, strict=True) if label)
        counter.add_metric(chosen, sum(row[1:]))
        before = together.get(chosen[:-1], [0.0] * len(row))
        together[chosen[:-1]] = [one + other for one, other in zip(before, row, strict=True)]
    histogram = HistogramMetricFamily(
        f"{name.removesuffix('s')}_seconds", f"{about}: how long they took.", labels=names[:-1]
    )
    for chosen, counts in together.items():
        histogram.add_metric(chosen, list(count_below(counts)), counts[0])
    return counter, histogram
