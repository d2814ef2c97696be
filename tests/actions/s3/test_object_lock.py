"""Object lock at the verbs: set for good, given to new versions, kept from everyone's deletion."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.actions.shop import Shop

HERE: dict[str, Any] = {"bucket": "vault", "key": "k"}
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
RULE = {"default_retention": {"mode": "GOVERNANCE", "days": 1}}
GOVERNED = {"mode": "GOVERNANCE", "retain_until_date": SOON}
COMPLIED = {"mode": "COMPLIANCE", "retain_until_date": SOON}


@pytest.fixture
def vault(shop: Shop) -> Shop:
    shop.ask("CreateBucket", bucket="vault", object_lock_enabled_for_bucket=True)
    return shop


def put(shop: Shop, who: str = "ann", key: str = "k", **params: Any) -> str:
    body = io.BytesIO(b"x")
    made: str = shop.ask("PutObject", who, bucket="vault", key=key, body=body, **params)[
        "version_id"
    ]
    return made


def configure(shop: Shop, bucket: str = "vault", **rule: Any) -> None:
    members = {"object_lock_enabled": "Enabled", **rule}
    shop.ask("PutObjectLockConfiguration", bucket=bucket, object_lock_configuration=members)


def delete(shop: Shop, version: str, who: str = "ann", **params: Any) -> str:
    """The code of the refusal, "" if the version was deleted."""
    try:
        shop.ask("DeleteObject", who, **HERE, version_id=version, **params)
    except Exception as fault:
        return str(getattr(fault, "code", fault))
    return ""


def test_a_bucket_is_made_with_it(vault: Shop) -> None:
    assert vault.ask("GetBucketVersioning", bucket="vault") == {"status": "Enabled"}
    shown = vault.ask("GetObjectLockConfiguration", bucket="vault")
    assert shown == {"object_lock_configuration": {"object_lock_enabled": "Enabled"}}
    members: dict[str, Any] = {
        "bucket": "vault",
        "versioning_configuration": {"status": "Suspended"},
    }
    assert vault.refused("PutBucketVersioning", **members) == "InvalidBucketState"


def test_a_bucket_with_versions_gets_it_later_and_for_good(shop: Shop) -> None:
    members = {"object_lock_enabled": "Enabled", "rule": RULE}
    named: dict[str, Any] = {"bucket": "shop", "object_lock_configuration": members}
    code = shop.refused("GetObjectLockConfiguration", bucket="shop")
    assert code == "ObjectLockConfigurationNotFoundError"
    for status in ("", "Suspended"):
        if status:
            state = {"status": status}
            shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration=state)
        assert shop.refused("PutObjectLockConfiguration", **named) == "InvalidBucketState"
    state = {"status": "Enabled"}
    shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration=state)
    shop.ask("PutObjectLockConfiguration", **named)
    shown = shop.ask("GetObjectLockConfiguration", bucket="shop")
    assert shown == {"object_lock_configuration": members}
    configure(shop, "shop")
    shown = shop.ask("GetObjectLockConfiguration", bucket="shop")
    assert shown == {"object_lock_configuration": {"object_lock_enabled": "Enabled"}}


def test_only_the_owner_configures(vault: Shop) -> None:
    members = {"object_lock_enabled": "Enabled"}
    named: dict[str, Any] = {"bucket": "vault", "object_lock_configuration": members}
    for who in ("bob", ""):
        assert vault.refused("PutObjectLockConfiguration", who, **named) == "AccessDenied"
        code = vault.refused("GetObjectLockConfiguration", who, bucket="vault")
        assert code == "AccessDenied"


def test_new_versions_get_the_default(vault: Shop) -> None:
    configure(vault, rule=RULE)
    version = put(vault)
    shown = vault.ask("HeadObject", **HERE)
    assert shown["object_lock_mode"] == "GOVERNANCE"
    assert delete(vault, version) == "AccessDenied"
    source = {"bucket": "vault", "key": "k"}
    copied = vault.ask("CopyObject", bucket="vault", key="c", copy_source=source)["version_id"]
    assert vault.store.head("vault", "c", copied).properties.extra["lock"]["mode"] == "GOVERNANCE"


def test_a_copy_leaves_the_lock_of_its_source_behind(vault: Shop) -> None:
    put(vault, object_lock_legal_hold_status="ON")
    vault.ask("CopyObject", bucket="shop", key="c", copy_source=HERE)
    assert vault.store.head("shop", "c").properties.extra == {}
    vault.ask("CopyObject", **{**HERE, "key": "c"}, copy_source=HERE)
    assert vault.store.head("vault", "c").properties.extra == {}


def test_headers_lock_what_is_written(vault: Shop) -> None:
    members: dict[str, Any] = {
        "object_lock_mode": "COMPLIANCE",
        "object_lock_retain_until_date": SOON,
        "object_lock_legal_hold_status": "ON",
    }
    put(vault, **members)
    shown = vault.ask("GetObject", **HERE)
    shown["body"].close()
    assert shown["object_lock_mode"] == "COMPLIANCE"
    until = SOON.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert shown["object_lock_retain_until_date"] == until
    assert shown["object_lock_legal_hold_status"] == "ON"
    assert vault.ask("GetObjectRetention", **HERE) == {"retention": COMPLIED}
    assert vault.ask("GetObjectLegalHold", **HERE) == {"legal_hold": {"status": "ON"}}
    upload = vault.ask("CreateMultipartUpload", **HERE, **members)["upload_id"]
    extra = vault.store.upload("vault", "k", upload).properties.extra
    assert extra["lock"]["hold"] == "ON"
    elsewhere: dict[str, Any] = {**HERE, "bucket": "shop", **members}
    assert vault.refused("PutObject", **elsewhere) == "InvalidRequest"


def test_who_may_only_write_locks_nothing_and_sees_no_lock(vault: Shop) -> None:
    vault.ask("PutBucketAcl", bucket="vault", acl="public-read-write")
    put(vault, "bob")
    hold = {"object_lock_legal_hold_status": "ON"}
    assert vault.refused("PutObject", "bob", **HERE, **hold) == "AccessDenied"
    members: dict[str, Any] = {"object_lock_mode": "COMPLIANCE"}
    members["object_lock_retain_until_date"] = SOON
    assert vault.refused("PutObject", "bob", **HERE, **members) == "AccessDenied"
    put(vault, **members, **hold, acl="public-read")
    shown = vault.ask("HeadObject", "", **HERE)
    assert not [name for name in shown if name.startswith("object_lock")]


def test_governance_yields_to_who_may_bypass_it(vault: Shop) -> None:
    version = put(vault)
    vault.ask("PutObjectRetention", **HERE, retention=GOVERNED)
    vault.ask("PutBucketAcl", bucket="vault", acl="public-read-write")
    assert delete(vault, version) == "AccessDenied"
    assert delete(vault, version, "bob", bypass_governance_retention=True) == "AccessDenied"
    assert delete(vault, version, "admin", bypass_governance_retention=True) == "AccessDenied"
    earlier = {"mode": "GOVERNANCE", "retain_until_date": SOON - timedelta(hours=1)}
    change: dict[str, Any] = {**HERE, "version_id": version, "retention": earlier}
    assert vault.refused("PutObjectRetention", **change) == "AccessDenied"
    vault.ask("PutObjectRetention", **change, bypass_governance_retention=True)
    assert vault.ask("GetObjectRetention", **HERE) == {"retention": earlier}
    assert delete(vault, version, bypass_governance_retention=True) == ""


def test_compliance_yields_to_nobody(vault: Shop) -> None:
    version = put(vault)
    vault.ask("PutObjectRetention", **HERE, retention=COMPLIED)
    for who in ("ann", "admin"):
        assert delete(vault, version, who, bypass_governance_retention=True) == "AccessDenied"
    bypass: dict[str, Any] = {"bypass_governance_retention": True}
    for weaker in ({}, GOVERNED):
        members: dict[str, Any] = {**HERE, "retention": weaker, **bypass}
        assert vault.refused("PutObjectRetention", **members) == "AccessDenied"
    assert vault.refused("DeleteBucket", bucket="vault") == "BucketNotEmpty"
    vault.ask("DeleteObject", **HERE)  # hides it
    assert delete(vault, version, **bypass) == "AccessDenied"


def test_a_legal_hold_holds_until_it_is_off(vault: Shop) -> None:
    version = put(vault)
    assert vault.refused("GetObjectLegalHold", **HERE) == "NoSuchObjectLockConfiguration"
    assert vault.refused("GetObjectRetention", **HERE) == "NoSuchObjectLockConfiguration"
    vault.ask("PutObjectLegalHold", **HERE, legal_hold={"status": "ON"})
    assert delete(vault, version, bypass_governance_retention=True) == "AccessDenied"
    vault.ask("PutObjectLegalHold", **HERE, legal_hold={"status": "OFF"})
    assert vault.ask("GetObjectLegalHold", **HERE) == {"legal_hold": {"status": "OFF"}}
    assert delete(vault, version) == ""


def test_many_are_deleted_but_the_locked(vault: Shop) -> None:
    locked = put(vault, object_lock_legal_hold_status="ON")
    free = put(vault, key="free")
    governed = put(vault, key="g")
    vault.ask("PutObjectRetention", bucket="vault", key="g", retention=GOVERNED)
    objects = [
        {"key": "k", "version_id": locked},
        {"key": "free", "version_id": free},
        {"key": "g", "version_id": governed},
    ]
    done = vault.ask("DeleteObjects", bucket="vault", delete={"objects": objects})
    assert [each["key"] for each in done["deleted"]] == ["free"]
    assert [(each["key"], each["code"]) for each in done["errors"]] == [
        ("k", "AccessDenied"),
        ("g", "AccessDenied"),
    ]
    members: dict[str, Any] = {"bypass_governance_retention": True, "delete": {"objects": objects}}
    done = vault.ask("DeleteObjects", bucket="vault", **members)
    assert [each["key"] for each in done["errors"]] == ["k"]


def test_where_nothing_can_be_locked(shop: Shop) -> None:
    shop.put("k")
    named: dict[str, Any] = {"bucket": "shop", "key": "k"}
    for name, members in (
        ("GetObjectRetention", {}),
        ("GetObjectLegalHold", {}),
        ("PutObjectRetention", {"retention": GOVERNED}),
        ("PutObjectLegalHold", {"legal_hold": {"status": "ON"}}),
    ):
        assert shop.refused(name, **named, **members) == "InvalidRequest"
        assert shop.refused(name, "bob", **named, **members) == "AccessDenied"


@pytest.mark.not_fast
def test_a_missing_version_is_access_denied_without_permission_to_list(vault: Shop) -> None:
    names = ("GetObjectRetention", "GetObjectLegalHold", "RestoreObject")
    statement = {"Effect": "Allow", "Principal": "*", "Resource": "arn:aws:s3:::vault/*"}
    actions = [f"s3:{name}" for name in names]
    members = {"Version": "2012-10-17", "Statement": {**statement, "Action": actions}}
    vault.ask("PutBucketPolicy", bucket="vault", policy=json.dumps(members))
    for name in names:
        assert vault.refused(name, "bob", **HERE) == "AccessDenied"
        assert vault.refused(name, **HERE) == "NoSuchKey"
