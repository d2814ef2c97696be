"""Settings that no bucket has: told so, removable without effect, settable by nobody."""

from typing import Any

import pytest

from eucabox import actions
from eucabox.actions.s3.replication import NAMED
from tests.actions.shop import Shop


def test_replication(shop: Shop) -> None:
    code = shop.refused("GetBucketReplication", bucket="shop")
    assert code == "ReplicationConfigurationNotFoundError"
    assert shop.refused("GetBucketReplication", bucket="nowhere") == "NoSuchBucket"
    assert shop.ask("DeleteBucketReplication", bucket="shop") == {}
    for name in ("GetBucketReplication", "DeleteBucketReplication"):
        for who in ("bob", ""):
            assert shop.refused(name, who, bucket="shop") == "AccessDenied"


@pytest.mark.parametrize("name", NAMED)
def test_named(shop: Shop, name: str) -> None:
    for verb in ("Get", "Delete"):
        said: dict[str, Any] = {"bucket": "shop", "id": "any"}
        assert shop.refused(f"{verb}Bucket{name}Configuration", **said) == "NoSuchConfiguration"
        assert shop.refused(f"{verb}Bucket{name}Configuration", "bob", **said) == "AccessDenied"
    listing = f"ListBucket{name}Configurations"
    assert shop.ask(listing, bucket="shop") == {"is_truncated": False}
    assert shop.refused(listing, "bob", bucket="shop") == "AccessDenied"


def test_nobody_sets_them() -> None:
    served = {name for service, name in actions.load() if service == "s3"}
    assert not served & {f"PutBucket{name}Configuration" for name in NAMED}
    assert "PutBucketReplication" not in served
