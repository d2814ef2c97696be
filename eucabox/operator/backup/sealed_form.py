"""The outer form of a backup: a header, then frames that each prove themselves; knows no content.

    header   two lines of text: MAGIC, and JSON with the scrypt parameters, the salt and a check
    frames   kind (1), length of what is sealed (4), nonce (12), what is sealed, its tag (16)

Numbers are big-endian. What is sealed is AES-256-GCM under a key that scrypt makes of the
passphrase. It also proves the header, the frame's number (from 0), its kind and the tag of the
frame before, so that none can be left out, moved, or taken from another run.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from eucabox import ids
from eucabox.errors import NotABackup, WrongPassphrase

MAGIC = b"eucabox backup 1\n"
CHUNK = 1 << 18  # bytes of content in a frame at most
HEAD = struct.Struct(">cI12s")
NONCE, TAG = 12, 16
NO_TAG = bytes(TAG)
DATA, ZEROS, CHECKPOINT, END = b"D", b"Z", b"C", b"E"
COUNT = struct.Struct(">I")  # of the zero bytes that a frame ZEROS stands for
LONGEST = {DATA: CHUNK, ZEROS: COUNT.size, CHECKPOINT: 1 << 20, END: 0}
LONGEST_HEADER = 4096
COST = {"n": 1 << 17, "r": 8, "p": 1}
MOST_COST = {"n": 1 << 20, "r": 16, "p": 4}  # a stranger's file takes no more than 2 GiB
SALT_BYTES = 32
KEY_BYTES = 32


@dataclass(frozen=True)
class FrameHead:
    """The bytes before what is sealed."""

    kind: bytes
    length: int
    nonce: bytes

    @property
    def is_possible(self) -> bool:
        """Whether a backup can have such a frame."""
        return self.length <= LONGEST.get(self.kind, -1)

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return HEAD.size + self.length + TAG


def read_head(raw: bytes) -> FrameHead | None:
    """Return a frame's head; None if that is none."""
    if len(raw) < HEAD.size:
        return None
    head = FrameHead(*HEAD.unpack_from(raw))
    return head if head.is_possible else None


class Frames:
    """Seals and opens the frames of one backup, in their order."""

    def __init__(self, header: bytes, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._header = hashlib.sha256(header).digest()
        self.number = 0
        self.last_tag = NO_TAG

    def go_to(self, number: int, last_tag: bytes) -> None:
        """Go on with the frame of that number."""
        self.number, self.last_tag = number, last_tag

    def seal(self, kind: bytes, content: bytes) -> bytes:
        """Return the next frame."""
        nonce = os.urandom(NONCE)
        sealed = self._cipher.encrypt(nonce, content, self._bind(kind))
        self.go_to(self.number + 1, sealed[-TAG:])
        return HEAD.pack(kind, len(content), nonce) + sealed

    def open(self, head: FrameHead, sealed: bytes) -> bytes | None:
        """Return the content of the next frame; None if it is not that."""
        try:
            content = self._cipher.decrypt(head.nonce, sealed, self._bind(head.kind))
        except InvalidTag:
            return None
        self.go_to(self.number + 1, sealed[-TAG:])
        return content

    def _bind(self, kind: bytes) -> bytes:
        return self._header + self.number.to_bytes(8, "big") + kind + self.last_tag


def make_header(passphrase: bytes) -> tuple[bytes, bytes]:
    """Return a new header and the key that goes with it."""
    salt = os.urandom(SALT_BYTES)
    key, check = _derive(passphrase, salt, COST)
    facts = {
        "kdf": "scrypt",
        **COST,
        "salt": base64.b64encode(salt).decode(),
        "check": check,
        "begun": ids.now(),
    }
    return MAGIC + json.dumps(facts).encode() + b"\n", key


def read_header(descriptor: int, file: Path, passphrase: bytes) -> tuple[bytes, bytes]:
    """Return a file's header and its key; raises NotABackup and WrongPassphrase."""
    raw = os.pread(descriptor, LONGEST_HEADER, 0)
    if not raw.startswith(MAGIC):
        raise NotABackup(file=file, reason="it does not begin as one")
    line, end, _ = raw[len(MAGIC) :].partition(b"\n")
    try:
        facts = json.loads(line)
        salt, cost = base64.b64decode(facts["salt"]), {name: int(facts[name]) for name in COST}
        stated = str(facts["check"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotABackup(file=file, reason="its second line is damaged") from None
    if not end or len(salt) != SALT_BYTES or not _is_bearable(cost):
        raise NotABackup(file=file, reason="its second line has values that none has")
    key, check = _derive(passphrase, salt, cost)
    if not hmac.compare_digest(check, stated):
        raise WrongPassphrase(file=file)
    return MAGIC + line + end, key


def _is_bearable(cost: dict[str, int]) -> bool:
    power_of_two = cost["n"] > 1 and cost["n"] & (cost["n"] - 1) == 0
    return power_of_two and all(1 <= value <= MOST_COST[name] for name, value in cost.items())


def _derive(passphrase: bytes, salt: bytes, cost: dict[str, int]) -> tuple[bytes, str]:
    """Return the key, and what recognizes the passphrase and reveals nothing of the key."""
    both = Scrypt(salt=salt, length=2 * KEY_BYTES, **cost).derive(passphrase)
    return both[:KEY_BYTES], hashlib.sha256(both[KEY_BYTES:]).hexdigest()
