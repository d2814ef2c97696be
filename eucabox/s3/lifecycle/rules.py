"""What a kept lifecycle configuration says of an object and when; changes nothing."""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from eucabox.s3.lifecycle.configuration import ALL_128K, SETTING
from eucabox.s3.values import ARCHIVES
from eucabox.store.types import Bucket, Object, to_datetime, to_nanoseconds

DAY = 86_400  # seconds; only tests have shorter days
SECOND = 10**9  # ns
SMALL = 128 << 10  # bytes; what is smaller stays in its class unless a filter speaks of sizes
# classes as S3 lets objects go through them: down this list and never up
CLASSES = (
    "STANDARD",
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
)
PLAIN = frozenset(string.ascii_letters + string.digits + "-_.~")


@dataclass(frozen=True)
class When:
    """Some days after an object's time, or a date (s since 1970)."""

    days: int | None = None
    date: int | None = None

    def due_time(self, begun: datetime, day: int = DAY) -> int:
        """Return when that is (s since 1970): the midnight that ends the last day."""
        if self.date is not None:
            return self.date
        span = day * SECOND
        return -(-(to_nanoseconds(begun) + (self.days or 0) * span) // span) * day


@dataclass(frozen=True)
class Move:
    """A change of class; of noncurrent versions all but the `newer` newest."""

    when: When
    storage_class: str
    newer: int = 0


@dataclass(frozen=True)
class LifecycleRule:
    """One enabled rule. `sizes` are exclusive bounds; `expiry`, `noncurrent` and `abort` are None
    where the rule does not say so."""

    id: str
    prefix: str
    tags: Mapping[str, str]
    sizes: tuple[int | None, int | None]
    expiry: When | None
    markers: bool
    moves: tuple[Move, ...]
    noncurrent: Move | None
    noncurrent_moves: tuple[Move, ...]
    abort: When | None

    @property
    def chooses(self) -> bool:
        """True if the rule asks for more than a prefix; delete markers have nothing more."""
        return bool(self.tags) or self.sizes != (None, None)

    def may_match(self, found: Object) -> bool:
        """Tell by what a listing knows whether the rule may be about an object."""
        more, less = self.sizes
        return (
            found.key.startswith(self.prefix)
            and (more is None or found.size > more)
            and (less is None or found.size < less)
        )

    def matches(self, found: Object) -> bool:
        """Tell whether the rule is about an object."""
        return self.may_match(found) and self.tags.items() <= found.facts.tags.items()


@dataclass(frozen=True)
class LifecycleRules:
    """The enabled rules of a bucket; `minimum` is the word for what is too small to move."""

    each: tuple[LifecycleRule, ...]
    minimum: str = ALL_128K

    def may_move(self, rule: LifecycleRule, move: Move, found: Object) -> bool:
        """Tell whether a class is below an object's, and the object large enough for it."""
        if rank(move.storage_class) <= rank(found.facts.storage_class):
            return False
        # where classes vary, archives take small objects too
        varies = self.minimum != ALL_128K and move.storage_class in ARCHIVES
        return found.size >= SMALL or rule.sizes != (None, None) or varies


NONE = LifecycleRules(())
MOST_READ = 256  # buckets
_read: dict[int, tuple[Mapping[str, Any], LifecycleRules]] = {}


def rank(storage_class: str) -> int:
    """Return how far down a class is; what S3 does not name here is at the top."""
    return CLASSES.index(storage_class) if storage_class in CLASSES else 0


def rules_for(bucket: Bucket) -> LifecycleRules:
    """Return the enabled rules of a bucket, read once as long as its setting stays the same."""
    kept = bucket.settings.get(SETTING)
    if not kept:
        return NONE
    found = _read.get(id(kept))
    if found is None or found[0] is not kept:
        said = [each for each in kept.get("rules", ()) if each["status"] == "Enabled"]
        found = kept, LifecycleRules(tuple(map(_rule, said)), kept.get("minimum", ALL_128K))
        if len(_read) >= MOST_READ:
            _read.clear()
        _read[id(kept)] = found  # which keeps the setting, so that no other has its id
    return found[1]


def expiration(bucket: Bucket, found: Object) -> dict[str, str]:
    """Return {"expiration": text} if a rule ends a current object; the earliest is named."""
    ends = [
        (rule.expiry.due_time(found.last_modified), rule.id)
        for rule in rules_for(bucket).each
        if rule.expiry and rule.matches(found)
    ]
    if not ends:
        return {}
    when, name = min(ends)
    date = format_datetime(to_datetime(when * SECOND), usegmt=True)
    return {"expiration": f'expiry-date="{date}", rule-id="{_encoded(name)}"'}


def abort_date(bucket: Bucket, key: str, begun: datetime) -> dict[str, Any]:
    """Return {"abort_date", "abort_rule_id"} if a rule ends an upload in progress."""
    ends = [
        (rule.abort.due_time(begun), rule.id)
        for rule in rules_for(bucket).each
        if rule.abort and key.startswith(rule.prefix)
    ]
    if not ends:
        return {}
    when, name = min(ends)
    return {"abort_date": to_datetime(when * SECOND), "abort_rule_id": _encoded(name)}


def prefixes(rules: Iterable[LifecycleRule]) -> list[str]:
    """Return the prefixes that cover what some rules are about, none of them twice."""
    found: list[str] = []
    for prefix in sorted({rule.prefix for rule in rules}):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return found


def _encoded(text: str) -> str:
    return "".join(
        each if each in PLAIN else "".join(f"%{byte:02X}" for byte in each.encode())
        for each in text
    )


def _rule(said: Mapping[str, Any]) -> LifecycleRule:
    chosen = said.get("filter", {"prefix": said.get("prefix", "")})
    both = chosen.get("and", chosen)
    tags = [*both.get("tags", ()), *([chosen["tag"]] if "tag" in chosen else ())]
    expiration = said.get("expiration", {})
    noncurrent = said.get("noncurrent_version_expiration")
    abort = said.get("abort_incomplete_multipart_upload")
    return LifecycleRule(
        id=said["id"],
        prefix=both.get("prefix", ""),
        tags={tag["key"]: tag["value"] for tag in tags},
        sizes=(both.get("object_size_greater_than"), both.get("object_size_less_than")),
        expiry=_when(expiration) if expiration.keys() & {"date", "days"} else None,
        markers=expiration.get("expired_object_delete_marker", False),
        moves=tuple(_move(each) for each in said.get("transitions", ())),
        noncurrent=_move(noncurrent) if noncurrent else None,
        noncurrent_moves=tuple(map(_move, said.get("noncurrent_version_transitions", ()))),
        abort=When(abort["days_after_initiation"]) if abort else None,
    )


def _move(said: Mapping[str, Any]) -> Move:
    newer = said.get("newer_noncurrent_versions", 0)
    return Move(_when(said), said.get("storage_class", ""), newer)


def _when(said: Mapping[str, Any]) -> When:
    if "date" in said:
        return When(date=int(datetime.fromisoformat(said["date"]).timestamp()))
    return When(said.get("days", said.get("noncurrent_days")))
