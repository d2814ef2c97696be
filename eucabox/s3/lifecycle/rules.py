"""Parses stored lifecycle rules and tells which objects they match and when; changes nothing."""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eucabox import ids
from eucabox.s3.lifecycle.configuration import ALL_128K, SETTING
from eucabox.s3.values import ARCHIVES
from eucabox.store.types import Bucket, Object, to_datetime, to_nanoseconds

DAY = 86_400  # seconds; only tests have shorter days
SECOND = 10**9  # ns
SMALL = 128 << 10  # bytes; smaller objects stay in their class unless the filter has sizes
# transitions go down this list, never up
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
    """A number of days after an object's time, or a date (s since 1970)."""

    days: int | None = None
    date: int | None = None

    def due_time(self, start: datetime, day: int = DAY) -> int:
        """Return when it is due (s since 1970): the midnight that ends the last day."""
        if self.date is not None:
            return self.date
        span = day * SECOND
        return -(-(to_nanoseconds(start) + (self.days or 0) * span) // span) * day


@dataclass(frozen=True)
class Move:
    """A transition to a storage class; of noncurrent versions the `newer` newest are left out."""

    when: When
    storage_class: str
    newer: int = 0


@dataclass(frozen=True)
class LifecycleRule:
    """One enabled rule. `sizes` are exclusive bounds; `expiry`, `noncurrent` and `abort` are None
    where the rule has no such action."""

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
    def has_filter(self) -> bool:
        """True if the rule asks for tags or sizes, which a delete marker does not have."""
        return bool(self.tags) or self.sizes != (None, None)

    def may_match(self, obj: Object) -> bool:
        """Return whether the rule may match an object, by what a listing knows of it."""
        more, less = self.sizes
        return (
            obj.key.startswith(self.prefix)
            and (more is None or obj.size > more)
            and (less is None or obj.size < less)
        )

    def matches(self, obj: Object) -> bool:
        """Return whether the rule matches an object."""
        return self.may_match(obj) and self.tags.items() <= obj.properties.tags.items()


@dataclass(frozen=True)
class LifecycleRules:
    """The enabled rules of a bucket; `minimum` tells which objects are too small for a
    transition."""

    rules: tuple[LifecycleRule, ...]
    minimum: str = ALL_128K

    def may_move(self, rule: LifecycleRule, move: Move, obj: Object) -> bool:
        """Return whether a transition goes down the classes and the object is large enough for
        it."""
        if rank(move.storage_class) <= rank(obj.properties.storage_class):
            return False
        # varies_by_storage_class: archives take small objects too
        varies = self.minimum != ALL_128K and move.storage_class in ARCHIVES
        return obj.size >= SMALL or rule.sizes != (None, None) or varies


NONE = LifecycleRules(())
MOST_CACHED = 256  # buckets
_cache: dict[int, tuple[object, LifecycleRules]] = {}


def rank(storage_class: str) -> int:
    """Return a class's position in CLASSES; any other class has that of STANDARD."""
    return CLASSES.index(storage_class) if storage_class in CLASSES else 0


def rules_for(bucket: Bucket) -> LifecycleRules:
    """Return the enabled rules of a bucket, parsed once while its setting stays the same."""
    setting = bucket.settings.get(SETTING)
    if not setting:
        return NONE
    cached = _cache.get(id(setting))
    if cached is None or cached[0] is not setting:
        enabled = [each for each in setting.get("rules", ()) if each["status"] == "Enabled"]
        cached = (
            setting,
            LifecycleRules(tuple(map(_parse_rule, enabled)), setting.get("minimum", ALL_128K)),
        )
        if len(_cache) >= MOST_CACHED:
            _cache.clear()
        _cache[id(setting)] = cached  # holding a reference keeps id(setting) unique
    return cached[1]


def expiration(bucket: Bucket, obj: Object) -> dict[str, str]:
    """Return {"expiration": text} if a rule will expire a current object; the earliest rule
    counts."""
    ends = [
        (rule.expiry.due_time(obj.last_modified), rule.id)
        for rule in rules_for(bucket).rules
        if rule.expiry and rule.matches(obj)
    ]
    if not ends:
        return {}
    when, name = min(ends)
    date = ids.http_date(to_datetime(when * SECOND))
    return {"expiration": f'expiry-date="{date}", rule-id="{_percent_encode(name)}"'}


def abort_date(bucket: Bucket, key: str, start: datetime) -> dict[str, object]:
    """Return {"abort_date", "abort_rule_id"} if a rule will abort an upload in progress."""
    ends = [
        (rule.abort.due_time(start), rule.id)
        for rule in rules_for(bucket).rules
        if rule.abort and key.startswith(rule.prefix)
    ]
    if not ends:
        return {}
    when, name = min(ends)
    return {"abort_date": to_datetime(when * SECOND), "abort_rule_id": _percent_encode(name)}


def prefixes(rules: Iterable[LifecycleRule]) -> list[str]:
    """Return the fewest prefixes that cover those of some rules."""
    covering: list[str] = []
    for prefix in sorted({rule.prefix for rule in rules}):
        if not covering or not prefix.startswith(covering[-1]):
            covering.append(prefix)
    return covering


def _percent_encode(text: str) -> str:
    return "".join(
        character if character in PLAIN else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in text
    )


def _parse_rule(members: Mapping[str, Any]) -> LifecycleRule:
    filter_ = members.get("filter", {"prefix": members.get("prefix", "")})
    conditions = filter_.get("and", filter_)
    tags = [*conditions.get("tags", ()), *([filter_["tag"]] if "tag" in filter_ else ())]
    expiration = members.get("expiration", {})
    noncurrent = members.get("noncurrent_version_expiration")
    abort = members.get("abort_incomplete_multipart_upload")
    return LifecycleRule(
        id=members["id"],
        prefix=conditions.get("prefix", ""),
        tags={tag["key"]: tag["value"] for tag in tags},
        sizes=(conditions.get("object_size_greater_than"), conditions.get("object_size_less_than")),
        expiry=_parse_when(expiration) if expiration.keys() & {"date", "days"} else None,
        markers=expiration.get("expired_object_delete_marker", False),
        moves=tuple(_parse_move(each) for each in members.get("transitions", ())),
        noncurrent=_parse_move(noncurrent) if noncurrent else None,
        noncurrent_moves=tuple(map(_parse_move, members.get("noncurrent_version_transitions", ()))),
        abort=When(abort["days_after_initiation"]) if abort else None,
    )


def _parse_move(members: Mapping[str, Any]) -> Move:
    newer = members.get("newer_noncurrent_versions", 0)
    return Move(_parse_when(members), members.get("storage_class", ""), newer)


def _parse_when(members: Mapping[str, Any]) -> When:
    if "date" in members:
        return When(date=int(datetime.fromisoformat(members["date"]).timestamp()))
    return When(members.get("days", members.get("noncurrent_days")))
