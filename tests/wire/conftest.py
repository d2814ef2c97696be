"""A cloud of buckets behind the real listener, and a client that says exactly what it is told."""

import http.client
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials

from eucabox import api
from eucabox.bucket import Store
from eucabox.config import CloudSection, Config
from eucabox.iam.accounts import Accounts
from eucabox.s3.access_log import AccessLog
from eucabox.server.listener import Listener
from eucabox.state import State
from tests.kept_events import KeptEvents

UNSIGNED = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    """Signs with the payload's word that it is given."""

    def __init__(self, keys: Credentials, word: str) -> None:
        super().__init__(keys, "s3", "eucabox")
        self._word = word

    def payload(self, request: AWSRequest) -> str:
        return self._word


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error's document, "" if there is none."""
        return self.element("Code")

    def element(self, name: str) -> str:
        """The text of the first element of that name, as it was written."""
        text = self.body.decode("utf-8")
        _, found, rest = text.partition(f"<{name}>")
        return rest.partition(f"</{name}>")[0] if found else ""


class Box:
    """A bucket `box` of the administrator, and how to ask for what is in it."""

    def __init__(self, port: int, key: str, secret: str) -> None:
        self.port = port
        self._keys = Credentials(key, secret)

    def client(self, service: str = "s3", **config: Any) -> Any:
        """A boto3 client."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="eucabox",
            aws_access_key_id=self._keys.access_key,
            aws_secret_access_key=self._keys.secret_key,
            config=ClientConfig(
                retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config
            ),
        )

    def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> Reply:
        """Send a request with just these headers, which go out as UTF-8."""
        sent_headers = {**UNSIGNED, **(headers or {})}
        if signed:
            url = f"http://127.0.0.1:{self.port}{target}"
            request = AWSRequest(method=method, url=url, headers=sent_headers, data=body)
            _Signer(self._keys, sent_headers["x-amz-content-sha256"]).add_auth(request)
            sent_headers = dict(request.headers.items())
        return self.send(method, target, body, sent_headers)

    def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            octets = {name: value.encode() for name, value in headers.items()}
            connection.request(method, target, body=body, headers=octets)
            got = connection.getresponse()
            sent_headers = {n.lower(): _as_utf8(v) for n, v in got.getheaders()}
            return Reply(got.status, sent_headers, got.read())
        finally:
            connection.close()


def _as_utf8(value: str) -> str:
    return value.encode("latin-1").decode("utf-8")


@pytest.fixture(scope="module")
def box(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    config = Config(cloud=CloudSection(data_dir=tmp_path_factory.mktemp("cloud")))
    shutil.copytree(first_start, config.cloud.data_dir, dirs_exist_ok=True)
    state, store = State(config.cloud.data_dir / "eucabox.db"), Store(config.bucket_root)
    accounts = Accounts(config, state)
    logs = AccessLog(store, config.bucket_root / ".eucabox" / "access", "eucabox", lambda: 300)
    cloud: Any = SimpleNamespace(
        config=config,
        state=state,
        accounts=accounts,
        store=store,
        access_log=logs,
        events=KeptEvents(),
    )
    admin = accounts.user_credentials(accounts.ensure_administrator())
    listener = Listener(("127.0.0.1", 0), api.create_app(cloud), 4, ("api", "port"))
    listener.open()
    made = Box(listener.bind_addr[1], admin.caller.access_key_id, admin.secret)
    made.client().create_bucket(Bucket="box")
    yield made
    listener.shut()
    store.close()
    state.close()
