"""Settings that no bucket has: told so, removable without effect, settable by nobody."""

from typing import Any

import pytest

from eucabox import actions
from eucabox.actions.s3.replication import NAMED
from tests.actions.shop import Shop


def test_a_bucket_has_no_replication(shop: Shop) -> None:
    code = shop.refused("GetBucketReplication", bucket="shop")
    assert code == "ReplicationConfigurationNotFoundError"
    assert shop.refused("GetBucketReplication", bucket="nowhere") == "NoSuchBucket"
    assert shop.ask("DeleteBucketReplication", bucket="shop") == {}
    for name in ("GetBucketReplication", "DeleteBucketReplication"):
        for who in ("bob", ""):
            assert shop.refused(name, who, bucket="shop") == "AccessDenied"


@pytest.mark.parametrize("name", NAMED)
def test_a_configuration_by_id_does_not_exist(shop: Shop, name: str) -> None:
    for verb in ("Get", "Delete"):
        members: dict[str, Any] = {"bucket": "shop", "id": "any"}
        assert shop.refused(f"{verb}Bucket{name}Configuration", **members) == "NoSuchConfiguration"
        assert shop.refused(f"{verb}Bucket{name}Configuration", "bob", **members) == "AccessDenied"
    listing = f"ListBucket{name}Configurations"
    assert shop.ask(listing, bucket="shop") == {"is_truncated": False}
    assert shop.refused(listing, "bob", bucket="shop") == "AccessDenied"


def test_no_action_puts_such_a_configuration() -> None:
    served = {name for service, name in actions.load() if service == "s3"}
    assert not served & {f"PutBucket{name}Configuration" for name in NAMED}
    assert "PutBucketReplication" not in served
