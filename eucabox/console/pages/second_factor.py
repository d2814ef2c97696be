"""One's own MFA devices: set one up by a QR code and two codes of it, set its clock, remove it."""

import base64
from collections.abc import Mapping
from typing import TypedDict, cast

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.guard import check_text
from eucabox.console.site import current_console
from eucabox.console.visitor import begin_session, current_visitor, end_other_sessions, perform
from eucabox.errors import Fault, TooManyAttempts
from eucabox.iam.mfa_devices import NewDevice

pages = Blueprint("second_factor", __name__)
MOST_TRIES = 10  # of the password, in 15 minutes
MOST_NAME, MOST_SERIAL, MOST_PASSWORD, MOST_CODE = 128, 256, 1024, 16
MOST_PICTURE = 16 * 1024  # of what a form sends back, in Base64
NOTES = {
    "enabled": "The device is set up. You are asked for its code when you sign in.",
    "removed": "The device is removed.",
    "set": "The clock of the device is known now.",
}


class NewDeviceShown(TypedDict):
    """A device that is being set up: its seed in groups of four, its picture in Base64."""

    serial_number: str
    seed: str
    picture: str


@pages.get("/second-factor")
def show() -> Response:
    """List them."""
    return _show_page(note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/second-factor/create")
def create() -> Response:
    """Make a device, and show its seed this once."""
    name = check_text(request.form.get("name", ""), MOST_NAME, "The name")
    try:
        made = _perform_with_password("CreateOwnMFADevice", device_name=name)
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    device = cast(NewDevice, made["virtual_mfa_device"])
    return _show_page(device=_to_shown(device))


@pages.post("/second-factor/enable")
def enable() -> Response:
    """Take two codes that the device shows; from then on this session had a code, and all others
    of the user are over."""
    serial = _read_serial()
    try:
        perform("console", "EnableOwnMFADevice", serial_number=serial, **_read_codes())
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message, device=_read_shown(serial))
    session = current_visitor().session
    assert session is not None
    response = make_response(redirect(url_for("second_factor.show", note="enabled"), 303))
    begin_session(response, session["user_id"], session["password_created"], mfa=True)
    end_other_sessions()
    return response


@pages.post("/second-factor/resync")
def resync() -> Response:
    """Take two codes of a device whose clock is wrong."""
    try:
        perform("console", "ResyncOwnMFADevice", serial_number=_read_serial(), **_read_codes())
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return make_response(redirect(url_for("second_factor.show", note="set"), 303))


@pages.post("/second-factor/remove")
def remove() -> Response:
    """Remove a device."""
    try:
        _perform_with_password("DeleteOwnMFADevice", serial_number=_read_serial())
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return make_response(redirect(url_for("second_factor.show", note="removed"), 303))


def _perform_with_password(name: str, **members: str) -> Mapping[str, object]:
    """Perform a verb that asks for the password; nobody guesses it here."""
    session = current_visitor().session
    assert session is not None
    limits, key = current_console().limits, {f"password {session['user_id']}": MOST_TRIES}
    if limits.begin(key):
        raise TooManyAttempts()
    password = request.form.get("password", "")[:MOST_PASSWORD]
    result = perform("console", name, password=password, **members)
    limits.forgive(key)
    return result


def _to_shown(device: NewDevice) -> NewDeviceShown:
    seed = device["seed"]
    return {
        "serial_number": device["serial_number"],
        "seed": " ".join(seed[at : at + 4] for at in range(0, len(seed), 4)),
        "picture": base64.b64encode(device["qr_code"]).decode(),
    }


def _read_shown(serial: str) -> NewDeviceShown | None:
    """The device as the form has it, to be shown once more after wrong codes."""
    seed = check_text(request.form.get("seed", ""), MOST_NAME, "The key")
    picture = check_text(request.form.get("picture", ""), MOST_PICTURE, "The picture")
    if not seed:
        return None
    return {"serial_number": serial, "seed": seed, "picture": picture}


def _read_serial() -> str:
    return check_text(request.form.get("serial", ""), MOST_SERIAL, "The serial number")


def _read_codes() -> dict[str, str]:
    codes = (request.form.get(name, "")[:MOST_CODE] for name in ("first", "second"))
    first, second = ("".join(each.split()) for each in codes)
    return {"authentication_code1": first, "authentication_code2": second}


def _show_page(
    status: int = 200,
    *,
    problem: str = "",
    note: str = "",
    device: NewDeviceShown | None = None,
) -> Response:
    devices = perform("console", "ListOwnMFADevices")["mfa_devices"]
    page = render_template(
        "second_factor.html", problem=problem, note=note, device=device, devices=devices
    )
    return make_response(page, status)
