"""Makes an object from another without moving its bytes through this process where it can."""

from dataclasses import replace

from eucabox.errors import EntityTooLarge
from eucabox.store import checksums, encrypted_file
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.keyring import EncryptionKeySpec
from eucabox.store.objects import Objects, WritePreconditions
from eucabox.store.open_object import OpenObject
from eucabox.store.temp_file import LARGEST, ExpectedBody, TempFile, copy_file, digest_file, receive
from eucabox.store.types import COMPOSITE, FULL_OBJECT, Object, ObjectProperties


def copy(
    shelf: Objects,
    source: OpenObject,
    room: BucketFolder,
    key: str,
    facts: ObjectProperties | None,
    algorithm: str,
    conditions: WritePreconditions,
    sealing: EncryptionKeySpec | None = None,
) -> Object:
    """Commit a copy under a key, with new facts or the source's; checksums follow the bytes."""
    old = source.object
    if old.size > LARGEST:
        raise EntityTooLarge(size=old.size, limit=LARGEST)
    with encrypted_file.begin(room, sealing, key) as draft:
        if old.sealed or sealing:
            md5, sums = _streamed(source, draft, algorithm)
        else:
            copy_file(source.fileno(), draft, old.size)
            md5, sums = _sums(draft, old, algorithm)
        e_tag, sealed = draft.finish(md5)
        said = replace(
            facts or old.facts, checksums=sums, checksum_type=FULL_OBJECT if sums else ""
        )
        new = Object(room.name, key, old.size, e_tag, draft.date(), said, sealed=sealed)
        return shelf.commit(room, draft, new, conditions)


def _streamed(source: OpenObject, draft: TempFile, algorithm: str) -> tuple[str, dict[str, str]]:
    """Copy what is or becomes encrypted; return its MD5 and checksums."""
    wanted = algorithm or next(iter(source.object.facts.checksums), checksums.DEFAULT)
    promise = ExpectedBody(source.object.size, algorithms=(wanted,))
    received = receive(draft, source, promise)
    return received.md5, received.checksums


def _sums(draft: TempFile, old: Object, algorithm: str) -> tuple[str, dict[str, str]]:
    """Return ETag and checksums of a copy; an object made of parts becomes one of one piece."""
    known = old.facts.checksums if old.facts.checksum_type != COMPOSITE else {}
    wanted = algorithm or next(iter(old.facts.checksums), checksums.DEFAULT)
    if "-" not in old.e_tag and wanted in known:
        return old.e_tag, known if not algorithm else {wanted: known[wanted]}
    e_tag, value = digest_file(draft.fd, wanted)
    return e_tag, {wanted: value}
