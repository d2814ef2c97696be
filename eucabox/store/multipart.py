"""Multipart uploads: each is a folder with a file for each part, until they become one object."""

import contextlib
import json
import os
import re
import secrets
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from eucabox.errors import (
    InvalidObjectSize,
    InvalidPart,
    InvalidPartNumber,
    JoinedTooLarge,
    NoSuchUpload,
)
from eucabox.store import (
    attributes,
    checksums,
    dirfd,
    encrypted_file,
    encrypted_format,
    list_uploads,
)
from eucabox.store.bucket_folder import UPLOADS, BucketFolder
from eucabox.store.keyring import EncryptionKeySpec, Keyring, require
from eucabox.store.objects import Objects
from eucabox.store.paths import RESERVED, encode_key
from eucabox.store.temp_file import (
    BodyStream,
    ExpectedBody,
    TempFile,
    copy_file,
    receive,
    write_small,
)
from eucabox.store.types import (
    EncryptionInfo,
    Object,
    ObjectProperties,
    Upload,
    UploadPart,
    Uploads,
    to_datetime,
    unique_time,
)
from eucabox.store.upload_parts import (
    MOST_PARTS,
    RequestedParts,
    choose_parts,
    drop_repeated,
    join_etags,
    join_properties,
    read_part,
    sidecar_name,
)
from eucabox.store.write_specs import CompletionSpec

LARGEST = 5 << 40  # bytes of all parts together
UPLOAD_FILE = "upload.json"
UPLOAD_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
FEW = 100  # parts that are deleted before the response
STRIPES = 1024  # locks; one is held while an upload's parts are joined


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:
        return 0  # it was removed meanwhile


class Multipart:
    """The uploads in progress of all buckets."""

    def __init__(self, objects: Objects, keys: Keyring | None = None) -> None:
        self._objects = objects
        self._upload_keys = list_uploads.UploadKeys()
        self._keys = keys
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    def count_bytes(self, folder: BucketFolder) -> int:
        """Return the bytes of all parts of a bucket's uploads."""
        folders = os.walk(folder.path / RESERVED / UPLOADS)
        parts = (Path(at, name) for at, _, names in folders for name in names if name.isdigit())
        return sum(map(_size, parts))

    def create(
        self,
        folder: BucketFolder,
        key: str,
        properties: ObjectProperties,
        algorithm: str,
        kind: str,
        encryption: EncryptionKeySpec | None = None,
    ) -> str:
        """Begin an upload and return its id."""
        encode_key(key)
        kind = checksums.check_type(algorithm, kind)
        now = unique_time()
        upload_id = f"{now:016x}{secrets.token_hex(12)}"
        record = {
            "key": key,
            "initiated": now,
            "facts": vars(properties),
            "checksum_algorithm": algorithm,
            "checksum_type": kind,
            "sealing": encryption.record() if encryption else None,
        }
        with _translate_missing(folder):
            dir_fd = dirfd.descend_making(folder.reserved, [UPLOADS, upload_id])
            with dirfd.closing(dir_fd):
                write_small(folder, json.dumps(record).encode(), UPLOAD_FILE, dir_fd)
        return upload_id

    def upload(self, folder: BucketFolder, key: str, upload_id: str) -> Upload:
        """Return an upload; NoSuchUpload if it is not in progress for this key."""
        with self._folder(folder, upload_id) as dir_fd:
            upload = _read_upload(folder, upload_id, dir_fd)
        if upload.key != key:
            raise NoSuchUpload(upload_id=upload_id)
        return upload

    def put_part(
        self,
        folder: BucketFolder,
        key: str,
        upload_id: str,
        number: int,
        stream: BodyStream,
        expected: ExpectedBody,
        customer_key: bytes | None = None,
    ) -> UploadPart:
        """Receive one part, replacing an earlier one of that number; on the disk when done."""
        if not 1 <= number <= MOST_PARTS:
            raise InvalidPartNumber(number=number, limit=MOST_PARTS)
        upload = self.upload(folder, key, upload_id)
        expected = replace(expected, algorithms=_part_algorithms(upload, expected))
        encryption = (
            require(self._keys).from_record(upload.encryption, customer_key)
            if upload.encryption
            else None
        )
        with encrypted_file.begin(
            folder, encryption, key, encrypted_file.part_name(upload_id, number)
        ) as temp_file:
            received = receive(temp_file, stream, expected)
            e_tag, _ = temp_file.finish(received.md5)
            part = UploadPart(number, received.size, e_tag, temp_file.date(), received.checksums)
            return self._install_part(folder, upload_id, temp_file, part)

    def _install_part(
        self, folder: BucketFolder, upload_id: str, temp_file: TempFile, part: UploadPart
    ) -> UploadPart:
        record = {"e": part.e_tag, "c": part.checksums, "s": part.size}
        raw = json.dumps(record).encode()
        needs_sidecar = not attributes.write(temp_file.fd, raw)
        folder.flush.content(temp_file.fd)
        name = f"{part.number:05}"
        with self._lock(upload_id), self._folder(folder, upload_id) as dir_fd:
            if needs_sidecar and temp_file.status is not None:
                write_small(folder, raw, sidecar_name(name, temp_file.status), dir_fd)
            temp_file.move(name, dir_fd)
            folder.flush.folder(dir_fd)
        return part

    def parts(
        self, folder: BucketFolder, key: str, upload_id: str, after: int, limit: int | None
    ) -> list[UploadPart]:
        """Return at most `limit` of the parts, by number, with numbers above `after`."""
        self.upload(folder, key, upload_id)
        with self._folder(folder, upload_id) as dir_fd:
            numbers = sorted(int(name) for name in dirfd.list_names(dir_fd) if name.isdigit())
            page = numbers[bisect_right(numbers, after) :][:limit]
            return [part for number in page if (part := read_part(dir_fd, number))]

    def uploads(
        self, folder: BucketFolder, prefix: str, delimiter: str, after: tuple[str, str], limit: int
    ) -> Uploads:
        """Return a page of uploads in progress, after a key and an upload id of that key."""
        page = list_uploads.UploadPage(prefix, delimiter, after, limit)
        read = partial(self._find_upload, folder)
        return page.read(self._upload_keys.sort(folder, _list_ids(folder), read), read)

    def _find_upload(self, folder: BucketFolder, upload_id: str) -> Upload | None:
        with contextlib.suppress(NoSuchUpload), self._folder(folder, upload_id) as dir_fd:
            return _read_upload(folder, upload_id, dir_fd)
        return None

    def abort(self, folder: BucketFolder, key: str, upload_id: str) -> None:
        """Delete an upload and its parts."""
        with self._lock(upload_id), _translate_missing(folder):
            self.upload(folder, key, upload_id)
            self._remove(folder, upload_id)

    def complete(
        self,
        folder: BucketFolder,
        key: str,
        upload_id: str,
        wanted: RequestedParts,
        spec: CompletionSpec,
    ) -> Object:
        """Make the parts one object. A client that lost the answer may ask again and gets the
        same."""
        wanted = drop_repeated(wanted)
        with self._lock(upload_id):
            try:
                upload = self.upload(folder, key, upload_id)
            except NoSuchUpload:
                return self._find_completed(folder, key, upload_id, wanted)
            with self._folder(folder, upload_id) as dir_fd:
                parts = choose_parts(dir_fd, wanted)
                done = self._assemble(folder, upload, dir_fd, parts, spec)
            self._delete_parts(folder, upload_id)
            return done

    def _find_completed(
        self, folder: BucketFolder, key: str, upload_id: str, wanted: RequestedParts
    ) -> Object:
        obj = self._objects.find_upload_result(folder, key, upload_id)
        tags = [e_tag.strip('"') for _, e_tag, _ in wanted]
        if obj is None or obj.e_tag != join_etags(tags):
            raise NoSuchUpload(upload_id=upload_id)
        return obj

    def _assemble(
        self,
        folder: BucketFolder,
        upload: Upload,
        dir_fd: int,
        parts: list[UploadPart],
        spec: CompletionSpec,
    ) -> Object:
        sizes, total = tuple(part.size for part in parts), sum(part.size for part in parts)
        if spec.size is not None and spec.size != total:
            raise InvalidObjectSize(found=total, stated=spec.size)
        if total > LARGEST:
            raise JoinedTooLarge(size=total, limit=LARGEST)
        spec.check_size(total)
        properties, sums = join_properties(upload, parts, spec)
        e_tag = join_etags([part.e_tag for part in parts])
        with TempFile(folder) as temp_file:
            header_length = self._write_joined_header(temp_file, folder, upload, parts, e_tag)
            for part in parts:
                _append(dir_fd, part, temp_file)
            new = Object(
                folder.name,
                upload.key,
                total,
                e_tag,
                temp_file.date(),
                properties,
                parts=sizes,
                part_checksums=sums,
                upload_id=upload.upload_id,
                sealed=_describe_joined(temp_file, upload, header_length),
            )
            # The key stays locked: after a kill the object must tell that the upload is completed.
            with self._objects.lock_key(folder, upload.key):
                done = self._objects.commit(folder, temp_file, new, spec.conditions)
                self._move_to_temporary(folder, upload.upload_id)
                return done

    def finish(self, folder: BucketFolder) -> None:
        """At the start: remove uploads that a killed process had completed, or not quite begun."""
        for upload_id in _list_ids(folder):
            if self._is_over(folder, upload_id):
                self._remove(folder, upload_id)

    def _is_over(self, folder: BucketFolder, upload_id: str) -> bool:
        try:
            with self._folder(folder, upload_id) as dir_fd:
                if not dirfd.is_file(UPLOAD_FILE, dir_fd):
                    return True
                key = _read_upload(folder, upload_id, dir_fd).key
        except NoSuchUpload:
            return False  # damaged, or not our folder: leave it to the operator
        return self._objects.find_upload_result(folder, key, upload_id) is not None

    def _write_joined_header(
        self,
        temp_file: TempFile,
        folder: BucketFolder,
        upload: Upload,
        parts: list[UploadPart],
        e_tag: str,
    ) -> int:
        """Write the header that comes before encrypted parts, which are copied as they are; return
        its length."""
        if not upload.encryption:
            return 0
        seal = require(self._keys).for_multipart(folder.name, upload.key)
        numbers, sizes = [part.number for part in parts], tuple(part.size for part in parts)
        head = encrypted_file.build_joined_header(
            seal, upload.encryption, upload.upload_id, e_tag, numbers, sizes
        )
        temp_file.write(head)
        return len(head)

    def _remove(self, folder: BucketFolder, upload_id: str) -> None:
        self._move_to_temporary(folder, upload_id)
        self._delete_parts(folder, upload_id)

    def _move_to_temporary(self, folder: BucketFolder, upload_id: str) -> None:
        """Move an upload's folder away in one step."""
        with dirfd.closing(dirfd.open_folder(folder.reserved, [UPLOADS])) as uploads:
            os.rename(upload_id, upload_id, src_dir_fd=uploads, dst_dir_fd=folder.temporary)
            folder.flush.folder(uploads)

    def _delete_parts(self, folder: BucketFolder, upload_id: str) -> None:
        """Delete a folder that was moved away. If it has many files that is done in the background;
        a start clears what is left."""
        dir_fd = dirfd.open_folder(folder.temporary, [upload_id])
        names = dirfd.list_names(dir_fd)

        def clear() -> None:
            try:
                for name in names:
                    dirfd.remove(name, dir_fd)
            finally:
                os.close(dir_fd)
            with contextlib.suppress(OSError):
                os.rmdir(upload_id, dir_fd=folder.temporary)

        if len(names) > FEW:
            threading.Thread(target=clear, name="parts", daemon=True).start()
        else:
            clear()

    def _lock(self, upload_id: str) -> contextlib.AbstractContextManager[object]:
        return self._locks[hash(upload_id) % STRIPES]

    @contextlib.contextmanager
    def _folder(self, folder: BucketFolder, upload_id: str) -> Iterator[int]:
        folder.ensure_not_deleted()
        if not UPLOAD_ID.fullmatch(upload_id):
            raise NoSuchUpload(upload_id=upload_id)
        try:
            dir_fd = dirfd.open_folder(folder.reserved, [UPLOADS, upload_id])
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchUpload(upload_id=upload_id) from None
        try:
            yield dir_fd
        finally:
            os.close(dir_fd)


@contextlib.contextmanager
def _translate_missing(folder: BucketFolder) -> Iterator[None]:
    """Raise NoSuchBucket for a folder that is missing because its bucket was deleted."""
    folder.ensure_not_deleted()
    try:
        yield
    except FileNotFoundError:
        folder.ensure_exists()
        raise


def _list_ids(folder: BucketFolder) -> list[str]:
    with (
        _translate_missing(folder),
        dirfd.closing(dirfd.open_folder(folder.reserved, [UPLOADS])) as uploads,
    ):
        return [name for name in dirfd.list_names(uploads) if UPLOAD_ID.fullmatch(name)]


def _read_upload(folder: BucketFolder, upload_id: str, dir_fd: int) -> Upload:
    try:
        record = json.loads(dirfd.read_small(dir_fd, [UPLOAD_FILE]) or b"")
        return Upload(
            folder.name,
            record["key"],
            upload_id,
            to_datetime(record["initiated"]),
            ObjectProperties(**record["facts"]),
            record["checksum_algorithm"],
            record["checksum_type"],
            record.get("sealing"),
        )
    except (ValueError, KeyError, TypeError):
        raise NoSuchUpload(upload_id=upload_id) from None


def _part_algorithms(upload: Upload, expected: ExpectedBody) -> tuple[str, ...]:
    """Return the algorithms of a part: the upload's; or the client's and the default one."""
    if upload.checksum_algorithm:
        return (upload.checksum_algorithm,)
    return tuple(dict.fromkeys((*expected.algorithms, *expected.checksums, checksums.DEFAULT)))


def _append(dir_fd: int, part: UploadPart, temp_file: TempFile) -> None:
    descriptor = dirfd.open_file(dir_fd, [f"{part.number:05}"])
    if descriptor is None:
        raise InvalidPart(number=part.number)
    try:
        copy_file(descriptor, temp_file, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _describe_joined(
    temp_file: TempFile, upload: Upload, header_length: int
) -> EncryptionInfo | None:
    """Return how an object made of encrypted parts is encrypted, None if they are plain."""
    encryption = upload.encryption
    first = encrypted_format.read(temp_file.fd, header_length) if encryption else None
    if encryption is None or first is None:
        return None
    stored = os.fstat(temp_file.fd).st_size
    return EncryptionInfo(
        encryption["kind"],
        stored,
        header_length,
        first.length,
        encryption["name"],
        encryption["bucket_key"],
    )
