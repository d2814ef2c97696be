"""Which of a bucket's CORS rules a web page meets; never a header of an answer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
MOST_HEADERS = 100  # that a page may ask for at once: each is compared with all that are allowed


@dataclass(frozen=True)
class CorsRule:
    """A rule that a page meets; `origin` is the page's, or * where the rule is for all."""

    origin: str
    methods: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int | None


def rules_of(settings: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A bucket's rules, none where it has none."""
    found: Sequence[Mapping[str, Any]] = (settings.get("cors") or {}).get("cors_rules", ())
    return found


def find(
    rules: Sequence[Mapping[str, Any]], origin: str, method: str, headers: Collection[str]
) -> CorsRule | None:
    """Return the first rule that allows a page of `origin` a method with these headers."""
    if len(headers) > MOST_HEADERS:
        return None
    for rule in rules:
        if method not in rule["allowed_methods"]:
            continue
        fitting = [each for each in rule["allowed_origins"] if fits(each, origin)]
        allowed = [each.lower() for each in rule.get("allowed_headers") or ()]
        if fitting and all(any(fits(each, name) for each in allowed) for name in headers):
            return CorsRule(
                origin="*" if fitting[0] == "*" else origin,
                methods=tuple(rule["allowed_methods"]),
                exposed=tuple(rule.get("expose_headers") or ()),
                max_age=rule.get("max_age_seconds"),
            )
    return None


def fits(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern wants it, in which one * stands for anything."""
    start, star, end = pattern.partition("*")
    if not star:
        return text == pattern
    long_enough = len(text) >= len(start) + len(end)
    return long_enough and text.startswith(start) and text.endswith(end)
