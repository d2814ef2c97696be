"""Seals secrets for the disk with a key file that the service alone can read; stores nothing."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eucabox.atomic_files import write_atomic
from eucabox.errors import KeyFileUnusable

KEY_BYTES = 32
NONCE_BYTES = 12


class Seal:
    """AES-256-GCM under the key in one file, made with mode 0600 when it is missing."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._cipher = AESGCM(_read_or_create(file))

    def close(self, secret: bytes, purpose: str) -> bytes:
        """Return the secret sealed; it opens only with the same purpose."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return the secret; raises KeyFileUnusable when another key or purpose sealed it."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, purpose.encode())
        except InvalidTag:
            reason = f"this key does not open the {purpose}; put back the key file of this data"
            raise KeyFileUnusable(file=self.file, reason=reason) from None


def _read_or_create(file: Path) -> bytes:
    if not file.exists():
        write_atomic(file, os.urandom(KEY_BYTES), 0o600)
    if file.stat().st_mode & 0o077:
        raise KeyFileUnusable(file=file, reason="others can read it; chmod 600 it")
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise KeyFileUnusable(file=file, reason=f"it must hold {KEY_BYTES} bytes")
    return key
