"""What images are called: AWS's alphabet and length, one image a name in an account."""

import re

from eucabox.errors import ImageNameExists, ImageNameMalformed
from eucabox.state import State

NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}", re.ASCII)
OTHER = re.compile(r"[^A-Za-z0-9()\[\] ./\-'@_]", re.ASCII)
LONGEST = 128


def check(name: str) -> str:
    """Return a name that an image may be given; raises ImageNameMalformed."""
    if not NAME.fullmatch(name):
        raise ImageNameMalformed(name=name[:LONGEST].encode("ascii", "replace").decode("ascii"))
    return name


def check_free(state: State, account_id: str, name: str) -> None:
    """Raise ImageNameExists where an image of the account has the name; a failed one has none.

    Call inside the transaction that writes the image.
    """
    holder = _holder(state, account_id, name)
    if holder:
        raise ImageNameExists(name=name, id=holder)


def of_location(state: State, account_id: str, name: str, image_id: str) -> str:
    """Return a free name for an image that nobody gave one, made of that of its file."""
    plain = OTHER.sub("-", name)[: LONGEST - len(image_id) - 1]
    if len(plain) >= 3 and not _holder(state, account_id, plain):
        return plain
    return f"{plain}-{image_id}".strip("-")


def _holder(state: State, account_id: str, name: str) -> str:
    sql = """select image_id from images where account_id = ? and name = ?
      and state not in ('deregistered', 'failed') limit 1"""
    row = state.one(sql, (account_id, name))
    return str(row["image_id"]) if row else ""
