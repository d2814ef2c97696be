"""Copies an object; where it can, without moving its bytes through this process."""

from dataclasses import replace

from eucabox.errors import EntityTooLarge
from eucabox.store import checksums, encrypted_file
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.keyring import EncryptionKeySpec
from eucabox.store.objects import Objects
from eucabox.store.open_object import OpenObject
from eucabox.store.temp_file import LARGEST, ExpectedBody, TempFile, copy_file, digest_file, receive
from eucabox.store.types import COMPOSITE, FULL_OBJECT, Object, ObjectProperties
from eucabox.store.write_specs import WritePreconditions


def copy(
    objects: Objects,
    source: OpenObject,
    folder: BucketFolder,
    key: str,
    properties: ObjectProperties | None,
    algorithm: str,
    conditions: WritePreconditions,
    encryption: EncryptionKeySpec | None = None,
) -> Object:
    """Commit a copy under a key, with the given properties or the source's; checksums are the
    copy's."""
    old = source.object
    if old.size > LARGEST:
        raise EntityTooLarge(size=old.size, limit=LARGEST)
    with encrypted_file.begin(folder, encryption, key) as temp_file:
        if old.sealed or encryption:
            md5, new_checksums = _copy_stream(source, temp_file, algorithm)
        else:
            copy_file(source.fileno(), temp_file, old.size)
            md5, new_checksums = _sums(temp_file, old, algorithm)
        e_tag, sealed = temp_file.finish(md5)
        properties = replace(
            properties or old.properties,
            checksums=new_checksums,
            checksum_type=FULL_OBJECT if new_checksums else "",
        )
        new = Object(folder.name, key, old.size, e_tag, temp_file.date(), properties, sealed=sealed)
        return objects.commit(folder, temp_file, new, conditions)


def _copy_stream(
    source: OpenObject, temp_file: TempFile, algorithm: str
) -> tuple[str, dict[str, str]]:
    """Copy an object that is or becomes encrypted; return its MD5 and checksums."""
    chosen = algorithm or next(iter(source.object.properties.checksums), checksums.DEFAULT)
    expected = ExpectedBody(source.object.size, algorithms=(chosen,))
    received = receive(temp_file, source, expected)
    return received.md5, received.checksums


def _sums(temp_file: TempFile, old: Object, algorithm: str) -> tuple[str, dict[str, str]]:
    """Return ETag and checksums of a copy; an object made of parts becomes one of one piece."""
    stored = old.properties.checksums if old.properties.checksum_type != COMPOSITE else {}
    chosen = algorithm or next(iter(old.properties.checksums), checksums.DEFAULT)
    if "-" not in old.e_tag and chosen in stored:
        return old.e_tag, stored if not algorithm else {chosen: stored[chosen]}
    e_tag, value = digest_file(temp_file.fd, chosen)
    return e_tag, {chosen: value}
