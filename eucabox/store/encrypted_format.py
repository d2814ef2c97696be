"""The form of an encrypted file: a header, then frames that each prove themselves; keeps no key.

Numbers are big-endian. A file, or a part of an upload, is

    header   MAGIC, form, its own length (4), bytes of the content (8), ETag (16), JSON,
             and at its end (48 bytes) the data key, wrapped: AES-256-GCM under a key that
             HMAC-SHA256 makes of the wrapping key and the salt in the JSON
    frames   64 KiB of the content each, the last one less: AES-256-GCM under the data key,
             with the frame's number (from 0) for a nonce, and the tag of 16 bytes behind

A data key is of one file only, so a frame is good in its own place alone. What wraps it also
proves the header, with the length in it, and the bucket and the key that the object has.

An object made of parts is a header of the form JOINED, which tells how many parts there are and
proves their sizes, and then the parts as they were uploaded, each with its header.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eucabox.errors import ObjectDamaged

VERSION = 1
MAGIC = b"\xe5ucabox" + bytes([VERSION])
WHOLE, JOINED = 0, 1
FRAME, TAG = 1 << 16, 16
KEY_BYTES, SALT_BYTES = 32, 32
PREFIX = struct.Struct(">8sBIQ16s")
USUAL_HEADER, LONGEST_HEADER = 1 << 10, 1 << 20
NO_TAG = bytes(16)
NONCE = bytes(
    12
)  # of a wrapped data key: the salt, and with it the wrapping key, is never used twice


@dataclass(frozen=True)
class Header:
    """The header before the frames; `fields` is its JSON, `wrapped` the data key."""

    form: int
    size: int
    e_tag: bytes
    fields: dict[str, Any]
    authenticated: bytes
    wrapped: bytes

    @property
    def length(self) -> int:
        """Bytes of the header on the disk."""
        return len(self.authenticated) + len(self.wrapped)

    @property
    def salt(self) -> bytes:
        """The salt that makes the key that wraps this data key unique."""
        return base64.b64decode(self.fields["salt"])

    @property
    def stored(self) -> int:
        """Bytes on the disk of a header of the form WHOLE with its frames."""
        return self.length + framed_size(self.size)


def framed_size(size: int) -> int:
    """Return how many bytes the frames of a content have."""
    return size + TAG * -(-size // FRAME)


def nonce(number: int) -> bytes:
    """Return the nonce of a frame."""
    return number.to_bytes(12, "big")


def new_salt() -> str:
    """Return a salt as the JSON of a header has it."""
    return base64.b64encode(os.urandom(SALT_BYTES)).decode()


def check_value(secret: bytes, salt: bytes) -> str:
    """Return a value by which a customer key is recognized, given the salt."""
    return hmac.new(secret, b"eucabox sse-c check" + salt, hashlib.sha256).hexdigest()[:32]


def build(
    form: int,
    size: int,
    e_tag: bytes,
    fields: dict[str, Any],
    wrapping: "Wrapping",
    data_key: bytes,
) -> bytes:
    """Return a header; its length does not depend on size and ETag."""
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
    length = PREFIX.size + len(text) + KEY_BYTES + TAG
    authenticated = PREFIX.pack(MAGIC, form, length, size, e_tag) + text
    return authenticated + wrapping.wrap(authenticated, base64.b64decode(fields["salt"]), data_key)


def read(descriptor: int, offset: int = 0) -> Header | None:
    """Read the header that stands at an offset of a file; None if there is none."""
    raw = os.pread(descriptor, USUAL_HEADER, offset)
    if len(raw) < PREFIX.size or not raw.startswith(MAGIC):
        return None
    _, form, length, size, e_tag = PREFIX.unpack_from(raw)
    tail = KEY_BYTES + TAG
    if form not in (WHOLE, JOINED) or not PREFIX.size + tail < length <= LONGEST_HEADER:
        return None
    raw = raw[:length] if length <= USUAL_HEADER else os.pread(descriptor, length, offset)
    try:
        fields = json.loads(raw[PREFIX.size : length - tail])
        if len(raw) != length or len(base64.b64decode(fields["salt"])) != SALT_BYTES:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return Header(form, size, e_tag, fields, raw[: length - tail], raw[length - tail :])


@dataclass(frozen=True)
class Wrapping:
    """Wraps the data keys of one object's files: under a secret, bound to bucket and key."""

    secret: bytes
    place: bytes

    def wrap(self, authenticated: bytes, salt: bytes, data_key: bytes) -> bytes:
        """Return a data key wrapped; it also authenticates the header before it."""
        return self._cipher(salt).encrypt(NONCE, data_key, authenticated + self.place)

    def unwrap(self, header: Header) -> bytes:
        """Return the data key of a header; ObjectDamaged if anything of it was changed."""
        try:
            cipher = self._cipher(header.salt)
            return cipher.decrypt(NONCE, header.wrapped, header.authenticated + self.place)
        except InvalidTag:
            reason = "its header was changed, or it belongs to another key"
            raise ObjectDamaged(what=_name(self.place), reason=reason) from None

    def hide_etag(self, md5: str) -> str:
        """Return an ETag that reveals nothing of the content without the secret."""
        text = b"eucabox etag" + bytes.fromhex(md5) + self.place
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()[:32]

    def _cipher(self, salt: bytes) -> AESGCM:
        text = b"eucabox object key" + salt
        return AESGCM(hmac.new(self.secret, text, hashlib.sha256).digest())


def place_of(bucket: str, key: str) -> bytes:
    """Return what a wrapped key is bound to: bucket and key."""
    return b"\0" + bucket.encode() + b"/" + key.encode()


def _name(place: bytes) -> str:
    return place[1:].decode(errors="replace")


def sizes_digest(sizes: tuple[int, ...]) -> str:
    """Return the digest of the parts' sizes that a joined header has."""
    return hashlib.sha256(b"".join(size.to_bytes(8, "big") for size in sizes)).hexdigest()
