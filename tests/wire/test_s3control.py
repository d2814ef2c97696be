"""The three tag calls of S3 Control over HTTP, as clients with an account in the host send them."""

import base64
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eucabox import api
from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.s3.access_log import AccessLog
from eucabox.server.listener import Listener
from eucabox.state import State
from tests.kept_events import KeptEvents
from tests.wire.http_client import Http

SPACE = "{http://awss3control.amazonaws.com/doc/2018-08-20/}"
PATH = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Ashop"
BODY = (
    '<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags>'
    "<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>"
    "</Tags></TagResourceRequest>"
)


class Client:
    """Signs and sends."""

    def __init__(self, port: int, found: Any) -> None:
        self._http = Http(port)
        self._credentials = Credentials(found.caller.access_key_id, found.secret)
        self.account = found.caller.account_id

    def send(self, method: str, path: str = PATH, body: str = "", **members: str) -> Any:
        url = f"http://{self.account}.localhost{path}"
        sent_headers = {"x-amz-account-id": self.account}
        sent_headers |= {name.replace("_", "-"): value for name, value in members.items()}
        request = AWSRequest(method, url, sent_headers, body)
        S3SigV4Auth(self._credentials, "s3", "eucabox").add_auth(request)
        headers = {**dict(request.headers), "Host": f"{self.account}.localhost"}
        return self._http.send(path, method=method, data=body, headers=headers)


@pytest.fixture
def client(config: Config, state: State, accounts: Accounts) -> Iterator[Client]:
    store = Store(config.bucket_root)
    found = accounts.user_credentials(accounts.ensure_administrator())
    store.create_bucket("shop", found.caller.account_id)
    cloud: Any = SimpleNamespace(config=config, state=state, accounts=accounts, store=store)
    cloud.events = KeptEvents()
    cloud.access_log = AccessLog(store, config.bucket_root / ".access", "eucabox", lambda: 300)
    listener = Listener(("127.0.0.1", 0), api.create_app(cloud), 4, ("api", "port"))
    listener.open()
    yield Client(listener.bind_addr[1], found)
    listener.shut()
    store.close()


def list_tags(client: Client) -> dict[str, str]:
    answer = client.send("GET")
    assert answer.status_code == 200
    root = ElementTree.fromstring(answer.data)
    assert root.tag == f"{SPACE}ListTagsForResourceResult"
    found = root.findall(f"{SPACE}Tags/{SPACE}Tag")
    return {each.findtext(f"{SPACE}Key", ""): each.findtext(f"{SPACE}Value", "") for each in found}


def test_tags_come_and_go(client: Client) -> None:
    assert list_tags(client) == {}
    answer = client.send("POST", body=BODY)
    assert (answer.status_code, answer.data) == (204, b"")
    assert list_tags(client) == {"a": "1", "b": "2"}
    assert client.send("DELETE", f"{PATH}?tagKeys=a&tagKeys=c").status_code == 204
    assert list_tags(client) == {"b": "2"}


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("method", "path", "body", "code", "status"),
    [
        ("GET", PATH.replace("shop", "none"), "", "NoSuchBucket", 404),
        ("GET", "/v20180820/tags/%FF", "", "InvalidRequest", 400),
        ("PUT", PATH, "", "MethodNotAllowed", 405),
        ("POST", PATH, "", "MissingRequestBodyError", 400),
        ("POST", PATH, "<nonsense", "MalformedXML", 400),
        ("POST", PATH, "<x/>" * 20_000, "EntityTooLarge", 400),
        ("GET", "/v20180820/configuration/publicAccessBlock", "", "NotImplemented", 501),
    ],
)
def test_refusals_are_in_its_own_envelope(
    client: Client, method: str, path: str, body: str, code: str, status: int
) -> None:
    answer = client.send(method, path, body)
    assert answer.status_code == status
    root = ElementTree.fromstring(answer.data)
    assert root.tag == f"{SPACE}ErrorResponse"
    assert root.findtext(f"{SPACE}Error/{SPACE}Code") == code


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("content_md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"),
        ("content_md5", "", "InvalidDigest"),
        ("x_amz_checksum_crc32", "AAAAAA==", "BadDigest"),
        ("x_amz_checksum_crc32", "", "InvalidRequest"),
        ("x_amz_checksum_md4", "AAAA", "InvalidRequest"),
        ("x_amz_sdk_checksum_algorithm", "CRC32", "InvalidRequest"),
    ],
)
def test_tags_are_compared_with_the_checksum_that_came_along(
    client: Client, header: str, value: str, code: str
) -> None:
    answer = client.send("POST", body=BODY, **{header: value})
    root = ElementTree.fromstring(answer.data)
    assert root.findtext(f"{SPACE}Error/{SPACE}Code") == code
    assert list_tags(client) == {}
    crc = base64.b64encode(zlib.crc32(BODY.encode()).to_bytes(4, "big")).decode()
    assert client.send("POST", body=BODY, x_amz_checksum_crc32=crc).status_code == 204


def test_unsigned_is_refused(config: Config, client: Client) -> None:
    headers = {"x-amz-account-id": client.account, "Host": f"{client.account}.localhost"}
    answer = client._http.get(PATH, headers=headers)
    assert answer.status_code == 403
    assert b"<Code>AccessDenied</Code>" in answer.data


def test_a_bucket_may_have_its_name(client: Client) -> None:
    answer = client._http.get("/v20180820/tags/x")
    assert b"<BucketName>v20180820</BucketName>" in answer.data
