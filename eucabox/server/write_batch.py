"""Small changes that came at once on several connections: one thread makes them, and their flush to
the disk is one; none is acknowledged before it."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from eucabox import gil_turns
from eucabox.store.fsync import PostponedFlush

if TYPE_CHECKING:
    from eucabox.server.connection import ClientConnection
    from eucabox.wire.s3.passages import Served
    from eucabox.wire.s3.straight_road import StraightRoad

log = logging.getLogger("eucabox.server")
T = TypeVar("T")

_Answers = list[tuple["ClientConnection", "Served"]]


def serve_together(connections: list["ClientConnection"]) -> set["ClientConnection"]:
    """Serve one request of each that goes the straight road; return the connections to keep."""
    postponed = PostponedFlush()
    lost: set[ClientConnection] = set()
    try:
        with postponed.postponing():
            served = _do_each(((each, each.serve_in_batch) for each in connections), lost)
            # the content of all is being written by now
            served = _do_each(((each, begun.complete) for each, begun in served), lost)
    finally:
        gil_turns.release()
    # Nobody waits here for a client that does not receive: a thread of its own sends it the rest.
    answers = _flush(connections[0].straight_road, postponed, served, lost)
    _do_each(((each, partial(each.send, answered)) for each, answered in answers), lost)
    return set(connections) - lost


def _flush(
    road: "StraightRoad | None",
    postponed: PostponedFlush,
    served: _Answers,
    lost: set["ClientConnection"],
) -> _Answers:
    """Bring the changes to the disk; return what to answer."""
    assert road is not None
    try:
        road.store.flush(postponed)
    except Exception as problem:
        return _do_each(((each, partial(done.fail, problem)) for each, done in served), lost)
    return served


def _do_each(
    steps: Iterable[tuple["ClientConnection", Callable[[], T | None]]],
    lost: set["ClientConnection"],
) -> list[tuple["ClientConnection", T]]:
    """Do a step of each connection; return what came of those. One that fails is lost, and no
    other."""
    results = []
    for connection, do in steps:
        try:
            if (result := do()) is not None:
                results.append((connection, result))
        except OSError as problem:
            log.debug("source=%s connection lost: %s", connection.remote_addr, problem)
            lost.add(connection)
        except Exception:
            log.exception("source=%s a request could not be answered", connection.remote_addr)
            lost.add(connection)
    return results
