"""Keys that look like this cloud's own paths, in a bucket that the host names."""

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.wire.conftest import Box, Reply

KEYS = (
    "services/objectstorage/k",
    "services/compute",
    "services/Euare/?",
    "_eucabox/website/box/k",
    "_eucabox/health",
)


def _ask(box: Box, method: str, path: str, body: bytes = b"", sent: str = "") -> Reply:
    """Send a request that is signed for `path`, to the path `sent`."""
    url = f"http://box.localhost:{box.port}{path}"
    request = AWSRequest(method=method, url=url, data=body)
    S3SigV4Auth(box._keys, "s3", "eucabox").add_auth(request)
    headers = {**dict(request.headers.items()), "Host": f"box.localhost:{box.port}"}
    return box.send(method, sent or path, body, headers)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_like_a_path_of_the_cloud_is_an_object_of_the_bucket(box: Box, key: str) -> None:
    path = "/" + key.replace("?", "%3F")
    box.client().put_object(Bucket="box", Key="k", Body=b"another")
    assert _ask(box, "PUT", path, key.encode()).status == 200
    assert _ask(box, "GET", path).body == key.encode()
    assert box.client().get_object(Bucket="box", Key=key)["Body"].read() == key.encode()
    assert _ask(box, "DELETE", path).status == 204
    assert _ask(box, "GET", path).code == "NoSuchKey"
    assert box.client().get_object(Bucket="box", Key="k")["Body"].read() == b"another"


def test_a_signature_for_one_key_is_none_for_the_key_behind_the_service_s_path(box: Box) -> None:
    box.client().put_object(Bucket="box", Key="services/objectstorage/k", Body=b"kept")
    moved = _ask(box, "DELETE", "/k", sent="/services/objectstorage/k")
    assert moved.code == "SignatureDoesNotMatch"
