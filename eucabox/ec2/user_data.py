"""Decodes user data as clients send it."""

import base64
import binascii
import re

from eucabox import ascii_text
from eucabox.errors import InvalidParameterValue, UserDataMalformed

MOST = 16384
BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]*={0,2}\s*", re.ASCII)


def decode(text: str) -> bytes | None:
    """Return the bytes of base64, or None; raises UserDataMalformed, InvalidParameterValue."""
    if not text:
        return None
    try:
        data = base64.b64decode(ascii_text.remove_blanks(text), validate=True)
    except (binascii.Error, ValueError):
        raise UserDataMalformed() from None
    return _check_size(data)


def from_either(text: str) -> bytes | None:
    """Return the bytes of base64, or of other text as it is: euca2ools sends both forms."""
    if not BASE64.fullmatch(text) or len(ascii_text.remove_blanks(text)) % 4:
        return _check_size(text.encode())
    return decode(text)


def _check_size(data: bytes) -> bytes:
    if len(data) > MOST:
        reason = f"User data has at most {MOST} bytes before base64."
        raise InvalidParameterValue(parameter="UserData", value=f"{len(data)} bytes", reason=reason)
    return data
