"""Checks the metadata options and the user data of a request."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from eucabox import ascii_text
from eucabox.errors import InvalidParameterValue, TagKeyNotForMetadata, UserDataMalformed
from eucabox.validation import to_api_name

MOST_USER_DATA = 16384  # bytes
BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]*+={0,2}\s*", re.ASCII)  # ends of lines read one way alone
CHOICES = {
    "http_tokens": ("optional", "required"),
    "http_endpoint": ("enabled", "disabled"),
    "http_protocol_ipv6": ("disabled",),
    "instance_metadata_tags": ("disabled", "enabled"),
}
TAGS = "instance_metadata_tags"
TAG_KEY = re.compile(
    r"(?!(\.{1,2}|_index)$)[0-9a-zA-Z\-_+=,.@:]{1,255}"
)  # what the metadata's paths can hold
HOPS = "http_put_response_hop_limit"
# EC2's: the first choice of each.
DEFAULT_OPTIONS: dict[str, str | int] = {
    **{name: choices[0] for name, choices in CHOICES.items()},
    HOPS: 1,
}


def validate_options(
    members: Mapping[str, Any], base: Mapping[str, Any] | None = None, prefix: str = ""
) -> dict[str, Any]:
    """Return all options: those of the request, else of `base`, else EC2's defaults.

    Raises InvalidParameterValue, which names an option with `prefix` in front.
    """
    changes = {name: value for name, value in members.items() if value not in ("", None)}
    options = {**DEFAULT_OPTIONS, **(base or {}), **changes}
    for name, choices in CHOICES.items():
        if options[name] not in choices:
            _refuse(
                prefix + to_api_name(name), options[name], f"Choose one of {', '.join(choices)}."
            )
    if not 1 <= options[HOPS] <= 64:
        _refuse(prefix + to_api_name(HOPS), options[HOPS], "Give a number from 1 to 64.")
    return options


def _refuse(name: str, value: object, reason: str) -> None:
    raise InvalidParameterValue(parameter=name, value=str(value)[:60], reason=reason)


def check_tag_keys(options: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Raise TagKeyNotForMetadata if the metadata shows tags and can't show one of these keys."""
    if options.get(TAGS) != "enabled":
        return
    for key in keys:
        if not TAG_KEY.fullmatch(key):
            raise TagKeyNotForMetadata(key=key)


def decode_user_data(text: str) -> bytes | None:
    """Return the bytes of base64, or None; raises UserDataMalformed, InvalidParameterValue."""
    if not text:
        return None
    try:
        data = base64.b64decode(ascii_text.remove_blanks(text), validate=True)
    except (binascii.Error, ValueError):
        raise UserDataMalformed() from None
    return _check_size(data)


def read_user_data(text: str) -> bytes | None:
    """Return user data as bytes, from base64 or from plain text: euca2ools sends both."""
    if not BASE64.fullmatch(text) or len(ascii_text.remove_blanks(text)) % 4:
        return _check_size(text.encode())
    return decode_user_data(text)


def _check_size(data: bytes) -> bytes:
    if len(data) > MOST_USER_DATA:
        reason = f"User data has at most {MOST_USER_DATA} bytes before base64."
        raise InvalidParameterValue(parameter="UserData", value=f"{len(data)} bytes", reason=reason)
    return data
