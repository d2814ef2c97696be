"""Hashes passwords by scrypt, checks them, and refuses poor ones; stores none and knows no user.

What is stored says how it was made, `scrypt$N$R$P$SALT$HASH`, so that later ones may cost more.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from eucabox import gil_turns
from eucabox.errors import PasswordPolicyViolation, PasswordsBusy

SHORTEST, LONGEST = 8, 128  # characters
COST, BLOCK, PASSES = 2**14, 8, 5  # N, r and p: 16 MiB for each that is being hashed
AT_ONCE = 2
PATIENCE = 20.0  # seconds that a caller waits for its turn
SALT_BYTES = HASH_BYTES = 32
COMMON = Path(__file__).with_name("common_passwords.list")
_turns = threading.BoundedSemaphore(AT_ONCE)


def hash_password(password: str) -> str:
    """Return what to store of a password; takes a quarter of a second. Raises PasswordsBusy.

    Whether it is good enough is `check_quality`'s to say, before.
    """
    salt = os.urandom(SALT_BYTES)
    digest = _derive(password, salt, COST, BLOCK, PASSES)
    parts = (COST, BLOCK, PASSES, _to_text(salt), _to_text(digest))
    return "scrypt$" + "$".join(map(str, parts))


def hash_alike(password: str, stored: str) -> str:
    """As `hash_password`, with the salt and the cost of what is stored of another password, so that
    the same password gives the same text."""
    how, _, _ = stored.rpartition("$")
    _, cost, block, passes, salt = how.split("$")
    digest = _derive(password, _to_bytes(salt), int(cost), int(block), int(passes))
    return f"{how}${_to_text(digest)}"


def check_password(password: str, stored: str) -> bool:
    """Tell whether a password is the one of which `stored` was made. Raises PasswordsBusy.

    For "" (there is no such user, or it has no password) it takes the same time and is false.
    """
    fields = stored.split("$") if stored else []
    if not fields:
        _derive(password[:LONGEST], bytes(SALT_BYTES), COST, BLOCK, PASSES)
        return False
    _, cost, block, passes, salt, digest = fields
    given = _derive(password[:LONGEST], _to_bytes(salt), int(cost), int(block), int(passes))
    return hmac.compare_digest(given, _to_bytes(digest)) and len(password) <= LONGEST


def check_quality(password: str, *names: str) -> None:
    """Raise PasswordPolicyViolation unless the password has 8 to 128 characters, none of them a
    control character, and is neither common nor one of the names of its user."""
    if not SHORTEST <= len(password) <= LONGEST:
        reason = f"A password has {SHORTEST} to {LONGEST} characters."
    elif any(unicodedata.category(each) in ("Cc", "Cs") for each in password):
        reason = "A password has no control characters."
    elif _fold(password) in _read_common():
        reason = "This password is one of those that are tried first. Choose another."
    elif _fold(password) in {_fold(each) for each in names if each}:
        reason = "A password is not the name of its user."
    else:
        return
    raise PasswordPolicyViolation(reason=reason)


@contextlib.contextmanager
def _take_turn() -> Iterator[None]:
    gil_turns.yield_leadership()
    if not _turns.acquire(timeout=PATIENCE):
        raise PasswordsBusy(count=AT_ONCE)
    try:
        yield
    finally:
        _turns.release()


def _derive(password: str, salt: bytes, cost: int, block: int, passes: int) -> bytes:
    # one form of letters that keyboards write in several, as with accents
    text = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    memory = 2 * 128 * cost * block
    with _take_turn():
        return hashlib.scrypt(
            text, salt=salt, n=cost, r=block, p=passes, maxmem=memory, dklen=HASH_BYTES
        )


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@cache
def _read_common() -> frozenset[str]:
    lines = COMMON.read_text(encoding="ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _to_text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _to_bytes(text: str) -> bytes:
    return base64.b64decode(text)
