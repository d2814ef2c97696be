"""What a caller asks of a write, a deletion or the end of an upload; touches no disk."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from eucabox.errors import NoSuchKey, PreconditionFailed
from eucabox.store.types import Object


@dataclass(frozen=True)
class WritePreconditions:
    """Conditions on the current object: its ETag is this one, or is not this one; its time (to
    the second) and its size are these. An ETag of "*" stands for any object.

    Where no object is, an ETag does not match, but every time and size does: deleting nothing is
    no error. Behind a delete marker nothing matches.
    """

    if_none_match: str = ""
    if_match: str = ""
    if_modified: datetime | None = None
    if_size: int | None = None

    def check(self, bucket: str, key: str, current: Object | None, *, hidden: bool = False) -> None:
        """Raise PreconditionFailed, or NoSuchKey if there is nothing to match."""
        if current is None:
            if self.if_match:
                raise NoSuchKey(bucket=bucket, key=key)
            if hidden and (self.if_modified or self.if_size is not None):
                raise PreconditionFailed(condition="x-amz-if-match-size")
            return
        if self.if_none_match.strip('"') in {"*", current.e_tag}:
            raise PreconditionFailed(condition="If-None-Match")
        if self.if_match and self.if_match.strip('"') not in {"*", current.e_tag}:
            raise PreconditionFailed(condition="If-Match")
        if self.if_size not in {None, current.size}:
            raise PreconditionFailed(condition="x-amz-if-match-size")
        second = current.last_modified.replace(microsecond=0)
        if self.if_modified and self.if_modified.replace(microsecond=0) != second:
            raise PreconditionFailed(condition="x-amz-if-match-last-modified-time")


NO_CONDITIONS = WritePreconditions()


@dataclass(frozen=True)
class DeleteSpec:
    """What a caller wants deleted: the object of a key or, with `version_id`, that version for
    good.

    `check` gets the object that would be lost for good, `check_current` the current object; either
    may raise. A delete marker belongs to `owner`.
    """

    version_id: str = ""
    owner: str = ""
    conditions: WritePreconditions = NO_CONDITIONS
    check: Callable[[Object], object] | None = None
    check_current: Callable[[Object | None], object] | None = None

    @property
    def needs_current(self) -> bool:
        """True if the current object must be read before."""
        return bool(self.check or self.check_current) or self.conditions != NO_CONDITIONS


@dataclass(frozen=True)
class CompletionSpec:
    """What a client says of the whole object when it completes an upload.

    `check_size` raises if the object is too large.
    """

    checksums: dict[str, str]
    size: int | None
    conditions: WritePreconditions
    check_size: Callable[[int], object]
