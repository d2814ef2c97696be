"""Finds the CORS rule of a bucket that a web page's request matches; writes no header."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SETTING = "cors"
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
MOST_HEADERS = 100  # in one preflight: each is compared with every allowed one


@dataclass(frozen=True)
class CorsRule:
    """A matching rule; `origin` is the page's, or * where the rule allows every origin."""

    origin: str
    methods: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int | None


def rules_of(settings: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return a bucket's CORS rules, none if it has none."""
    rules: Sequence[Mapping[str, Any]] = (settings.get(SETTING) or {}).get("cors_rules", ())
    return rules


def find(
    rules: Sequence[Mapping[str, Any]], origin: str, method: str, headers: Collection[str]
) -> CorsRule | None:
    """Return the first rule that allows a page of `origin` a method with these headers."""
    if len(headers) > MOST_HEADERS:
        return None
    for rule in rules:
        if method not in rule["allowed_methods"]:
            continue
        origins = [each for each in rule["allowed_origins"] if fits(each, origin)]
        allowed = [each.lower() for each in rule.get("allowed_headers") or ()]
        if origins and all(any(fits(each, name) for each in allowed) for name in headers):
            return CorsRule(
                origin="*" if origins[0] == "*" else origin,
                methods=tuple(rule["allowed_methods"]),
                exposed=tuple(rule.get("expose_headers") or ()),
                max_age=rule.get("max_age_seconds"),
            )
    return None


def fits(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern, in which one * stands for any text."""
    start, star, end = pattern.partition("*")
    if not star:
        return text == pattern
    long_enough = len(text) >= len(start) + len(end)
    return long_enough and text.startswith(start) and text.endswith(end)
