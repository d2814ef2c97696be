"""One key of a mirror: looks at both sides and copies what differs; knows no whole listing."""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from eucabox.cli.mirror.destination import (
    NOT_THERE,
    Destination,
    PartMembers,
    VerificationError,
    make_marks,
)
from eucabox.cli.mirror.pace import Failure, Pace
from eucabox.cli.mirror.source import (
    MARK,
    VERSION_MARK,
    MirrorSource,
    SourceObject,
    SourceVersion,
    explain,
)
from eucabox.cli.mirror.uploads import OpenUploads, UploadRecord

MIB = 1 << 20
PART = 16 * MIB  # also what is put in one piece at most; each thread holds one
MOST_PARTS, LONGEST_KEY = 10_000, 1024  # of S3; a key's bytes
TRIES, WAIT = 5, 1.0  # of a key, and seconds before the second, doubled for each further one
AGAIN = ("PreconditionFailed", "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable")
FIRST_SERVER_ERROR = 500


@dataclass(frozen=True)
class MirrorOptions:
    """What a mirror does beside copying objects that differ."""

    with_versions: bool = False
    deletes: bool = False


class KeyTooLongError(Exception):
    """A key that the destination can't have."""


class Copier:
    """Mirrors one key at a time; for many threads."""

    def __init__(
        self, source: MirrorSource, destination: Destination, uploads: OpenUploads, pace: Pace,
        options: MirrorOptions,
    ) -> None:  # fmt: skip
        self.source, self.destination = source, destination
        self._uploads, self._pace, self._options = uploads, pace, options

    def mirror(self, key: str, versions: list[SourceVersion] | None = None) -> bool:
        """Bring a key up to date; False, and the failure is noted, if that can't be done.

        `versions` are those of the source, the oldest first, where they are known.
        """
        wait = WAIT
        for left in reversed(range(TRIES)):
            self._pace.check()
            try:
                self._check_length(key)
                if self._options.with_versions:
                    self._mirror_versions(key, versions)
                else:
                    self._mirror_current(key)
            except (
                ClientError,
                BotoCoreError,
                OSError,
                VerificationError,
                KeyTooLongError,
            ) as problem:
                if left and _is_worth_another_try(problem):
                    self._pace.wait(wait)
                    wait, versions = 2 * wait, None
                    continue
                self._pace.fail(Failure(key, explain(problem)))
                return False
            self._pace.forget_failure(key)
            self._pace.count(seen=1)
            return True
        raise AssertionError("the last try returns")

    def _check_length(self, key: str) -> None:
        length = len(self.destination.place_key(key).encode())
        if length > LONGEST_KEY:
            reason = f"with the prefix its key has {length} bytes, and S3 takes {LONGEST_KEY}"
            raise KeyTooLongError(reason)

    def delete(self, key: str) -> None:
        """Delete a key at the destination that a mirror put there and the source has no more."""
        if not self._is_gone(key):
            return
        marks = self.destination.read_marks(key)
        if marks is not None and MARK in marks:
            self.destination.delete(key)
            self._pace.count(deleted=1)

    def try_delete(self, key: str) -> None:
        """Do the same, and note a failure."""
        self._pace.check()
        try:
            self.delete(key)
        except (ClientError, BotoCoreError) as problem:
            self._pace.fail(Failure(key, explain(problem)))

    def _is_gone(self, key: str) -> bool:
        if self._options.with_versions:
            return not self.source.list_versions_of(key)
        return not self.source.has(key)

    def drop_old_uploads(self) -> None:
        """Give up uploads in parts that no run will go on with, once all keys were looked at."""
        for key in self._uploads.list_keys():
            if key not in self._pace.counts.failures and (record := self._uploads.find(key)):
                self._give_up(key, record)

    # --- the current object --------------------------------------------------------------------

    def _mirror_current(self, key: str) -> None:
        try:
            obj = self.source.read_properties(key)
        except ClientError as refused:
            if refused.response["Error"]["Code"] not in NOT_THERE:
                raise
            if self._options.deletes:
                self.delete(key)
            return
        marks = self.destination.read_marks(key)
        if marks is None or marks.get(MARK) != obj.fingerprint:
            self._copy(obj, make_marks(obj), obj.fingerprint)

    # --- all versions --------------------------------------------------------------------------

    def _mirror_versions(self, key: str, versions: list[SourceVersion] | None) -> None:
        versions = self.source.list_versions_of(key) if versions is None else versions
        if not versions:
            if self._options.deletes:
                self.delete(key)
            return
        begin, newest_id = self._find_begin(key, versions)
        for version in versions[begin:]:
            self._pace.check()
            if version.is_marker:
                self.destination.delete(key)
                self._pace.count(deleted=1)
                continue
            obj = self.source.read_properties(key, version.version_id)
            self._copy(obj, make_marks(obj, version.token), version.token)
        if begin == len(versions) and newest_id and not versions[-1].is_marker:
            obj = self.source.read_properties(key, versions[-1].version_id)
            if self.destination.change_tags(key, newest_id, obj.tags):
                self._pace.count(copied=1)

    def _find_begin(self, key: str, versions: list[SourceVersion]) -> tuple[int, str]:
        """Return the number of the first version that is not mirrored, and the id that the newest
        mirrored one has at the destination."""
        places = {version.token: number for number, version in enumerate(versions)}
        markers = 0
        for there in self.destination.list_versions(key):
            if there.is_marker:
                markers += 1
                continue
            marks = self.destination.read_marks(key, there.version_id) or {}
            number = places.get(marks.get(VERSION_MARK, ""))
            if number is not None:
                return _skip_markers(versions, number + 1, markers), there.version_id
        return _skip_markers(versions, 0, markers), ""

    # --- content -------------------------------------------------------------------------------

    def _copy(self, obj: SourceObject, marks: dict[str, str], token: str) -> None:
        if obj.size <= PART:
            content = self.source.read(obj, 0, obj.size)
            self.destination.put(obj, content, marks)
        else:
            self._copy_parts(obj, marks, token)
        self._pace.count(copied=1, bytes=obj.size)

    def _copy_parts(self, obj: SourceObject, marks: dict[str, str], token: str) -> None:
        """Upload a large object in parts; those that an earlier run put are not sent again."""
        part_size = max(PART, -(-obj.size // MOST_PARTS // MIB) * MIB)
        record, has = self._find_upload(obj, token, part_size)
        if record is None:
            upload_id = self.destination.begin_upload(obj, marks)
            record = {"upload_id": upload_id, "token": token, "part_size": part_size}
            self._uploads.note(obj.key, record)
        upload_id, parts = record["upload_id"], []
        for number, start in enumerate(range(0, obj.size, part_size), 1):
            self._pace.check()
            size = min(part_size, obj.size - start)
            if number in has and has[number][0] == size:
                parts.append(has[number][1])
                continue
            content = self.source.read(obj, start, size)
            parts.append(self.destination.put_part(obj.key, upload_id, number, content))
        self._complete(obj, record, parts)

    def _complete(self, obj: SourceObject, record: UploadRecord, parts: list[PartMembers]) -> None:
        try:
            self.destination.complete_upload(obj.key, record["upload_id"], parts)
        except (ClientError, VerificationError):
            self._give_up(obj.key, record)  # the next try sends all of it
            raise
        self._uploads.note(obj.key, None)

    def _find_upload(
        self, obj: SourceObject, token: str, part_size: int
    ) -> tuple[UploadRecord | None, dict[int, tuple[int, PartMembers]]]:
        """Return the upload that an earlier run began for this very object, with its parts."""
        record = self._uploads.find(obj.key)
        if record is None:
            return None, {}
        if (record["token"], record["part_size"]) == (token, part_size):
            parts = self.destination.list_parts(obj.key, record["upload_id"])
            if parts is not None:
                return record, parts
        self._give_up(obj.key, record)
        return None, {}

    def _give_up(self, key: str, record: UploadRecord) -> None:
        self.destination.abort_upload(key, record["upload_id"])
        self._uploads.note(key, None)


def _skip_markers(versions: list[SourceVersion], number: int, markers: int) -> int:
    """Return the place behind so many delete markers that are at the destination already."""
    while markers and number < len(versions) and versions[number].is_marker:
        number, markers = number + 1, markers - 1
    return number


def _is_worth_another_try(problem: Exception) -> bool:
    if not isinstance(problem, ClientError):
        return not isinstance(problem, KeyTooLongError | ParamValidationError)
    error, metadata = problem.response["Error"], problem.response.get("ResponseMetadata", {})
    is_server = metadata.get("HTTPStatusCode", 0) >= FIRST_SERVER_ERROR
    return is_server or error.get("Code") in (*AGAIN, "NoSuchUpload", "InvalidPart", "BadDigest")
