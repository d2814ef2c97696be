"""The socket by which a page learns that something of its account changed."""

from flask import Blueprint, Response

from eucabox.console.nudge_board import NudgePeer
from eucabox.console.site import current_console
from eucabox.console.sockets import NUDGES

pages = Blueprint("nudges", __name__)


@pages.get("/nudges", websocket=True)
def listen() -> Response:
    """Open it: messages are lists of topics, such as ["instances"]."""
    sockets = current_console().sockets
    board = sockets.nudges
    return sockets.open(
        NUDGES, lambda: (board.loop, lambda web, right, _loop: NudgePeer(web, right, board))
    )
