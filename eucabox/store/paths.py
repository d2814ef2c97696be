"""Keys and bucket names as file names; touches no disk."""

import hashlib
import re
from functools import lru_cache

from eucabox.errors import BucketNameInCapitals, InvalidBucketName, InvalidKey, KeyTooLong

RESERVED = ".eucabox"
RESERVED_NAME = RESERVED.encode()
LONGEST_KEY = 1024  # bytes of UTF-8
LONGEST_NAME = 255  # bytes in one component, on every Linux file system
LONGEST_PATH = 4095  # bytes; tools of an operator can not open longer ones
UNFIT = frozenset({b"", b".", b".."})
SURROGATES = range(0xD800, 0xE000)

DNS_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|[.](?![.-])|-(?![.]))*[a-z0-9]", re.ASCII)
OLD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
ADDRESS = re.compile(r"[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+", re.ASCII)

# AWS reserves these for access points, international names and its own endpoints
RESERVED_STARTS = ("xn--", "sthree-")
RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
# paths of Eucalyptus begin with it, so a bucket of this name could not be reached
TAKEN = frozenset({"services"})


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName unless AWS, or the first S3 and Eucalyptus, allow such a name.

    AWS today: 3 to 63 of a-z 0-9 . - in DNS labels, not an IPv4 address. The extension: a name with
    a capital letter or an underscore may have 3 to 255 of A-Z a-z 0-9 . _ - and begins with a
    letter or digit.
    """
    old = "_" in name or name != name.lower()
    fits, longest = (OLD_NAME, 255) if old else (DNS_NAME, 63)
    if not 3 <= len(name) <= longest or ADDRESS.fullmatch(name) or not fits.fullmatch(name):
        raise InvalidBucketName(name=name)


def check_new_name(name: str) -> None:
    """Raise InvalidBucketName unless AWS would make a bucket of this name today."""
    check_bucket_name(name)
    lower = name.lower()
    if lower != name and DNS_NAME.fullmatch(lower):
        raise BucketNameInCapitals(name=name, lower=lower)
    if not DNS_NAME.fullmatch(name) or name.startswith(RESERVED_STARTS):
        raise InvalidBucketName(name=name)
    if name.endswith(RESERVED_ENDS):
        raise InvalidBucketName(name=name)


def encode_key(key: str) -> bytes:
    """Return the key's bytes; InvalidKey if there are none, KeyTooLong beyond 1,024."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise InvalidKey(reason="is not UTF-8") from None
    if not encoded:
        raise InvalidKey(reason="is empty")
    if len(encoded) > LONGEST_KEY:
        raise KeyTooLong(size=len(encoded), limit=LONGEST_KEY)
    return encoded


def components(key: bytes, folder_length: int) -> list[bytes] | None:
    """Split a key into names of folders and a file, or None if no path can hold it."""
    names = key.split(b"/")
    if b"\0" in key or names[0] == RESERVED_NAME:
        return None
    if len(key) + folder_length >= LONGEST_PATH or not UNFIT.isdisjoint(names):
        return None
    if len(key) > LONGEST_NAME and max(map(len, names)) > LONGEST_NAME:
        return None
    return names


@lru_cache(64)  # a change of one key needs the name several times
def digest(key: bytes) -> str:
    """Return the file name of a key that has no place at its path."""
    return hashlib.sha256(key).hexdigest()


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """Return the common prefix of a key in a listing: all up to the first delimiter after `prefix`;
    None if the key is listed itself."""
    if not delimiter or not key.startswith(prefix):
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def end_of_prefix(prefix: str) -> str | None:
    """Return the least text after every text with this prefix, or None if there is none."""
    while prefix:
        point = ord(prefix[-1]) + 1
        if point in SURROGATES:
            point = SURROGATES.stop
        if point <= 0x10FFFF:
            return prefix[:-1] + chr(point)
        prefix = prefix[:-1]
    return None
