"""Blanks and small letters of ASCII alone, for text that came as bytes; decodes nothing.

A header is Latin-1 text, in which U+00A0 and U+0085 are bytes of a UTF-8 letter: `str.strip`,
`str.split` and `str.lower` would change these too.
"""

import re
from string import ascii_lowercase, ascii_uppercase

BLANKS = " \t\n\r\v\f"
_SOME = re.compile(f"[{BLANKS}]+", re.ASCII)
_TO_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_TO_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)


def strip(text: str) -> str:
    """Return a text without the blanks around it."""
    return text.strip(BLANKS)


def fold(text: str) -> str:
    """Return a text with one space for each run of blanks, and none around it."""
    return _SOME.sub(" ", strip(text))


def remove_blanks(text: str) -> str:
    """Return a text without any blank."""
    return _SOME.sub("", text)


def split_list(text: str) -> list[str]:
    """Return the words between commas, without blanks around them and without empty ones."""
    return [word for each in text.split(",") if (word := strip(each))]


def lower(text: str) -> str:
    """Return a text with its letters of ASCII small."""
    return text.lower() if text.isascii() else text.translate(_TO_LOWER)


def upper(text: str) -> str:
    """Return a text with its letters of ASCII large."""
    return text.upper() if text.isascii() else text.translate(_TO_UPPER)
