"""Lifecycle configurations as clients send them, validated as by S3; carries out nothing."""

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, time
from typing import Any, TypedDict

from eucabox.errors import InvalidArgument, InvalidRequest, MalformedXML
from eucabox.s3 import tagging, values
from eucabox.s3.tagging import ObjectTag
from eucabox.store.types import to_utc

MOST_RULES, LONGEST_ID, LONGEST_PREFIX = 1000, 255, 1024
MOST_NEWER = 100
SETTING = "lifecycle"  # of a bucket: {"rules": the model's members, "minimum": one of MINIMA}
ALL_128K, VARIES = "all_storage_classes_128K", "varies_by_storage_class"
MINIMA = (ALL_128K, VARIES)
# S3 allows a transition into these only after a month
AFTER_A_MONTH = ("STANDARD_IA", "ONEZONE_IA")
MONTH = 30
CLASSES = values.STORAGE_CLASSES - {"STANDARD", "REDUCED_REDUNDANCY", "EXPRESS_ONEZONE"}


class Expiration(TypedDict, total=False):
    """When current versions expire; one of the three."""

    date: datetime
    days: int
    expired_object_delete_marker: bool


class Transition(TypedDict, total=False):
    """When current versions change their class."""

    date: datetime
    days: int
    storage_class: str


class NoncurrentTransition(TypedDict, total=False):
    """When noncurrent versions change their class."""

    noncurrent_days: int
    storage_class: str
    newer_noncurrent_versions: int


class NoncurrentExpiration(TypedDict, total=False):
    """When noncurrent versions are deleted."""

    noncurrent_days: int
    newer_noncurrent_versions: int


class Abort(TypedDict, total=False):
    """When uploads in progress are aborted."""

    days_after_initiation: int


class And(TypedDict, total=False):
    """Several conditions, all of which must hold."""

    prefix: str
    tags: list[ObjectTag]
    object_size_greater_than: int
    object_size_less_than: int


Filter = TypedDict(
    "Filter",
    {
        "prefix": str,
        "tag": ObjectTag,
        "object_size_greater_than": int,
        "object_size_less_than": int,
        "and": And,
    },
    total=False,
)


class RuleMembers(TypedDict, total=False):
    """One rule: which objects, and what happens to them when."""

    id: str
    prefix: str
    filter: Filter
    status: str
    expiration: Expiration
    transitions: list[Transition]
    noncurrent_version_transitions: list[NoncurrentTransition]
    noncurrent_version_expiration: NoncurrentExpiration
    abort_incomplete_multipart_upload: Abort


class LifecycleConfiguration(TypedDict, total=False):
    """All rules of a bucket."""

    rules: list[RuleMembers]


ACTIONS = (
    "expiration",
    "transitions",
    "noncurrent_version_transitions",
    "noncurrent_version_expiration",
    "abort_incomplete_multipart_upload",
)


def validate(configuration: LifecycleConfiguration, minimum: str = "") -> dict[str, object]:
    """Return the bucket setting for a configuration, plain JSON, every rule with an id.

    Raises MalformedXML, InvalidArgument, InvalidRequest, InvalidTag.
    """
    rules = configuration.get("rules") or []
    if not 1 <= len(rules) <= MOST_RULES:
        _raise_malformed(f"it has {len(rules)} rules; 1 to {MOST_RULES} are possible")
    if minimum not in ("", *MINIMA):
        argument = "x-amz-transition-default-minimum-object-size"
        reason = f"Use one of {', '.join(MINIMA)}."
        raise InvalidArgument(argument=argument, value=minimum, reason=reason)
    _check_ids([rule["id"] for rule in rules if rule.get("id")])
    for rule in rules:
        _check_rule(rule)
    named = [{**rule, "id": rule.get("id") or secrets.token_urlsafe(36)} for rule in rules]
    return {"rules": plain(named), "minimum": minimum or ALL_128K}


def plain(value: object) -> object:
    """Turn a value of the model into plain JSON: dates become ISO text."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return to_utc(value).isoformat() if isinstance(value, datetime) else value


def to_api(rule: dict[str, Any]) -> dict[str, Any]:
    """Turn a stored rule into the model's members: its dates become datetimes."""
    rule = dict(rule)
    if "date" in rule.get("expiration", {}):
        rule["expiration"] = _with_datetime(rule["expiration"])
    if "transitions" in rule:
        rule["transitions"] = [_with_datetime(transition) for transition in rule["transitions"]]
    return rule


def _with_datetime(members: dict[str, Any]) -> dict[str, Any]:
    if "date" not in members:
        return members
    return {**members, "date": datetime.fromisoformat(members["date"])}


def _check_ids(ids: list[str]) -> None:
    for rule_id in ids:
        if len(rule_id) > LONGEST_ID:
            reason = f"ID length should not exceed allowed limit of {LONGEST_ID}."
            raise InvalidArgument(argument="ID", value=rule_id[:60], reason=reason)
    twice = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
    if twice:
        reason = "Rule ID must be unique. Found same ID for more than one rule."
        raise InvalidArgument(argument="ID", value=twice[0][:60], reason=reason)


def _check_rule(rule: RuleMembers) -> None:
    if rule.get("status") not in ("Enabled", "Disabled"):
        _raise_malformed("Status must be Enabled or Disabled")
    if ("prefix" in rule) == ("filter" in rule):
        _raise_malformed("a rule needs a Filter or a Prefix, and not both")
    if not any(rule.get(each) for each in ACTIONS):
        raise InvalidRequest(reason="At least one action needs to be specified in a rule.")
    chosen = _check_filter(rule)
    _check_expiration(rule, chosen)
    _check_transitions(rule)
    _check_noncurrent(rule)
    if "abort_incomplete_multipart_upload" in rule:
        abort = rule["abort_incomplete_multipart_upload"]
        if chosen - {"prefix"}:
            what = "AbortIncompleteMultipartUpload cannot be specified with Tags or ObjectSize."
            raise InvalidRequest(reason=what)
        _check_days("DaysAfterInitiation", abort.get("days_after_initiation"), 1)


def _check_filter(rule: RuleMembers) -> set[str]:
    """Return the kinds of conditions that a rule has: prefix, tags, size."""
    conditions: Any = dict(rule.get("filter", {"prefix": rule.get("prefix", "")}))
    if len(conditions) > 1 and conditions.get("prefix") == "":
        conditions.pop("prefix")  # some clients always send an empty one, which matches everything
    if len(conditions) > 1:
        _raise_malformed("a Filter has one condition; put several into And")
    inner = conditions.get("and", conditions)
    tags = (
        inner.get("tags", [])
        if "and" in conditions
        else [conditions["tag"]]
        if "tag" in conditions
        else []
    )
    sizes = [each for each in inner if each.startswith("object_size")]
    if "and" in conditions and len(tags) + len(sizes) + ("prefix" in inner) < 2:
        _raise_malformed("And needs two conditions")
    if len(inner.get("prefix", "")) > LONGEST_PREFIX:
        reason = f"The prefix has more than {LONGEST_PREFIX} characters."
        raise InvalidRequest(reason=reason)
    tagging.object_tags({"tag_set": tags})
    _check_sizes(inner)
    kinds = {"tags": tags, "size": sizes, "prefix": "prefix" in inner}
    return {kind for kind, there in kinds.items() if there}


def _check_sizes(both: dict[str, Any]) -> None:
    more, less = both.get("object_size_greater_than"), both.get("object_size_less_than")
    for name, value in (("ObjectSizeGreaterThan", more), ("ObjectSizeLessThan", less)):
        if value is not None and value < 0:
            raise InvalidArgument(argument=name, value=value, reason="Use 0 or more bytes.")
    if more is not None and less is not None and less <= more:
        reason = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        raise InvalidRequest(reason=reason)


def _check_expiration(rule: RuleMembers, chosen: Collection[str]) -> None:
    if "expiration" not in rule:
        return
    expiration = rule["expiration"]
    times = [each for each in ("date", "days") if each in expiration]
    marker = expiration.get("expired_object_delete_marker", False)
    if len(times) + marker > 1 or not expiration:
        _raise_malformed("Expiration has one of Date, Days and ExpiredObjectDeleteMarker")
    if marker and "tags" in chosen:
        raise InvalidRequest(reason="ExpiredObjectDeleteMarker cannot be specified with Tags.")
    if "days" in expiration:
        _check_days("Days", expiration["days"], 1)
    _check_midnight(expiration.get("date"))


def _check_transitions(rule: RuleMembers) -> None:
    transitions, expires = rule.get("transitions", []), rule.get("expiration", {})
    _check_classes(transition.get("storage_class", "") for transition in transitions)
    for transition in transitions:
        if ("date" in transition) == ("days" in transition):
            _raise_malformed("a Transition has a Date or Days, and one of them")
        _check_midnight(transition.get("date"))
        if "days" in transition:
            least = MONTH if transition["storage_class"] in AFTER_A_MONTH else 0
            _check_days("Days", transition["days"], least)
            if transition["days"] >= expires.get("days", transition["days"] + 1):
                reason = "'Days' in the Expiration action must be greater than in a Transition."
                raise InvalidArgument(argument="Days", value=expires["days"], reason=reason)
    if (
        len(
            {
                kind
                for transition in (*transitions, expires)
                for kind in ("date", "days")
                if kind in transition
            }
        )
        > 1
    ):
        what = "Found mixed 'Date' and 'Days' based Expiration and Transition actions in a rule."
        raise InvalidRequest(reason=what)


def _check_noncurrent(rule: RuleMembers) -> None:
    moves = rule.get("noncurrent_version_transitions", [])
    _check_classes(transition.get("storage_class", "") for transition in moves)
    for transition in moves:
        least = MONTH if transition["storage_class"] in AFTER_A_MONTH else 0
        _check_days("NoncurrentDays", transition.get("noncurrent_days"), least)
        _check_newer(transition.get("newer_noncurrent_versions"))
    if "noncurrent_version_expiration" in rule:
        expiration = rule["noncurrent_version_expiration"]
        _check_days("NoncurrentDays", expiration.get("noncurrent_days"), 1)
        _check_newer(expiration.get("newer_noncurrent_versions"))


def _check_newer(count: int | None) -> None:
    if count is not None and not 1 <= count <= MOST_NEWER:
        reason = f"Use 1 to {MOST_NEWER}."
        raise InvalidArgument(argument="NewerNoncurrentVersions", value=count, reason=reason)


def _check_classes(classes: Iterable[str]) -> None:
    seen: set[str] = set()
    for storage_class in classes:
        if storage_class not in CLASSES:
            _raise_malformed(f"StorageClass must be one of {', '.join(sorted(CLASSES))}")
        if storage_class in seen:
            reason = "'StorageClass' must be different for 'Transition' actions in same 'Rule'."
            raise InvalidRequest(reason=reason)
        seen.add(storage_class)


def _check_days(name: str, days: int | None, least: int) -> None:
    if days is None:
        _raise_malformed(f"{name} is missing")
    elif not least <= days < 2**31:
        reason = f"'{name}' must be {'a positive integer' if least == 1 else f'{least} or more'}."
        raise InvalidArgument(argument=name, value=days, reason=reason)


def _check_midnight(date: datetime | None) -> None:
    if date is not None and to_utc(date).time() != time():
        reason = "'Date' must be at midnight GMT."
        raise InvalidArgument(argument="Date", value=date.isoformat(), reason=reason)


def _raise_malformed(reason: str) -> None:
    raise MalformedXML(shape="LifecycleConfiguration", reason=f"{reason}.")
