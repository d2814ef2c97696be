"""Websites of buckets: gets and sets their configuration, and finds their pages."""

import dataclasses
from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action, perform
from eucabox.errors import Fault, NoSuchWebsiteConfiguration
from eucabox.s3 import access, website
from eucabox.s3.website import FOUND, MOVED, Settings

# errors that a routing rule or an error page can answer; others go to the client
STATUSES = {"AccessDenied": 403, "NoSuchKey": 404}


@action("s3", anonymous=True)
def get_bucket_website(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return a bucket's website configuration."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    return dict(_get_settings(call, bucket))


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_website(
    call: Call,
    *,
    bucket: str,
    website_configuration: dict[str, Any],
    expected_bucket_owner: str = "",
) -> None:
    """Configure a bucket's website; its pages need to be readable without a signature."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    website.check(website_configuration)
    call.cloud.store.set_bucket_setting(bucket, "website", website_configuration)


@action("s3", anonymous=True)
def delete_bucket_website(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete a bucket's website configuration; its objects stay."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    call.cloud.store.set_bucket_setting(bucket, "website", None)


@action("website", anonymous=True)
def get_page(
    call: Call,
    *,
    bucket: str,
    path: str,
    conditions: dict[str, Any] | None = None,
) -> Result:
    """Return what a website answers for a path, to anonymous clients.

    Either `got`, the result of GetObject, with `error`, the code of the fault if it is an error
    page; or `redirect`, {protocol, host_name, key} or {location}, with the HTTP `status`.
    """
    settings = _get_settings(call, bucket)
    everything = settings.get("redirect_all_requests_to")
    if everything:
        return {"redirect": {**everything, "key": path}, "status": MOVED}
    rule = website.rule_of(settings, path)
    if rule:
        return _redirect(rule, path)
    try:
        result = _get_page_object(call, bucket, website.index_of(settings, path), conditions or {})
    except Fault as fault:
        return _explain_fault(call, bucket, path, settings, fault)
    location = result.get("website_redirect_location")
    if location:
        result["body"].close()
        return {"redirect": {"location": location}, "status": MOVED}
    return {"got": result}


def _explain_fault(call: Call, bucket: str, path: str, settings: Settings, fault: Fault) -> Result:
    """Return the answer for a page that can't be read: a redirect, or the error page."""
    status = STATUSES.get(fault.code, 0)
    if not status:
        raise fault
    folder = website.folder_of(settings, path)
    if folder and _exists(call, bucket, folder):
        return {"redirect": {"key": path + "/"}, "status": FOUND}
    rule = website.rule_of(settings, path, status)
    if rule:
        return _redirect(rule, path)
    page = (settings.get("error_document") or {}).get("key")
    if not page:
        raise fault
    try:
        return {"got": _get_page_object(call, bucket, page, {}), "error": fault.code}
    except Fault:
        raise fault from None


def _get_settings(call: Call, bucket: str) -> Settings:
    settings: Settings | None = call.cloud.store.bucket(bucket).settings.get("website")
    if not settings:
        raise NoSuchWebsiteConfiguration(bucket=bucket)
    return settings


def _redirect(rule: Settings, path: str) -> Result:
    key, status = website.redirect(rule, path)
    place = {name: rule["redirect"].get(name) for name in ("protocol", "host_name")}
    return {"redirect": {**place, "key": key}, "status": status}


def _get_page_object(
    call: Call, bucket: str, key: str, conditions: dict[str, Any]
) -> dict[str, Any]:
    """Get an object as an anonymous client, so that pages have the protection of objects."""
    members = {**conditions, "bucket": bucket, "key": key}
    return perform("s3", "GetObject", _anonymous(call), members) or {}


def _exists(call: Call, bucket: str, key: str) -> bool:
    try:
        perform("s3", "HeadObject", _anonymous(call), {"bucket": bucket, "key": key})
    except Fault:
        return False
    return True


def _anonymous(call: Call) -> Call:
    return dataclasses.replace(call, caller=None, signature="", notes={})
