"""The keys of encrypted objects: named, sealed, missed."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.bucket import ObjectProperties
from eucabox.errors import (
    EncryptionUnfit,
    Fault,
    KeysUnusable,
    KmsKeyDisabled,
    KmsKeyNotFound,
)
from eucabox.store.keyring import EncryptionKeySpec, name_of
from tests.store.sealed import CUSTOMER, KINDS, Keyed


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Keyed]:
    opened = Keyed(tmp_path)
    yield opened
    opened.store.close()


def put(keyed: Keyed, kind: str = "AES256", key: str = "key") -> None:
    encryption = KINDS[kind](keyed.keys)
    keyed.store.put("box", key, io.BytesIO(b"content"), ObjectProperties(), encryption=encryption)


def get(keyed: Keyed, customer_key: bytes | None = None) -> bytes:
    with keyed.store.open("box", "key") as found:
        found.unlock(customer_key)
        return found.read()


@pytest.mark.parametrize("kind", ["AES256", "aws:kms"])
def test_another_process_opens_what_was_closed(keyed: Keyed, kind: str) -> None:
    put(keyed, kind)
    keyed.store = (after := keyed.again()).store
    assert get(after) == b"content"


def test_the_file_has_no_key_in_the_clear_and_is_the_service_s_alone(keyed: Keyed) -> None:
    put(keyed)
    secret = keyed.keys.sse_s3().secret
    content = (keyed.folder / "keys").read_bytes()
    assert secret not in content and secret.hex().encode() not in content
    assert (keyed.folder / "keys").stat().st_mode & 0o777 == 0o600
    assert "secret" not in repr(keyed.keys.sse_s3())


def test_a_customer_key_is_stored_nowhere(keyed: Keyed) -> None:
    put(keyed, "SSE-C")
    upload = keyed.store.create_upload(
        "box", "up", ObjectProperties(), encryption=EncryptionKeySpec("SSE-C", CUSTOMER)
    )
    keyed.store.put_part("box", "up", upload, 1, io.BytesIO(b"x"), customer_key=CUSTOMER)
    for file in keyed.folder.rglob("*"):
        if file.is_file():
            assert CUSTOMER not in file.read_bytes()
            assert CUSTOMER.hex().encode() not in file.read_bytes()


def test_an_object_needs_the_customer_key_that_it_was_written_with(keyed: Keyed) -> None:
    put(keyed, "SSE-C")
    assert get(keyed, CUSTOMER) == b"content"
    with pytest.raises(EncryptionUnfit, match="stored using a form"):
        get(keyed)
    with pytest.raises(EncryptionUnfit, match="did not match"):
        get(keyed, b"d" * 32)


def test_names() -> None:
    arn = "arn:aws:kms:eu-west-1:111122223333:"
    for key_id in ("first", "alias/first", f"{arn}key/first", f"{arn}alias/first"):
        assert name_of(key_id) == "first"
    for key_id in ("", "alias/aws/s3", f"{arn}alias/aws/s3", "aws-s3", f"{arn}key/aws-s3"):
        assert name_of(key_id) == "aws-s3"


def test_only_keys_of_the_configuration(keyed: Keyed) -> None:
    with pytest.raises(KmsKeyNotFound):
        keyed.keys.sse_kms("third")
    put(keyed, "aws:kms")
    keyed.names = ("second",)
    for ask in (lambda: keyed.keys.sse_kms("first"), lambda: get(keyed)):
        with pytest.raises(KmsKeyDisabled, match="key/first"):
            ask()
    assert keyed.keys.list_keys() == {"aws-s3": True, "first": False, "second": True}
    keyed.names = ("first",)
    assert get(keyed) == b"content"


@pytest.mark.parametrize("kind", ["AES256", "aws:kms"])
def test_missing_keys_are_reported_and_not_made_again(keyed: Keyed, kind: str) -> None:
    put(keyed, kind)
    (keyed.folder / "keys").rename(keyed.folder / "away")
    keyed.store = (after := keyed.again()).store
    for ask in (lambda: get(after), lambda: put(after, kind, "other")):
        with pytest.raises(KeysUnusable, match="it is missing"):
            ask()
    assert not (keyed.folder / "keys").exists()
    assert after.store.head("box", "key").size == 7
    after.store.put("box", "plain", io.BytesIO(b"x"), ObjectProperties())
    (keyed.folder / "away").rename(keyed.folder / "keys")
    assert get(after) == b"content"


def test_keys_of_another_store(keyed: Keyed, tmp_path: Path) -> None:
    put(keyed)
    other = Keyed(tmp_path / "other")
    put(other)
    other.store.close()
    (keyed.folder / "keys").write_bytes((other.folder / "keys").read_bytes())
    keyed.store = (after := keyed.again()).store
    with pytest.raises(KeysUnusable, match="does not open"):
        get(after)
    (keyed.folder / "key").write_bytes((other.folder / "key").read_bytes())
    keyed.store = (after := after.again()).store
    with pytest.raises(KeysUnusable, match="not those that the buckets were written with"):
        get(after)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"keys": {"master": "!"}}'])
def test_a_damaged_file_of_keys(keyed: Keyed, content: bytes) -> None:
    put(keyed)
    (keyed.folder / "keys").write_bytes(content)
    keyed.store = (after := keyed.again()).store
    with pytest.raises(Fault) as caught:
        get(after)
    assert caught.value.code == "KMS.KeyUnavailableException"


def test_a_key_made_again_does_not_open_old_objects(keyed: Keyed) -> None:
    put(keyed)
    (keyed.folder / "keys").unlink()
    (keyed.root / ".eucabox/master-key").unlink()
    keyed.store = (after := keyed.again()).store
    put(after, "AES256", "other")
    with pytest.raises(KeysUnusable, match="master"):
        get(after)
