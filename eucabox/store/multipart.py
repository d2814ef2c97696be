"""Uploads in parts: each a folder with a file for each part, until they become one object."""

import contextlib
import json
import os
import re
import secrets
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import md5
from itertools import pairwise, zip_longest
from pathlib import Path

from eucabox.errors import (
    ChecksumMismatch,
    EntityTooSmall,
    InvalidObjectSize,
    InvalidPart,
    InvalidPartNumber,
    InvalidPartOrder,
    JoinedTooLarge,
    MalformedPartList,
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
from eucabox.store.objects import Objects, WritePreconditions
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
    FULL_OBJECT,
    EncryptionInfo,
    Object,
    ObjectProperties,
    Upload,
    UploadPart,
    Uploads,
    moment,
    to_datetime,
)

MOST_PARTS = 10_000
SMALLEST = 5 << 20  # bytes of every part but the last
LARGEST = 5 << 40  # bytes of all parts together
UPLOAD_FILE = "upload.json"
UPLOAD_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
FEW = 100  # parts that are removed before an answer
STRIPES = 1024  # one is held as long as an upload's parts are joined

Wanted = Sequence[tuple[int, str, dict[str, str]]]  # number, ETag, checksums


@dataclass(frozen=True)
class CompletionSpec:
    """What the caller says of the whole object at the end; `admit` raises if it is too large."""

    checksums: dict[str, str]
    size: int | None
    conditions: WritePreconditions
    admit: Callable[[int], object]


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:
        return 0  # it went in the meantime


class Multipart:
    """The uploads in progress of all buckets."""

    def __init__(self, shelf: Objects, keys: Keyring | None = None) -> None:
        self._shelf = shelf
        self._named = list_uploads.UploadKeys()
        self._keys = keys
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    def weight(self, room: BucketFolder) -> int:
        """Return the bytes of all parts of a bucket's uploads."""
        folders = os.walk(room.path / RESERVED / UPLOADS)
        parts = (Path(at, name) for at, _, names in folders for name in names if name.isdigit())
        return sum(map(_size, parts))

    def create(
        self,
        room: BucketFolder,
        key: str,
        facts: ObjectProperties,
        algorithm: str,
        kind: str,
        sealing: EncryptionKeySpec | None = None,
    ) -> str:
        """Begin an upload and return its id."""
        encode_key(key)
        kind = checksums.check_type(algorithm, kind)
        now = moment()
        upload_id = f"{now:016x}{secrets.token_hex(12)}"
        said = {
            "key": key,
            "initiated": now,
            "facts": vars(facts),
            "checksum_algorithm": algorithm,
            "checksum_type": kind,
            "sealing": sealing.record() if sealing else None,
        }
        with _unless_gone(room):
            folder = dirfd.descend_making(room.reserved, [UPLOADS, upload_id])
            with dirfd.closing(folder):
                write_small(room, json.dumps(said).encode(), UPLOAD_FILE, folder)
        return upload_id

    def upload(self, room: BucketFolder, key: str, upload_id: str) -> Upload:
        """Return an upload; NoSuchUpload if it is not in progress for this key."""
        with self._folder(room, upload_id) as folder:
            found = _read_upload(room, upload_id, folder)
        if found.key != key:
            raise NoSuchUpload(upload_id=upload_id)
        return found

    def put_part(
        self,
        room: BucketFolder,
        key: str,
        upload_id: str,
        number: int,
        stream: BodyStream,
        promise: ExpectedBody,
        customer: bytes | None = None,
    ) -> UploadPart:
        """Take one part, in place of an earlier one of that number; on the disk when done."""
        if not 1 <= number <= MOST_PARTS:
            raise InvalidPartNumber(number=number, limit=MOST_PARTS)
        upload = self.upload(room, key, upload_id)
        promise = replace(promise, algorithms=_summed_by(upload, promise))
        sealing = (
            require(self._keys).from_record(upload.sealing, customer) if upload.sealing else None
        )
        with encrypted_file.begin(
            room, sealing, key, encrypted_file.part_name(upload_id, number)
        ) as draft:
            received = receive(draft, stream, promise)
            e_tag, _ = draft.finish(received.md5)
            part = UploadPart(number, received.size, e_tag, draft.date(), received.checksums)
            return self._keep_part(room, upload_id, draft, part)

    def _keep_part(
        self, room: BucketFolder, upload_id: str, draft: TempFile, part: UploadPart
    ) -> UploadPart:
        said = {"e": part.e_tag, "c": part.checksums, "s": part.size}
        raw = json.dumps(said).encode()
        beside = not attributes.write(draft.fd, raw)
        room.flush.file(draft.fd)
        name = f"{part.number:05}"
        with self._locked(upload_id), self._folder(room, upload_id) as folder:
            if beside and draft.status is not None:
                write_small(room, raw, _sidecar(name, draft.status), folder)
            draft.move(name, folder)
            room.flush.folder(folder)
        return part

    def parts(
        self, room: BucketFolder, key: str, upload_id: str, after: int, limit: int | None
    ) -> list[UploadPart]:
        """Return at most `limit` of the parts that were put, by number, `after` one of them."""
        self.upload(room, key, upload_id)
        with self._folder(room, upload_id) as folder:
            numbers = sorted(int(name) for name in dirfd.list_names(folder) if name.isdigit())
            page = numbers[bisect_right(numbers, after) :][:limit]
            return [found for number in page if (found := _read_part(folder, number))]

    def uploads(
        self, room: BucketFolder, prefix: str, delimiter: str, after: tuple[str, str], limit: int
    ) -> Uploads:
        """Return a page of uploads in progress, after a key and an upload id of that key."""
        page = list_uploads.UploadPage(prefix, delimiter, after, limit)
        read = partial(self._find, room)
        return page.read(self._named.sort(room, _ids(room), read), read)

    def _find(self, room: BucketFolder, upload_id: str) -> Upload | None:
        with contextlib.suppress(NoSuchUpload), self._folder(room, upload_id) as folder:
            return _read_upload(room, upload_id, folder)
        return None

    def abort(self, room: BucketFolder, key: str, upload_id: str) -> None:
        """Forget an upload and its parts."""
        with self._locked(upload_id), _unless_gone(room):
            self.upload(room, key, upload_id)
            self._remove(room, upload_id)

    def complete(
        self, room: BucketFolder, key: str, upload_id: str, wanted: Wanted, ending: CompletionSpec
    ) -> Object:
        """Make the parts one object. Asking again after an answer was lost answers the same."""
        wanted = _last_named(wanted)
        with self._locked(upload_id):
            try:
                upload = self.upload(room, key, upload_id)
            except NoSuchUpload:
                return self._completed(room, key, upload_id, wanted)
            with self._folder(room, upload_id) as folder:
                parts = _choose(folder, wanted)
                done = self._assemble(room, upload, folder, parts, ending)
            self._clear(room, upload_id)
            return done

    def _completed(self, room: BucketFolder, key: str, upload_id: str, wanted: Wanted) -> Object:
        found = self._shelf.find_upload_result(room, key, upload_id)
        tags = [e_tag.strip('"') for _, e_tag, _ in wanted]
        if found is None or found.e_tag != _joined_tag(tags):
            raise NoSuchUpload(upload_id=upload_id)
        return found

    def _assemble(
        self,
        room: BucketFolder,
        upload: Upload,
        folder: int,
        parts: list[UploadPart],
        ending: CompletionSpec,
    ) -> Object:
        sizes, total = tuple(part.size for part in parts), sum(part.size for part in parts)
        if ending.size is not None and ending.size != total:
            raise InvalidObjectSize(found=total, stated=ending.size)
        if total > LARGEST:
            raise JoinedTooLarge(size=total, limit=LARGEST)
        ending.admit(total)
        facts, sums = _joined_facts(upload, parts, ending)
        e_tag = _joined_tag([part.e_tag for part in parts])
        with TempFile(room) as draft:
            head = self._begin_joined(draft, room, upload, parts, e_tag)
            for part in parts:
                _append(folder, part, draft)
            new = Object(
                room.name,
                upload.key,
                total,
                e_tag,
                draft.date(),
                facts,
                parts=sizes,
                part_checksums=sums,
                upload_id=upload.upload_id,
                sealed=_joined_sealed(draft, upload, head),
            )
            # Nobody writes the key in between: after a kill the object tells that this is done.
            with self._shelf.lock_key(room, upload.key):
                done = self._shelf.commit(room, draft, new, ending.conditions)
                self._put_aside(room, upload.upload_id)
                return done

    def finish(self, room: BucketFolder) -> None:
        """At the start: end what a killed process had all but completed, or only begun."""
        for upload_id in _ids(room):
            if self._is_over(room, upload_id):
                self._remove(room, upload_id)

    def _is_over(self, room: BucketFolder, upload_id: str) -> bool:
        try:
            with self._folder(room, upload_id) as folder:
                if not dirfd.is_file(UPLOAD_FILE, folder):
                    return True
                key = _read_upload(room, upload_id, folder).key
        except NoSuchUpload:
            return False  # damaged, or no folder of ours: whoever made it so may mend it
        return self._shelf.find_upload_result(room, key, upload_id) is not None

    def _begin_joined(
        self,
        draft: TempFile,
        room: BucketFolder,
        upload: Upload,
        parts: list[UploadPart],
        e_tag: str,
    ) -> int:
        """Write what comes before encrypted parts, which stay as they are; return its length."""
        if not upload.sealing:
            return 0
        seal = require(self._keys).for_multipart(room.name, upload.key)
        numbers, sizes = [part.number for part in parts], tuple(part.size for part in parts)
        head = encrypted_file.build_joined_header(
            seal, upload.sealing, upload.upload_id, e_tag, numbers, sizes
        )
        draft.write(head)
        return len(head)

    def _remove(self, room: BucketFolder, upload_id: str) -> None:
        self._put_aside(room, upload_id)
        self._clear(room, upload_id)

    def _put_aside(self, room: BucketFolder, upload_id: str) -> None:
        """Take the whole folder out of the way at once."""
        with dirfd.closing(dirfd.open_folder(room.reserved, [UPLOADS])) as uploads:
            os.rename(upload_id, upload_id, src_dir_fd=uploads, dst_dir_fd=room.temporary)
            room.flush.folder(uploads)

    def _clear(self, room: BucketFolder, upload_id: str) -> None:
        """Remove what was put aside; many files later: no caller waits, and a start clears too."""
        folder = dirfd.open_folder(room.temporary, [upload_id])
        names = dirfd.list_names(folder)

        def clear() -> None:
            try:
                for name in names:
                    dirfd.remove(name, folder)
            finally:
                os.close(folder)
            with contextlib.suppress(OSError):
                os.rmdir(upload_id, dir_fd=room.temporary)

        if len(names) > FEW:
            threading.Thread(target=clear, name="parts", daemon=True).start()
        else:
            clear()

    def _locked(self, upload_id: str) -> contextlib.AbstractContextManager[object]:
        return self._locks[hash(upload_id) % STRIPES]

    @contextlib.contextmanager
    def _folder(self, room: BucketFolder, upload_id: str) -> Iterator[int]:
        room.ensure_not_deleted()
        if not UPLOAD_ID.fullmatch(upload_id):
            raise NoSuchUpload(upload_id=upload_id)
        try:
            folder = dirfd.open_folder(room.reserved, [UPLOADS, upload_id])
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchUpload(upload_id=upload_id) from None
        try:
            yield folder
        finally:
            os.close(folder)


@contextlib.contextmanager
def _unless_gone(room: BucketFolder) -> Iterator[None]:
    """Have it be NoSuchBucket that a folder is missing which went with its bucket."""
    room.ensure_not_deleted()
    try:
        yield
    except FileNotFoundError:
        room.ensure_exists()
        raise


def _ids(room: BucketFolder) -> list[str]:
    with _unless_gone(room), dirfd.closing(dirfd.open_folder(room.reserved, [UPLOADS])) as uploads:
        return [name for name in dirfd.list_names(uploads) if UPLOAD_ID.fullmatch(name)]


def _read_upload(room: BucketFolder, upload_id: str, folder: int) -> Upload:
    try:
        said = json.loads(dirfd.read_small(folder, [UPLOAD_FILE]) or b"")
        return Upload(
            room.name,
            said["key"],
            upload_id,
            to_datetime(said["initiated"]),
            ObjectProperties(**said["facts"]),
            said["checksum_algorithm"],
            said["checksum_type"],
            said.get("sealing"),
        )
    except (ValueError, KeyError, TypeError):
        raise NoSuchUpload(upload_id=upload_id) from None


def _read_part(folder: int, number: int) -> UploadPart | None:
    name = f"{number:05}"
    descriptor = dirfd.open_file(folder, [name])
    if descriptor is None:
        return None
    try:
        status, raw = os.fstat(descriptor), attributes.read(descriptor)
    finally:
        os.close(descriptor)
    modified = to_datetime(status.st_mtime_ns)
    try:
        said = json.loads(raw or dirfd.read_small(folder, [_sidecar(name, status)]) or b"")
        return UploadPart(number, said.get("s", status.st_size), said["e"], modified, said["c"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _sidecar(name: str, status: os.stat_result) -> str:
    return f"{name}.{attributes.identity(status)}"


def _last_named(wanted: Wanted) -> Wanted:
    """A client that sent a part twice may name it twice: the last one counts."""
    following = zip_longest(wanted, wanted[1:])
    return [each for each, after in following if after is None or after[0] != each[0]]


def _choose(folder: int, wanted: Wanted) -> list[UploadPart]:
    """Return the parts that the caller names; a Fault unless each is there as named."""
    if not wanted:
        raise MalformedPartList
    for number, *_ in wanted:
        if number < 1:
            raise InvalidPartNumber(number=number, limit=MOST_PARTS)
    for (previous, *_), (number, *_) in pairwise(wanted):
        if number <= previous:
            raise InvalidPartOrder(number=number, previous=previous)
    parts = [_choose_one(folder, *each) for each in wanted]
    for part in parts[:-1]:
        if part.size < SMALLEST:
            raise EntityTooSmall(
                number=part.number, size=part.size, limit=SMALLEST, e_tag=part.e_tag
            )
    return parts


def _choose_one(folder: int, number: int, e_tag: str, stated: dict[str, str]) -> UploadPart:
    part = _read_part(folder, number) if number <= MOST_PARTS else None
    if part is None or part.e_tag != e_tag.strip('"'):
        raise InvalidPart(number=number, e_tag=e_tag.strip('"'))
    for algorithm, value in stated.items():
        if part.checksums.get(algorithm) != value:
            raise InvalidPart(number=number, e_tag=e_tag.strip('"'))
    return part


def _joined_tag(tags: Iterable[str]) -> str:
    digests = [bytes.fromhex(tag) if _is_md5(tag) else b"" for tag in tags]
    return f"{md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _is_md5(tag: str) -> bool:
    return re.fullmatch("[0-9a-f]{32}", tag) is not None


def _joined_facts(
    upload: Upload, parts: list[UploadPart], ending: CompletionSpec
) -> tuple[ObjectProperties, tuple[str, ...]]:
    """Return the facts of the whole with its checksum, and the checksums of the parts."""
    algorithm, kind = upload.checksum_algorithm, upload.checksum_type
    if not algorithm:
        algorithm, kind = _common_algorithm(parts, ending.checksums), FULL_OBJECT
    for each in ending.checksums:
        if each != algorithm:
            raise ChecksumMismatch(expected=algorithm or "none", found=each)
    if not algorithm:
        return upload.facts, ()
    sums = tuple(part.checksums[algorithm] for part in parts)
    sized = [(part.size, part.checksums[algorithm]) for part in parts]
    whole = checksums.join(algorithm, kind, sized)
    stated = ending.checksums.get(algorithm)
    if stated is not None and kind == FULL_OBJECT:
        checksums.compare(algorithm, whole, stated)
    elif stated is not None:
        checksums.compare_composite(algorithm, whole, stated)
    return replace(upload.facts, checksums={algorithm: whole}, checksum_type=kind), sums


def _common_algorithm(parts: list[UploadPart], stated: Iterable[str]) -> str:
    """Return what the parts of an upload that named nothing can be joined by, "" if nothing; what
    is stated of the whole comes first."""
    for algorithm in sorted(checksums.POLYNOMIALS, key=lambda name: name not in stated):
        if all(algorithm in part.checksums for part in parts):
            return algorithm
    return ""


def _summed_by(upload: Upload, promise: ExpectedBody) -> tuple[str, ...]:
    """Return the algorithms of a part: the upload's; or the client's, and what S3 joins an upload
    by that named none."""
    if upload.checksum_algorithm:
        return (upload.checksum_algorithm,)
    return tuple(dict.fromkeys((*promise.algorithms, *promise.checksums, checksums.DEFAULT)))


def _append(folder: int, part: UploadPart, draft: TempFile) -> None:
    descriptor = dirfd.open_file(folder, [f"{part.number:05}"])
    if descriptor is None:
        raise InvalidPart(number=part.number)
    try:
        copy_file(descriptor, draft, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _joined_sealed(draft: TempFile, upload: Upload, head: int) -> EncryptionInfo | None:
    """Return how an object of encrypted parts is encrypted, None if they are plain."""
    said = upload.sealing
    first = encrypted_format.read(draft.fd, head) if said else None
    if said is None or first is None:
        return None
    stored = os.fstat(draft.fd).st_size
    return EncryptionInfo(
        said["kind"], stored, head, first.length, said["name"], said["bucket_key"]
    )
