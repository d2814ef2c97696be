"""Websites of buckets: configured, and their pages found; never an HTML of our own."""

import dataclasses
from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action, perform
from eucabox.errors import Fault, NoSuchWebsiteConfiguration
from eucabox.s3 import access, website
from eucabox.s3.website import FOUND, MOVED, Settings

# what a rule may wait for; any other error of reading a page is the client's own
STATUSES = {"AccessDenied": 403, "NoSuchKey": 404}


@action("s3", anonymous=True)
def get_bucket_website(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """A bucket's website as it was configured."""
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
    """Make a website of a bucket, for whom its objects may be read by."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    website.check(website_configuration)
    call.cloud.store.set_bucket_setting(bucket, "website", website_configuration)


@action("s3", anonymous=True)
def delete_bucket_website(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Let a bucket be no website; its objects stay."""
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
    """What a website shows for a path, to anybody: `got` is the result of GetObject and `error`
    the code of the fault that it explains, if it does; or `redirect` is a place with
    {protocol, host_name, key} or a `location`, and `status` how the client is sent there."""
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
    """What is shown for a page that can't be: a folder's index, a rule's or the error's page."""
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


def _get_page_object(call: Call, bucket: str, key: str, conditions: dict[str, Any]) -> Result:
    """Ask for an object as anybody would, so that whatever guards objects guards pages."""
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
