"""The cloud's certificate, as euca-bundle-image fetches it."""

import base64
import ssl
from typing import Any

import pytest

from eucabox import errors
from eucabox.actions import perform
from tests.actions.stand_ins import World


def listed(world: World, **params: Any) -> list[dict[str, Any]]:
    answer = perform("bootstrap", "DescribeServiceCertificates", world.call(), params)
    assert answer is not None
    certificates = answer["service_certificates"]
    assert isinstance(certificates, list)
    return certificates


def test_the_certificate_is_for_bundles(world: World) -> None:
    (row,) = listed(world, format="pem", fingerprint_digest="SHA-256")
    assert (row["service_type"], row["certificate_usage"]) == ("compute", "image-bundling")
    assert row["certificate"] == world.cloud.accounts.cloud_certificate
    (plain,) = listed(world, format="der", fingerprint_digest="SHA-1")
    der = base64.b64decode(plain["certificate"])
    assert der == ssl.PEM_cert_to_DER_cert(row["certificate"])
    assert plain["certificate_fingerprint"].count(":") == 19
    assert listed(world, filters=[{"name": "service-type", "values": ["iam"]}]) == []


@pytest.mark.parametrize("params", [{"format": "txt"}, {"fingerprint_digest": "MD5"}])
def test_an_unknown_format_or_digest_is_refused(world: World, params: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="Choose one of"):
        listed(world, **params)
