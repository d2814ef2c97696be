"""Small changes that came at once on several connections: one thread makes them, and their flush to
the disk is one; none is acknowledged before it."""

import logging
from typing import TYPE_CHECKING

from eucabox import gil_turns
from eucabox.store.fsync import PostponedFlush

if TYPE_CHECKING:
    from eucabox.server.connection import ClientConnection
    from eucabox.wire.s3.passages import Served
    from eucabox.wire.s3.straight_road import StraightRoad

log = logging.getLogger("eucabox.server")


_Answers = list[tuple["ClientConnection", "Served"]]


def serve_together(connections: list["ClientConnection"]) -> set["ClientConnection"]:
    """Serve one request of each that goes the straight road; return the connections to keep."""
    postponed = PostponedFlush()
    served: _Answers = []
    lost: set[ClientConnection] = set()
    with postponed.postponing():
        for each in connections:
            try:
                if begun := each.serve_in_batch():
                    served.append((each, begun))
            except OSError as problem:
                _lose(each, problem, lost)
        # the content of all is being written by now
        served = [(each, begun.complete()) for each, begun in served]
    gil_turns.release()
    _answer(_flush(connections[0].straight_road, postponed, served), lost)
    return set(connections) - lost


def _flush(road: "StraightRoad | None", postponed: PostponedFlush, served: _Answers) -> _Answers:
    """Bring the changes to the disk; return what to answer."""
    assert road is not None
    try:
        road.store.flush(postponed)
    except Exception as problem:
        return [(each, answered.fail(problem)) for each, answered in served]
    return served


def _answer(served: _Answers, lost: set["ClientConnection"]) -> None:
    """Send the answers. Nobody waits here for a client that does not receive: what it did not take
    is sent by a thread of its own."""
    for connection, answered in served:
        try:
            connection.send(answered)
        except OSError as problem:
            _lose(connection, problem, lost)


def _lose(connection: "ClientConnection", problem: OSError, lost: set["ClientConnection"]) -> None:
    log.debug("source=%s connection lost: %s", connection.remote_addr, problem)
    lost.add(connection)
