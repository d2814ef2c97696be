"""Settings that no bucket has: told so, removable without effect, settable by nobody."""

import pytest

from eucabox import actions
from eucabox.actions.bucket_settings import ABSENT, NAMED, PLAIN, REMOVALS
from tests.actions.shop import Shop


@pytest.mark.parametrize("name", ABSENT)
def test_absent(shop: Shop, name: str) -> None:
    assert shop.refused(name, bucket="shop") == ABSENT[name].code
    assert shop.refused(name, "bob", bucket="shop") == "AccessDenied"
    assert shop.refused(name, bucket="nowhere") == "NoSuchBucket"


@pytest.mark.parametrize("name", PLAIN)
def test_plain(shop: Shop, name: str) -> None:
    assert shop.ask(name, bucket="shop") == PLAIN[name]


@pytest.mark.parametrize("name", NAMED)
def test_named(shop: Shop, name: str) -> None:
    code = shop.refused(f"GetBucket{name}Configuration", bucket="shop", id="any")
    assert code == "NoSuchConfiguration"


@pytest.mark.parametrize("name", REMOVALS)
def test_removals(shop: Shop, name: str) -> None:
    assert shop.ask(name, bucket="shop") == {}
    assert shop.refused(name, "", bucket="shop") == "AccessDenied"


def test_nobody_sets_them() -> None:
    served = {name for service, name in actions.load() if service == "s3"}
    told = [name for name in (*ABSENT, *PLAIN) if name.startswith("Get")]
    setters = {name.replace("Get", "Put", 1) for name in told}
    assert not setters & served
