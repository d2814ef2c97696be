"""The screen of an instance: the page that shows it after a click, and its socket."""

from typing import cast

from flask import Blueprint, Response, render_template, request

from eucabox.console.guest_of_page import find_guest
from eucabox.console.screen_viewer import ScreenViewer
from eucabox.console.site import current_console
from eucabox.console.socket_loop import SocketLoop
from eucabox.console.sockets import CONSOLES, MakePeer
from eucabox.console.visitor import judge, perform

pages = Blueprint("screen", __name__)
VERB = ("console", "OpenScreen")


@pages.get("/instances/<instance_id>/screen")
def show(instance_id: str) -> str:
    """Show where the screen will be; nothing is opened before the button is pressed."""
    judge(*VERB, instance_id=instance_id)
    guest = find_guest(instance_id)
    lacking = current_console().cloud.node.capabilities.screen
    return render_template(
        "screen.html", guest=guest, socket=f"{request.path}/socket", lacking=lacking
    )


@pages.get("/instances/<instance_id>/screen/socket", websocket=True)
def connect(instance_id: str) -> Response:
    """Open the socket: RFB goes to and fro."""
    sockets = current_console().sockets

    def begin() -> tuple[SocketLoop, MakePeer]:
        descriptor = cast(int, perform(*VERB, instance_id=instance_id)["descriptor"])
        return sockets.find_loop(f"screen {instance_id}"), (
            lambda web, right, loop: ScreenViewer(web, right, descriptor)
        )

    return sockets.open(CONSOLES, begin, VERB, {"instance_id": instance_id})
