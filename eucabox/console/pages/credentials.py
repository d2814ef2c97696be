"""One's own credentials: the zip for clients, access keys, signing certificates."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.guard import check_text
from eucabox.console.iam_pages import Item, list_access_keys, try_list
from eucabox.console.navigation import may
from eucabox.console.site import current_console
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault, NoActiveCredential
from eucabox.iam.certificate_authority import fingerprint
from eucabox.iam.credentials_folder import AWS_PROFILE, endpoint, write_profiles

pages = Blueprint("credentials", __name__)
MOST_ID = 128
LACKS = (
    "The zip needs an active access key, and an active certificate that was made here."
    " Create what is missing."
)
STATUSES = ("Active", "Inactive")
NOTES = {
    "key-deleted": "The access key is deleted.",
    "key-changed": "The access key is changed.",
    "certificate-deleted": "The certificate is deleted.",
    "certificate-changed": "The certificate is changed.",
}


@pages.get("/credentials")
def show() -> Response:
    """Show them."""
    return _show_page(note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/credentials/archive")
def download() -> Response:
    """Send the zip."""
    try:
        result = perform("console", "GetCredentialsArchive", host=_find_api_host())
    except NoActiveCredential as fault:
        return _show_page(get_status(fault), problem=LACKS)
    response = make_response(result["archive"])
    response.content_type = "application/zip"
    response.headers.set("Content-Disposition", "attachment", filename=str(result["file_name"]))
    return response


@pages.post("/credentials/keys/create")
def create_key() -> Response:
    """Make an access key, and show its secret this once."""
    try:
        made = perform("iam", "CreateAccessKey")["access_key"]
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return _show_page(made_key=made)


@pages.post("/credentials/keys/change")
def change_key() -> Response:
    """Activate or deactivate an access key."""
    key_id, status = _read_id(), _read_status()
    return _try("key-changed", "UpdateAccessKey", access_key_id=key_id, status=status)


@pages.post("/credentials/keys/delete")
def delete_key() -> Response:
    """Delete an access key."""
    return _try("key-deleted", "DeleteAccessKey", access_key_id=_read_id())


@pages.post("/credentials/certificates/create")
def create_certificate() -> Response:
    """Make a certificate, and show its private key this once."""
    try:
        made = perform("iam", "CreateSigningCertificate")["certificate"]
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return _show_page(made_certificate=made)


@pages.post("/credentials/certificates/change")
def change_certificate() -> Response:
    """Activate or deactivate a certificate."""
    members = {"certificate_id": _read_id(), "status": _read_status()}
    return _try("certificate-changed", "UpdateSigningCertificate", **members)


@pages.post("/credentials/certificates/delete")
def delete_certificate() -> Response:
    """Delete a certificate."""
    certificate_id = _read_id()
    return _try("certificate-deleted", "DeleteSigningCertificate", certificate_id=certificate_id)


def _try(note: str, name: str, **members: object) -> Response:
    try:
        perform("iam", name, **members)
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return make_response(redirect(url_for("credentials.show", note=note), 303))


def _show_page(status: int = 200, **shown: object) -> Response:
    config = current_console().cloud.config
    caller = current_visitor().caller
    assert caller is not None
    blanks = {"problem": "", "note": "", "made_key": None, "made_certificate": None}
    keys = list_access_keys()
    page = render_template(
        "credentials.html",
        **{
            **blanks,
            "keys": keys,
            "profiles": _write_profiles(keys, shown.get("made_key")),
            "certificates": _list_certificates(),
            "endpoint": endpoint(config, _find_api_host()),
            "profile": AWS_PROFILE,
            "may_create_key": may(caller, "iam", "CreateAccessKey"),
            "may_create_certificate": may(caller, "iam", "CreateSigningCertificate"),
            **shown,
        },
    )
    return make_response(page, status)


def _write_profiles(keys: list[Item] | None, made_key: object) -> dict[str, str]:
    """The settings of clients, with the key that was just made or else without any secret."""
    if isinstance(made_key, dict):
        key_id, secret = made_key["access_key_id"], made_key["secret_access_key"]
    else:
        active = [each["access_key_id"] for each in keys or [] if each["status"] == "Active"]
        key_id, secret = str(active[0]) if active else "ACCESS_KEY", "SECRET_KEY"
    config = current_console().cloud.config
    return write_profiles(config, _find_api_host(), key_id, secret)


def _list_certificates() -> list[Item] | None:
    listed = try_list("ListSigningCertificates", "certificates")
    return listed and [
        {**each, "fingerprint": fingerprint(str(each["certificate_body"]))} for each in listed
    ]


def _find_api_host() -> str:
    """The API's name for clients on the visitor's machine, "" for its own address."""
    api = current_console().cloud.config.api
    if api.known_hosts:
        return api.known_hosts[0]
    is_wildcard = api.listen in ("0.0.0.0", "::")  # noqa: S104
    return request.host.rpartition(":")[0] or request.host if is_wildcard else ""


def _read_id() -> str:
    return check_text(request.form.get("id", ""), MOST_ID, "The id")


def _read_status() -> str:
    status = request.form.get("status", "")
    return status if status in STATUSES else "Inactive"
