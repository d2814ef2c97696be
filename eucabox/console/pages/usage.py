"""What an instance used in the last hour, as lines that the page of the instance includes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Blueprint, render_template

from eucabox.console.formats import show_size
from eucabox.console.visitor import perform

pages = Blueprint("usage", __name__)
WIDTH, HEIGHT = 240, 48  # of a drawing, in its own units
HOUR = 3600.0
LEAST_RATE = 1024.0  # bytes a second that fill a drawing at least, so that little looks little


@dataclass(frozen=True)
class Chart:
    """A drawing of the last hour: its lines as `points` of SVG, and the newest values as words."""

    title: str
    lines: tuple[str, ...]
    labels: tuple[str, ...]
    values: tuple[str, ...]
    top: str  # what its upper edge stands for


@pages.get("/instances/<instance_id>/usage")
def show(instance_id: str) -> str:
    """Show the drawings alone, for a page that follows them."""
    return render_template("_usage.html", **find_usage(instance_id))


def find_usage(instance_id: str) -> dict[str, object]:
    """Return what `_usage.html` shows: members for render_template."""
    answer = perform("bootstrap", "DescribeUsage", instance_ids=[instance_id])
    (usage,) = cast(list[dict[str, object]], answer["usage"])
    samples = cast(list[dict[str, object]], usage["samples"])
    memory = float(cast(int, usage["memory_bytes"]))
    charts = [
        _draw("CPU", samples, {"": "cpu_percent"}, 100.0, _show_percent),
        _draw("Memory on the host", samples, {"": "memory_bytes"}, memory, show_size),
    ]
    if not usage["disk_reason"]:
        disk = {"read": "disk_read_bytes", "written": "disk_write_bytes"}
        charts.append(_draw("Disk", samples, disk, 0.0, _show_rate))
    network = {"in": "network_in_bytes", "out": "network_out_bytes"}
    charts.append(_draw("Network", samples, network, 0.0, _show_rate))
    return {
        "usage_id": instance_id,
        "usage_charts": charts if samples else [],
        "usage_disk_reason": usage["disk_reason"],
        "usage_width": WIDTH,
        "usage_height": HEIGHT,
    }


def _draw(
    title: str,
    samples: Sequence[Mapping[str, object]],
    members: Mapping[str, str],
    top: float,
    show_value: Callable[[float], str],
) -> Chart:
    series = [[_read(sample, member) for sample in samples] for member in members.values()]
    highest = max((value for values in series for value in values if value is not None), default=0)
    edge = max(top, float(highest), 0.0 if top else LEAST_RATE)
    places = _place(samples)
    return Chart(
        title,
        tuple(_join(places, values, edge) for values in series),
        tuple(members),
        tuple(show_value(values[-1]) if values and values[-1] is not None else "-"
              for values in series),
        show_value(edge),
    )  # fmt: skip


def _read(sample: Mapping[str, object], member: str) -> float | None:
    value = sample.get(member)
    return float(value) if isinstance(value, (int, float)) else None


def _place(samples: Sequence[Mapping[str, object]]) -> list[float]:
    """Return where each sample stands: the newest at the right edge, an hour before at the left."""
    if not samples:
        return []
    moments = [cast(datetime, each["time"]).timestamp() for each in samples]
    return [WIDTH * (1 - (moments[-1] - each) / HOUR) for each in moments]


def _join(places: Sequence[float], values: Sequence[float | None], edge: float) -> str:
    """Return the points of a line, which has its middle two units within the drawing."""
    known = [(x, value) for x, value in zip(places, values, strict=True) if value is not None]
    tall = HEIGHT - 4
    return " ".join(f"{x:.1f},{HEIGHT - 2 - tall * value / edge:.1f}" for x, value in known)


def _show_percent(value: float) -> str:
    return f"{value:.0f} %"


def _show_rate(value: float) -> str:
    return f"{show_size(value)}/s"
