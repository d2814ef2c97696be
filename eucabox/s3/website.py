"""Website configurations of buckets: checks them, and maps paths to keys; reads no object."""

from collections.abc import Mapping, Sequence
from typing import Any

from eucabox.errors import InvalidArgument, InvalidRequest, MalformedXML

Settings = Mapping[str, Any]
MOST_RULES = 50
PROTOCOLS = ("http", "https")
MOVED, FOUND = 301, 302
CONDITIONS = ("key_prefix_equals", "http_error_code_returned_equals")


def check(website: Settings) -> None:
    """Raise S3's error for a website configuration that it would refuse."""
    redirect_all = website.get("redirect_all_requests_to")
    if redirect_all is not None:
        if any(website.get(each) for each in ("index_document", "error_document", "routing_rules")):
            reason = "RedirectAllRequestsTo cannot be provided in conjunction with anything else."
            raise InvalidRequest(reason=reason)
        if not redirect_all.get("host_name"):
            raise MalformedXML(shape="RedirectAllRequestsTo", reason="it has no HostName.")
        _check_protocol(redirect_all)
        return
    _check_name(website, "index_document", "suffix", "IndexDocument Suffix")
    if "error_document" in website:
        _check_name(website, "error_document", "key", "ErrorDocument Key")
    rules = website.get("routing_rules") or []
    if len(rules) > MOST_RULES:
        reason = f"The number of routing rules must not exceed {MOST_RULES}, and is {len(rules)}."
        raise InvalidRequest(reason=reason)
    for rule in rules:
        _check_rule(rule)


def index_of(website: Settings, key: str) -> str:
    """Return the key of the object for a path: of a folder, its index document."""
    suffix: str = website["index_document"]["suffix"]
    return key + suffix if not key or key.endswith("/") else key


def folder_of(website: Settings, key: str) -> str:
    """Return the key of the index document if the path is a folder without its slash, else ""."""
    if not key or key.endswith("/"):
        return ""
    return f"{key}/{website['index_document']['suffix']}"


def rule_of(website: Settings, key: str, status: int = 0) -> Settings | None:
    """Return the first routing rule for a path; with a status, the first for that error."""
    for rule in website.get("routing_rules") or ():
        condition = rule.get("condition") or {}
        wanted = condition.get("http_error_code_returned_equals")
        if wanted == (str(status) if status else None):
            if key.startswith(condition.get("key_prefix_equals") or ""):
                match: Settings = rule
                return match
    return None


def redirect(rule: Settings, key: str) -> tuple[str, int]:
    """Return the key and the HTTP status with which a routing rule redirects a path."""
    target = rule["redirect"]
    code = int(target.get("http_redirect_code") or MOVED)
    if target.get("replace_key_with") is not None:
        return target["replace_key_with"], code
    if target.get("replace_key_prefix_with") is not None:
        prefix = (rule.get("condition") or {}).get("key_prefix_equals") or ""
        return target["replace_key_prefix_with"] + key[len(prefix) :], code
    return key, code


def _check_name(website: Settings, part: str, member: str, label: str) -> None:
    name = (website.get(part) or {}).get(member) or ""
    if not name or (part == "index_document" and "/" in name):
        reason = f"A value for {label} must be provided if RedirectAllRequestsTo is empty."
        reason = f"The {label} is not well formed." if name else reason
        raise InvalidArgument(argument=label.partition(" ")[0], value=name[:100], reason=reason)


def _check_rule(rule: Settings) -> None:
    target, condition = rule.get("redirect"), rule.get("condition")
    if not target:
        raise MalformedXML(shape="RoutingRule", reason="it has no Redirect, or an empty one.")
    if condition is not None and not any(condition.get(each) for each in CONDITIONS):
        reason = "Condition cannot be empty. To redirect all requests without a condition, the"
        raise InvalidRequest(reason=f"{reason} condition element should not be present.")
    if "replace_key_with" in target and "replace_key_prefix_with" in target:
        reason = "You can only define ReplaceKeyPrefixWith or ReplaceKeyWith but not both."
        raise InvalidRequest(reason=reason)
    _check_protocol(target)
    _check_code(target, "http_redirect_code", "redirect", ("3",), "3XX except 300")
    wanted = ("4", "5")
    _check_code(condition or {}, "http_error_code_returned_equals", "error", wanted, "4XX or 5XX")


def _check_code(
    settings: Settings, member: str, kind: str, first_digits: Sequence[str], valid_codes: str
) -> None:
    code = settings.get(member)
    if code is None:
        return
    number = len(code) == 3 and code.isascii() and code.isdigit()
    if not number or code[0] not in first_digits or code == "300":
        reason = f"The provided HTTP {kind} code ({code[:20]}) is not valid."
        reason = f"{reason} Valid codes are {valid_codes}."
        raise InvalidRequest(reason=reason)


def _check_protocol(target: Settings) -> None:
    if target.get("protocol") and target["protocol"] not in PROTOCOLS:
        reason = "Invalid protocol, protocol can be http or https. If not defined the protocol"
        raise InvalidRequest(reason=f"{reason} will be selected automatically.")
