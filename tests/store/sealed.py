"""A store with keys, and files to damage."""

from collections.abc import Callable
from pathlib import Path

from eucabox.bucket import Store
from eucabox.seal import Seal
from eucabox.store.keyring import EncryptionKeySpec, Keyring, KmsSettings

FRAME = 1 << 16
CUSTOMER = b"c" * 32
OWNER = "111122223333"


class Keyed:
    """A store of one bucket, `box`, with keys that a test may lose."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.names = folder, names or ("first", "second")
        self.root = folder / "buckets"
        self.keys = self.ring()
        self.store = Store(self.root, self.keys)
        if not self.store.buckets():
            self.store.create_bucket("box", OWNER)

    def ring(self) -> Keyring:
        """The keys as a new process reads them."""
        (self.root / ".eucabox").mkdir(parents=True, exist_ok=True)
        seal, witness = Seal(self.folder / "key"), self.root / ".eucabox/master-key"
        return Keyring(self.folder / "keys", seal, witness, lambda: KmsSettings(tuple(self.names)))

    def again(self) -> "Keyed":
        """What another process sees."""
        self.store.close()
        return Keyed(self.folder, *self.names)

    def file(self, key: str) -> Path:
        return self.root / "box" / key


KINDS: dict[str, Callable[[Keyring], EncryptionKeySpec]] = {
    "AES256": lambda keys: keys.sse_s3(),
    "aws:kms": lambda keys: keys.sse_kms("first", '{"a":"b"}', True),
    "SSE-C": lambda keys: EncryptionKeySpec("SSE-C", CUSTOMER),
}
