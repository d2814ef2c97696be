"""CORS as browsers speak it: preflights, and headers that let a page read an answer; no rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eucabox import ascii_text
from eucabox.errors import CrossOriginRefused, PreflightInvalid
from eucabox.s3 import cors
from eucabox.s3.cors import METHODS, CorsRule
from eucabox.wire.request import Answer, Request

# The rules of a bucket; raises NoSuchBucket.
RulesOf = Callable[[str], Sequence[Mapping[str, Any]]]

ORIGIN, METHOD = "origin", "access-control-request-method"
HEADERS = "access-control-request-headers"
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


def preflight(request: Request, bucket: str, rules_of: RulesOf) -> Answer:
    """The answer to OPTIONS, by which a browser asks what a page may do; nobody signs it.

    Raises PreflightInvalid, NoSuchBucket, CrossOriginRefused.
    """
    if not request.headers.get(ORIGIN):
        raise PreflightInvalid(reason="Insufficient information. Origin request header needed.")
    method = request.headers.get(METHOD, "")
    if method not in METHODS:
        reason = f"Invalid Access-Control-Request-Method: {method or 'null'}"
        raise PreflightInvalid(reason=reason)
    if not bucket:
        reason = "The list of buckets is not for pages of other origins."
        raise CrossOriginRefused(reason=reason, Method=method)
    rules = rules_of(bucket)
    if not rules:
        raise CrossOriginRefused(reason="CORS is not enabled for this bucket.", Method=method)
    rule = _find_rule(request, rules)
    if rule is None:
        raise CrossOriginRefused(
            reason="This CORS request is not allowed. This is usually because the evaluation of"
            " Origin, request method / Access-Control-Request-Method or"
            " Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
            Method=method,
        )
    return Answer(headers=[("x-amz-request-id", request.request_id)])


def add_headers(request: Request, answer: Answer, rules: Sequence[Mapping[str, Any]]) -> None:
    """Add to an answer, of whatever status, what lets a page read it; `rules` are its bucket's.

    That it varies is told whoever asks: else a cache would give a page what was no page's.
    """
    if not rules:
        return
    answer.headers.append(("Vary", VARY))
    rule = _find_rule(request, rules) if request.headers.get(ORIGIN) else None
    if rule is None:
        return
    headers = [("Access-Control-Allow-Origin", rule.origin)]
    headers.append(("Access-Control-Allow-Methods", ", ".join(rule.methods)))
    if wanted := _requested_headers(request):
        headers.append(("Access-Control-Allow-Headers", ", ".join(wanted)))
    if rule.exposed:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age is not None:
        headers.append(("Access-Control-Max-Age", str(rule.max_age)))
    if rule.origin != "*":
        headers.append(("Access-Control-Allow-Credentials", "true"))
    answer.headers += headers


def _find_rule(request: Request, rules: Sequence[Mapping[str, Any]]) -> CorsRule | None:
    method = request.headers.get(METHOD) or request.method
    return cors.find(rules, request.headers[ORIGIN], method, _requested_headers(request))


def _requested_headers(request: Request) -> list[str]:
    return ascii_text.split_list(ascii_text.lower(request.headers.get(HEADERS, "")))
