"""The keys that encrypt objects: stored sealed, made when first needed; encrypts no object."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eucabox.atomic_files import write_atomic
from eucabox.config import Config, words
from eucabox.errors import (
    EncryptionUnfit,
    KeyFileUnusable,
    KeysUnusable,
    KmsKeyDisabled,
    KmsKeyNotFound,
)
from eucabox.seal import Seal
from eucabox.store import encrypted_format
from eucabox.store.encrypted_format import KEY_BYTES, Header, Wrapping
from eucabox.store.paths import RESERVED
from eucabox.store.types import (
    AES256,
    KMS,
    SSE_C,
    CustomerKeyCheck,
    EncryptionInfo,
    EncryptionRecord,
    Object,
)

DEFAULT_KMS_KEY = "aws-s3"
DEFAULT_ALIAS = "aws/s3"
MASTER = "master"
ENCRYPTED = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must"
    " be provided to retrieve the object."
)
OTHER_KEY = (
    "The provided encryption parameters did not match the ones used originally. Send the"
    " customer key that the object was written with."
)
UPLOAD_ENCRYPTED = (
    "The multipart upload initiate requested encryption. Subsequent part requests must include"
    " the appropriate encryption parameters."
)


@dataclass(frozen=True)
class KmsSettings:
    """The names of the KMS keys in the configuration, and what their ARNs are made of."""

    kms_keys: tuple[str, ...] = ()
    region: str = "eucabox"
    account: str = "000000000000"


@dataclass(frozen=True)
class EncryptionKeySpec:
    """How a new object is encrypted: `name` is the KMS key's, `mark` identifies our key."""

    kind: str
    secret: bytes = field(repr=False)
    mark: str = ""
    name: str = ""
    context: str = ""
    bucket_key: bool = False

    def record(self) -> EncryptionRecord:
        """Return plain JSON from which `Keyring.from_record` makes it again. Of a customer key it
        has only a check value."""
        record: EncryptionRecord = {
            "kind": self.kind,
            "name": self.name,
            "context": self.context,
            "bucket_key": self.bucket_key,
        }
        return {**record, **self._check_value()} if self.kind == SSE_C else record

    def header_text(self) -> dict[str, Any]:
        """Return the JSON for the header of a new file, with a salt of its own."""
        optional = {"name": self.name, "context": self.context, "bucket_key": self.bucket_key}
        fields = {"kind": self.kind, **{key: value for key, value in optional.items() if value}}
        if self.kind == SSE_C:
            return {**fields, **self._check_value()}
        return {**fields, "mark": self.mark, "salt": encrypted_format.new_salt()}

    def encryption_info(self, stored: int, header: int, part_header: int = 0) -> EncryptionInfo:
        """Return what is stored of it with an object."""
        return EncryptionInfo(self.kind, stored, header, part_header, self.name, self.bucket_key)

    def _check_value(self) -> CustomerKeyCheck:
        salt = encrypted_format.new_salt()
        check = encrypted_format.check_value(self.secret, base64.b64decode(salt))
        return {"salt": salt, "check": check}


class Keyring:
    """The master key and the KMS keys of one cloud, in a file of mode 0600.

    A second file, in the buckets' folder, identifies the master key of its objects, so that no new
    key is made while the key file is only missing.
    """

    def __init__(
        self, file: Path, seal: Seal, witness: Path, settings: Callable[[], KmsSettings]
    ) -> None:
        self._file, self._seal, self._witness = file, seal, witness
        self.settings = settings
        self._lock = threading.RLock()
        self._keys: dict[str, bytes] = {}

    # --- for new objects ----------------------------------------------------------------------

    def sse_s3(self) -> EncryptionKeySpec:
        """Return SSE-S3, under the master key."""
        secret = self._get_or_make_secret(MASTER)
        return EncryptionKeySpec(AES256, secret, mark_of(secret))

    def sse_kms(
        self, key_id: str = "", context: str = "", bucket_key: bool = False
    ) -> EncryptionKeySpec:
        """Return SSE-KMS under a key of the configuration, by its name, alias or ARN."""
        name = name_of(key_id)
        self._check_enabled(name)
        secret = self._get_or_make_secret(name)
        return EncryptionKeySpec(KMS, secret, mark_of(secret), name, context, bucket_key)

    def from_record(
        self, record: EncryptionRecord, customer_key: bytes | None
    ) -> EncryptionKeySpec:
        """Return the encryption of a record; of SSE-C only with the customer key that it was made
        with."""
        if record["kind"] == AES256:
            return self.sse_s3()
        if record["kind"] == KMS:
            return self.sse_kms(record["name"], record["context"], record["bucket_key"])
        if customer_key is None:
            raise EncryptionUnfit(reason=UPLOAD_ENCRYPTED)
        _check_customer_key(record, customer_key)
        return EncryptionKeySpec(SSE_C, customer_key)

    # --- for existing objects -----------------------------------------------------------------

    def data_key(self, header: Header, obj: Object, customer_key: bytes | None) -> bytes:
        """Return the data key of a file or a part; a Fault says why it can't be had."""
        place = encrypted_format.place_of(obj.bucket, obj.key)
        return Wrapping(self._secret_for_header(header, customer_key), place).unwrap(header)

    def for_multipart(self, bucket: str, key: str) -> tuple[Wrapping, str]:
        """Return what authenticates the joined header of an object, and the mark of that key."""
        secret = self._get_or_make_secret(MASTER)
        return Wrapping(secret, encrypted_format.place_of(bucket, key)), mark_of(secret)

    def _secret_for_header(self, header: Header, customer_key: bytes | None) -> bytes:
        fields = header.fields
        if fields.get("kind") == SSE_C and header.form == encrypted_format.WHOLE:
            if customer_key is None:
                raise EncryptionUnfit(reason=ENCRYPTED)
            _check_customer_key(fields, customer_key)
            return customer_key
        joined = header.form == encrypted_format.JOINED or fields.get("kind") == AES256
        name = MASTER if joined else str(fields.get("name"))
        if name != MASTER:
            self._check_enabled(name)
        secret = self._load_keys().get(name)
        if secret is None or not hmac.compare_digest(mark_of(secret), str(fields.get("mark"))):
            reason = f"it has not the key that this object was written with ({name})"
            raise KeysUnusable(file=self._file, reason=reason)
        return secret

    # --- names --------------------------------------------------------------------------------

    def arn(self, name: str) -> str:
        """Return the ARN of a KMS key."""
        settings = self.settings()
        return f"arn:aws:kms:{settings.region}:{settings.account}:key/{name}"

    def list_keys(self) -> dict[str, bool]:
        """Return {name: enabled} of the KMS keys in the configuration and in the file."""
        enabled = {DEFAULT_KMS_KEY, *self.settings().kms_keys}
        names = enabled | self._load_keys().keys() - {MASTER}
        return {name: name in enabled for name in sorted(names)}

    def _check_enabled(self, name: str) -> None:
        if name in (DEFAULT_KMS_KEY, *self.settings().kms_keys):
            return
        if name in self._load_keys():
            raise KmsKeyDisabled(arn=self.arn(name))
        raise KmsKeyNotFound(name=name)

    # --- the file -----------------------------------------------------------------------------

    def _get_or_make_secret(self, name: str) -> bytes:
        """Return a key, made and on the disk if there was none."""
        with self._lock:
            keys = self._load_keys()
            if name not in keys:
                made = {MASTER: os.urandom(KEY_BYTES), **keys}
                made.setdefault(name, os.urandom(KEY_BYTES))
                self._write(made)
            return self._keys[name]

    def _load_keys(self) -> dict[str, bytes]:
        """Return the keys of the file; it is read again while it is missing or unusable."""
        with self._lock:
            if not self._keys:
                self._keys = self._read()
            return self._keys

    def _read(self) -> dict[str, bytes]:
        witness = ""
        with contextlib.suppress(FileNotFoundError):
            witness = self._witness.read_text("ascii").strip()
        try:
            lines = json.loads(self._file.read_bytes())
            keys = {
                name: self._seal.open(base64.b64decode(text), _purpose(name))
                for name, text in lines["keys"].items()
            }
            master = keys[MASTER]
        except FileNotFoundError:
            if witness:
                raise KeysUnusable(file=self._file, reason="it is missing") from None
            return {}
        except KeyFileUnusable as fault:
            raise KeysUnusable(file=self._file, reason=fault.message) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise KeysUnusable(file=self._file, reason="it can't be read") from None
        if witness and not hmac.compare_digest(witness, mark_of(master)):
            reason = "its keys are not those that the buckets were written with"
            raise KeysUnusable(file=self._file, reason=reason)
        if not witness:
            write_atomic(self._witness, mark_of(master).encode(), 0o600)
        return keys

    def _write(self, keys: dict[str, bytes]) -> None:
        closed = {
            name: base64.b64encode(self._seal.close(secret, _purpose(name))).decode()
            for name, secret in keys.items()
        }
        write_atomic(self._file, json.dumps({"version": 1, "keys": closed}).encode(), 0o600)
        write_atomic(self._witness, mark_of(keys[MASTER]).encode(), 0o600)
        self._keys = keys


def require(keys: Keyring | None) -> Keyring:
    """Return the keys of a store; KeysUnusable if it was opened without any."""
    if keys is None:
        raise KeysUnusable(file="the keys", reason="this store was opened without any")
    return keys


def open_keyring(config: Callable[[], Config], account: str) -> Keyring:
    """Return the keys of a cloud whose administrator has that account. The KMS names in its
    configuration may change any time."""

    def settings() -> KmsSettings:
        return KmsSettings(words(config().buckets.kms_keys), config().cloud.region, account)

    data, root = config().cloud.data_dir, config().bucket_root
    return Keyring(
        data / "bucket-keys", Seal(data / "key"), root / RESERVED / "master-key", settings
    )


def name_of(key_id: str) -> str:
    """Return the name in a KMS key id: a name, alias/NAME, or an ARN of either."""
    resource = (
        key_id.split(":", 5)[5] if key_id.startswith("arn:") and key_id.count(":") > 4 else key_id
    )
    name = resource.removeprefix("key/").removeprefix("alias/")
    return DEFAULT_KMS_KEY if name in ("", DEFAULT_ALIAS) else name


def mark_of(secret: bytes) -> str:
    """Return a fingerprint that identifies a key and reveals nothing of it."""
    return hashlib.sha256(b"eucabox key mark" + secret).hexdigest()[:16]


def _check_customer_key(record: Mapping[str, object], customer_key: bytes) -> None:
    value = encrypted_format.check_value(customer_key, base64.b64decode(str(record["salt"])))
    if not hmac.compare_digest(value, str(record.get("check"))):
        raise EncryptionUnfit(reason=OTHER_KEY)


def _purpose(name: str) -> str:
    return f"bucket key {name}"
