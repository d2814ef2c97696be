"""What images are called: AWS's alphabet and length, one image a name in an account."""

import re

from eucabox.errors import ImageNameExists, ImageNameMalformed
from eucabox.state import State

NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}", re.ASCII)
OTHER = re.compile(r"[^A-Za-z0-9()\[\] ./\-'@_]", re.ASCII)
BUNDLE_NAME = re.compile("[ -.0-~]{1,200}")  # printable ASCII, no slash
LEAST, LONGEST = 3, 128
ROOM = 20  # characters for an id behind the name of a file


def check(name: str) -> str:
    """Return a name that an image may be given; raises ImageNameMalformed."""
    if not NAME.fullmatch(name):
        raise ImageNameMalformed(name=name[:LONGEST].encode("ascii", "replace").decode("ascii"))
    return name


def check_free(state: State, account_id: str, name: str) -> None:
    """Raise ImageNameExists where an image of the account has the name; a failed one has none.

    Call inside the transaction that writes the image.
    """
    image_id = _find_image(state, account_id, name)
    if image_id:
        raise ImageNameExists(name=name, id=image_id)


def name_from_file(file: str) -> str:
    """Return a name that an image may be given, made of that of its file."""
    name = OTHER.sub("-", file)[: LONGEST - ROOM]
    return name if len(name) >= LEAST else f"{name}-image"


def make_free_name(state: State, account_id: str, file: str, image_id: str) -> str:
    """Return a free name for an image that nobody gave one."""
    name = name_from_file(file)
    return f"{name}-{image_id}" if _find_image(state, account_id, name) else name


def _find_image(state: State, account_id: str, name: str) -> str:
    sql = """select image_id from images where account_id = ? and name = ?
      and state not in ('deregistered', 'failed') limit 1"""
    row = state.one(sql, (account_id, name))
    return str(row["image_id"]) if row else ""
