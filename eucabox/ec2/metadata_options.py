"""Metadata options of instances: their names, choices and defaults."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from eucabox.errors import InvalidParameterValue, TagKeyNotForMetadata
from eucabox.validation import to_api_name

CHOICES = {
    "http_tokens": ("optional", "required"),
    "http_endpoint": ("enabled", "disabled"),
    "http_protocol_ipv6": ("disabled",),
    "instance_metadata_tags": ("disabled", "enabled"),
}
TAGS = "instance_metadata_tags"
TAG_KEY = re.compile(
    r"(?!(\.{1,2}|_index)$)[0-9a-zA-Z\-_+=,.@:]{1,255}"
)  # what the metadata's paths can hold
HOPS = "http_put_response_hop_limit"
# EC2's: the first choice of each.
DEFAULTS: dict[str, str | int] = {
    **{name: choices[0] for name, choices in CHOICES.items()},
    HOPS: 1,
}


def validate(
    members: Mapping[str, Any], base: Mapping[str, Any] | None = None, prefix: str = ""
) -> dict[str, Any]:
    """Return all options: those of the request, else of `base`, else EC2's defaults.

    Raises InvalidParameterValue, which names an option with `prefix` in front.
    """
    changes = {name: value for name, value in members.items() if value not in ("", None)}
    options = {**DEFAULTS, **(base or {}), **changes}
    for name, choices in CHOICES.items():
        if options[name] not in choices:
            _refuse(
                prefix + to_api_name(name), options[name], f"Choose one of {', '.join(choices)}."
            )
    if not 1 <= options[HOPS] <= 64:
        _refuse(prefix + to_api_name(HOPS), options[HOPS], "Give a number from 1 to 64.")
    return options


def check_tag_keys(options: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Raise TagKeyNotForMetadata if the metadata shows tags and can't show one of these keys."""
    if options.get(TAGS) != "enabled":
        return
    for key in keys:
        if not TAG_KEY.fullmatch(key):
            raise TagKeyNotForMetadata(key=key)


def _refuse(name: str, value: Any, reason: str) -> None:
    raise InvalidParameterValue(parameter=name, value=str(value)[:60], reason=reason)
