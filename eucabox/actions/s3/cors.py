"""CORS rules of buckets: gets, puts and deletes them; s3/cors.py applies them."""

from collections.abc import Mapping
from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import InvalidRequest, MalformedXML, NoSuchCORSConfiguration
from eucabox.s3 import access
from eucabox.s3.cors import METHODS, SETTING, rules_of

MOST_RULES = 100
LONGEST_ID = 255
SHAPE = "CORSConfiguration"


@action("s3", anonymous=True)
def get_bucket_cors(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return a bucket's CORS rules as they were put."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    rules = rules_of(stored_bucket.settings)
    if not rules:
        raise NoSuchCORSConfiguration(bucket=bucket)
    return {"cors_rules": rules}


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_cors(
    call: Call, *, bucket: str, cors_configuration: dict[str, Any], expected_bucket_owner: str = ""
) -> None:
    """Replace a bucket's CORS rules, from the next request on."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    rules = cors_configuration.get("cors_rules") or []
    if not rules:
        raise MalformedXML(shape=SHAPE, reason="it has no CORSRule.")
    if len(rules) > MOST_RULES:
        reason = f"The number of CORS rules, {len(rules)}, exceeds the limit of {MOST_RULES} rules."
        raise InvalidRequest(reason=reason)
    for rule in rules:
        _check(rule)
    call.cloud.store.set_bucket_setting(bucket, SETTING, {"cors_rules": rules})


@action("s3", anonymous=True)
def delete_bucket_cors(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete a bucket's CORS rules."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    call.cloud.store.set_bucket_setting(bucket, SETTING, None)


def _check(rule: Mapping[str, Any]) -> None:
    for member, element in (("allowed_methods", "Method"), ("allowed_origins", "Origin")):
        if not rule.get(member):
            raise MalformedXML(shape=SHAPE, reason=f"a CORSRule has no Allowed{element}.")
    for method in rule["allowed_methods"]:
        if method not in METHODS:
            reason = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            raise InvalidRequest(reason=f"{reason}. Use {', '.join(METHODS)}.")
    for element, member in (("Origin", "allowed_origins"), ("Header", "allowed_headers")):
        for pattern in rule.get(member) or ():
            if pattern.count("*") > 1:
                reason = f'Allowed{element} "{pattern}" can not have more than one wildcard.'
                raise InvalidRequest(reason=reason)
    for name in rule.get("expose_headers") or ():
        if "*" in name:
            reason = f'ExposeHeader "{name}" contains wildcard. Name each header.'
            raise InvalidRequest(reason=reason)
    if len(rule.get("id", "")) > LONGEST_ID:
        reason = f"The ID of a CORSRule has more than {LONGEST_ID} characters."
        raise InvalidRequest(reason=reason)
