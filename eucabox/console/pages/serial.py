"""The serial console of an instance: the page with the terminal, and its socket."""

from typing import cast

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console.answers import permit_styles
from eucabox.console.guest_of_page import find_guest
from eucabox.console.serial_viewer import SerialViewer
from eucabox.console.site import current_console
from eucabox.console.socket_loop import SocketLoop
from eucabox.console.sockets import CONSOLES, MakePeer
from eucabox.console.visitor import judge, perform
from eucabox.domains.serial_lines import AttachSerial

pages = Blueprint("serial", __name__)
VERB = ("console", "OpenSerialConsole")


@pages.get("/instances/<instance_id>/serial")
def show(instance_id: str) -> Response:
    """Show a terminal, which opens the socket."""
    judge(*VERB, instance_id=instance_id)
    guest = find_guest(instance_id)
    response = make_response()
    nonce = permit_styles(response)
    page = render_template("serial.html", guest=guest, socket=f"{request.path}/socket", nonce=nonce)
    response.set_data(page)
    return response


@pages.get("/instances/<instance_id>/serial/socket", websocket=True)
def connect(instance_id: str) -> Response:
    """Open the socket: the guest's bytes go to and fro."""
    sockets = current_console().sockets

    def begin() -> tuple[SocketLoop, MakePeer]:
        attach = cast(AttachSerial, perform(*VERB, instance_id=instance_id)["attach"])
        return sockets.find_loop(f"serial {instance_id}"), (
            lambda web, right, loop: SerialViewer(web, right, loop, attach)
        )

    return sockets.open(CONSOLES, begin, VERB, {"instance_id": instance_id})
