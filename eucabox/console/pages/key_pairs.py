"""Key pairs: made with their private key as a download, imported, deleted."""

from dataclasses import replace

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console import compute
from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.bulk import perform_each, read_chosen, show_outcomes
from eucabox.console.compute import ShownKeyPair
from eucabox.console.guard import check_text
from eucabox.console.listing import Column, PagedList, show_listing
from eucabox.console.ssh_line import name_key_file
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("key_pairs", __name__)
MOST_NAME = 255
MOST_BYTES = 16384  # of a public key's file
COLUMNS: tuple[Column[ShownKeyPair], ...] = (
    Column("name", "Name", lambda row: row["key_name"].casefold(), is_fixed=True, style="name"),
    Column("type", "Type", lambda row: row["key_type"]),
    Column("fingerprint", "Fingerprint", style="long"),
    Column("created", "Created", lambda row: row["create_time"].timestamp()),
    Column("id", "ID", lambda row: row["key_pair_id"], is_shown=False),
    Column("tags", "Tags", is_shown=False),
)


@pages.get("/key-pairs")
def show() -> Response:
    """List them."""
    return _show_page()


@pages.get("/key-pairs/list")
def show_list() -> str:
    """Show the list alone, for a page that renews it."""
    return render_template("_key_pairs.html", listing=_read_list())


@pages.post("/key-pairs/create")
def create() -> Response:
    """Make one and send its private key, this once."""
    name = _read_name()
    kind = "rsa" if request.form.get("type") == "rsa" else "ed25519"
    try:
        made = perform("ec2", "CreateKeyPair", key_name=name, key_type=kind)
    except Fault as fault:
        return _show_page(get_status(fault), fault.message)
    response = make_response(str(made["key_material"]))
    response.content_type = "application/x-pem-file"
    response.headers.set("Content-Disposition", "attachment", filename=name_key_file(name))
    return response


@pages.post("/key-pairs/import")
def import_key() -> Response:
    """Take a public key, as text or as a file."""
    name, file = _read_name(), request.files.get("file")
    material = file.read(MOST_BYTES + 1) if file else b""
    material = material or request.form.get("public_key", "").encode()
    try:
        perform("ec2", "ImportKeyPair", key_name=name, public_key_material=material)
    except Fault as fault:
        return _show_page(get_status(fault), fault.message)
    return redirect_with_notice("key_pairs.show", f"{name} is imported.")


@pages.post("/key-pairs/delete")
def delete() -> Response:
    """Delete those that were chosen, by their ids."""
    names = {each["key_pair_id"]: each["key_name"] for each in compute.list_key_pairs()}
    outcomes = perform_each(
        read_chosen(), lambda key_id: perform("ec2", "DeleteKeyPair", key_pair_id=key_id)
    )
    named = tuple(replace(each, name=names.get(each.name, each.name)) for each in outcomes)
    return show_outcomes("key_pairs.show", "deleted", named)


def _show_page(status: int = 200, problem: str = "") -> Response:
    page = render_template(
        "key_pairs.html", listing=_read_list(), problem=problem, sent=request.form
    )
    return make_response(page, status)


def _read_list() -> PagedList[ShownKeyPair]:
    return show_listing(
        "key-pairs",
        "key_pairs.show",
        COLUMNS,
        compute.list_key_pairs(),
        lambda row: f"{row['key_name']} {row['key_fingerprint']} {row['key_type']}",
        lambda row: {each["key"]: each["value"] for each in row["tags"]},
    )


def _read_name() -> str:
    return check_text(request.form.get("name", ""), MOST_NAME, "The name")
