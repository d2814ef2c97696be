import contextlib
import http.client
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from eucabox import actions, api
from eucabox.actions import Call
from eucabox.bucket import Store
from eucabox.config import CloudSection, Config
from eucabox.errors import InstanceNotFound
from eucabox.iam.accounts import Accounts, UserCredentials
from eucabox.logs import parse
from eucabox.s3.access_log import AccessLog
from eucabox.server.listener import Listener
from eucabox.state import State
from eucabox.wire.request import Answer, FileBody, Request
from eucabox.wire.s3 import middleware
from tests.kept_events import KeptEvents
from tests.wire.http_client import Http


@pytest.fixture(name="cloud", scope="module")
def _cloud(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = Config(cloud=CloudSection(data_dir=tmp_path_factory.mktemp("cloud")))
    shutil.copytree(first_start, config.cloud.data_dir, dirs_exist_ok=True)
    state, store = State(config.cloud.data_dir / "eucabox.db"), Store(config.bucket_root)
    accounts = Accounts(config, state)
    logs = AccessLog(store, config.bucket_root / ".eucabox" / "access", "eucabox", lambda: 300)
    yield SimpleNamespace(
        config=config,
        state=state,
        accounts=accounts,
        store=store,
        access_log=logs,
        events=KeptEvents(),
    )
    store.close()
    state.close()


@pytest.fixture(name="app", scope="module")
def _app(cloud: Any) -> api.ApiDispatcher:
    return api.create_app(cloud)


@pytest.fixture(name="admin", scope="module")
def _admin(cloud: Any) -> UserCredentials:
    accounts: Accounts = cloud.accounts
    return accounts.user_credentials(accounts.ensure_administrator())


@pytest.fixture(name="port", scope="module")
def _port(app: api.ApiDispatcher) -> Iterator[int]:
    listener = Listener(("127.0.0.1", 0), app, 4, ("api", "port"))
    listener.open()
    yield listener.bind_addr[1]
    listener.shut()


def _client(service: str, port: int, admin: UserCredentials, path: str = "") -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}{path}",
        region_name="eucabox",
        aws_access_key_id=admin.caller.access_key_id,
        aws_secret_access_key=admin.secret,
        config=ClientConfig(
            retries={"max_attempts": 0}, s3={"addressing_style": "path"}, parameter_validation=False
        ),
    )


def _code(call: Any, **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.not_fast
@pytest.mark.parametrize("path", ["", "/services/compute", "/services/Eucalyptus/"])
def test_ec2_is_spoken(port: int, admin: UserCredentials, path: str) -> None:
    ec2 = _client("ec2", port, admin, path)
    answer = ec2.describe_key_pairs()
    assert answer["KeyPairs"] == []
    assert answer["ResponseMetadata"]["RequestId"]
    assert _code(ec2.describe_key_pairs, DryRun=True) == ("DryRunOperation", 412)
    assert _code(ec2.create_fleet) == ("UnsupportedOperation", 400)


@pytest.mark.parametrize("path", ["", "/services/Tokens"])
def test_sts_is_spoken(port: int, admin: UserCredentials, path: str) -> None:
    answer = _client("sts", port, admin, path).get_caller_identity()
    assert answer["Account"] == admin.caller.account_id


@pytest.mark.parametrize("path", ["", "/services/objectstorage", "/services/Walrus"])
def test_s3_is_spoken(port: int, admin: UserCredentials, path: str) -> None:
    s3 = _client("s3", port, admin, path)
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket="barrel")
    s3.put_object(Bucket="barrel", Key="a/b c%2F/\u00e9", Body=b"content" * 100_000)
    got = s3.get_object(Bucket="barrel", Key="a/b c%2F/\u00e9")
    assert got["Body"].read() == b"content" * 100_000
    assert s3.head_object(Bucket="barrel", Key="a/b c%2F/\u00e9")["ContentLength"] == 700_000
    assert _code(s3.get_object, Bucket="barrel", Key="none") == ("NoSuchKey", 404)
    assert _code(s3.head_object, Bucket="barrel", Key="none") == ("404", 404)


@pytest.mark.not_fast
def test_a_role_is_used_by_the_requests_of_its_sessions(
    cloud: Any, port: int, admin: UserCredentials
) -> None:
    iam = _client("iam", port, admin)
    trusted = {"AWS": admin.caller.account_id}
    allow = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": allow})
    arn = iam.create_role(RoleName="used", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    made = _client("sts", port, admin).assume_role(RoleArn=arn, RoleSessionName="tuesday")
    keys = made["Credentials"]
    cloud.state.update("roles", {"role_name": "used"}, last_used="")
    assert iam.get_role(RoleName="used")["Role"]["RoleLastUsed"] == {}
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    sts = session.client("sts", "eucabox", endpoint_url=f"http://127.0.0.1:{port}")
    assert sts.get_caller_identity()["Arn"].endswith("assumed-role/used/tuesday")
    cloud.accounts.key_use.close()
    last = iam.get_role(RoleName="used")["Role"]["RoleLastUsed"]
    assert last["Region"] == cloud.config.cloud.region
    assert last["LastUsedDate"].year >= 2026


@pytest.mark.not_fast
def test_a_wrong_secret_is_refused_by_each(port: int, admin: UserCredentials) -> None:
    wrong = UserCredentials(admin.caller, "x" * 40, "", "")
    assert _code(_client("ec2", port, wrong).describe_key_pairs)[0] == "SignatureDoesNotMatch"
    assert _code(_client("sts", port, wrong).get_caller_identity)[0] == "SignatureDoesNotMatch"
    assert _code(_client("s3", port, wrong).list_buckets)[0] == "SignatureDoesNotMatch"


def test_iam_says_what_is_not_there(port: int, admin: UserCredentials) -> None:
    words = r"CreateServiceLinkedRole: Service-linked roles are not"
    with pytest.raises(ClientError, match=words) as caught:
        _client("iam", port, admin).create_service_linked_role(AWSServiceName="x.amazonaws.com")
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


@pytest.mark.parametrize("path", ["", "/services/Euare"])
def test_iam_simulates_policies(port: int, admin: UserCredentials, path: str) -> None:
    iam = _client("iam", port, admin, path)
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/${aws:username}"}
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    arn = f"arn:aws:iam::{admin.caller.account_id}:user/ann"
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[text],
        ActionNames=["s3:GetObject", "s3:PutObject", "ec2:RunInstances"],
        ResourceArns=["arn:aws:s3:::b/ann", "arn:aws:s3:::b/bob"],
        CallerArn=arn,
        PaginationConfig={"PageSize": 1},
    )
    results = [each for page in pages for each in page["EvaluationResults"]]
    assert [each["EvalActionName"] for each in results] == [
        "s3:GetObject", "s3:PutObject", "ec2:RunInstances",
    ]  # fmt: skip
    decisions = [
        [each["EvalResourceDecision"] for each in result["ResourceSpecificResults"]]
        for result in results
    ]
    assert decisions == [["allowed", "implicitDeny"]] * 2 + [["implicitDeny"] * 2]
    (matched,) = results[0]["MatchedStatements"]
    assert matched["SourcePolicyId"] == "PolicyInputList.1"
    assert matched["EndPosition"] == {"Line": 1, "Column": len(text)}
    assert results[0]["EvalDecisionDetails"] == {}
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[text])["ContextKeyNames"]
    assert keys == ["aws:username"]
    broken = {"PolicyInputList": ["{"], "ActionNames": ["s3:GetObject"]}
    assert _code(iam.simulate_custom_policy, **broken) == ("InvalidInput", 400)


def test_the_health_check_is_where_no_bucket_can_be(port: int) -> None:
    answer = Http(port).get(api.HEALTH)
    assert (answer.status_code, json.loads(answer.data)) == (200, {"status": "ok"})
    assert Http(port).get("/_eucabox/none").status_code == 404


@pytest.mark.parametrize("target", [api.HEALTH, "http://h" + api.HEALTH])
def test_the_health_check_answers_a_path_and_a_whole_url(port: int, target: str) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.putrequest("GET", target)
    client.endheaders()
    assert client.getresponse().read() == b'{"status":"ok"}\n'
    client.close()


def test_below_a_buckets_own_host_every_path_is_a_key(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.request("GET", api.HEALTH, headers={"Host": "no-such.s3.localhost"})
    assert b"<Code>" in client.getresponse().read()
    client.close()


def _perform_raises(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def perform(*_: Any) -> None:
        raise problem

    monkeypatch.setattr(actions, "perform", perform)


def test_the_unexpected_is_logged_with_its_request_and_answered_without_a_trace(
    port: int,
    admin: UserCredentials,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
) -> None:
    _perform_raises(monkeypatch, RuntimeError("secret detail"))
    for service, call in (("ec2", "describe_key_pairs"), ("s3", "list_buckets")):
        with pytest.raises(ClientError) as caught:
            getattr(_client(service, port, admin), call)()
        response = caught.value.response
        assert response["Error"]["Code"] == "InternalError"
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert "secret detail" not in str(response)
        about = [each for each in lines if response["ResponseMetadata"]["RequestId"] in each]
        assert [parse(each).get("outcome") for each in about] == [None, "InternalError"]
        assert "secret detail" in parse(about[0])["trace"]


def test_a_refusal_before_the_verb_is_one_line_without_what_was_signed(
    port: int, lines: list[str]
) -> None:
    answer = Http(port).get("/?Action=DescribeRegions&Version=1&Signature=abcdef")
    assert answer.status_code >= 400
    assert len(lines) == 1
    fields = parse(lines[0])
    assert fields["request_id"] == answer.headers["x-amz-request-id"]
    assert (fields["service"], fields["status"]) == ("ec2", str(answer.status_code))
    assert "abcdef" not in lines[0]


def test_a_request_is_one_line_with_who_what_and_how_it_ended(
    port: int, admin: UserCredentials, lines: list[str]
) -> None:
    ec2, s3 = _client("ec2", port, admin), _client("s3", port, admin)
    ec2.describe_key_pairs()
    evil = 'x" outcome=ok\ntime=2026 level=info role=cloud action=Forged'
    with pytest.raises(ClientError):
        ec2.describe_instances(InstanceIds=[evil])
    s3.list_buckets()
    ec2.close()
    s3.close()
    records = [parse(each) for each in lines]
    assert [each["action"] for each in records] == [
        "DescribeKeyPairs", "DescribeInstances", "ListBuckets",
    ]  # fmt: skip
    assert [each["role"] for each in records] == ["cloud", "cloud", "walrus"]
    assert [each["status"] for each in records] == ["200", "400", "200"]
    assert records[0]["user"].endswith("/admin")
    assert (records[0]["source"], records[0]["outcome"]) == ("127.0.0.1", "ok")
    assert records[1]["instances"] == evil
    assert float(records[1]["ms"]) > 0


def test_a_call_knows_the_cloud_and_the_client(
    port: int, admin: UserCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Call] = []

    def perform(service: str, name: str, call: Call, params: dict[str, Any]) -> dict[str, Any]:
        seen.append(call)
        return {}

    monkeypatch.setattr(actions, "perform", perform)
    _client("ec2", port, admin, "/services/compute").describe_regions()
    call = seen[0]
    assert (call.region, call.source, call.path) == ("eucabox-1", "127.0.0.1", "/services/compute")
    assert call.endpoint == f"http://127.0.0.1:{port}"
    assert (call.api_version, call.caller) == ("2016-11-15", admin.caller)
    assert call.signature


BAD = [
    ("GET", "/"),
    ("GET", "/services/"),
    ("GET", "/services/compute"),
    ("GET", "/services/compute?Action=%ff"),
    ("GET", "/services/Tokens/?Action=GetCallerIdentity&Version=2011-06-15"),
    ("GET", "/services/Euare/?Action=ListUsers&Version=2010-05-08"),
    ("GET", "/services/Properties/?Action=DescribeProperties&Version=eucalyptus"),
    ("GET", "/?Action=DescribeInstances&X-Amz-Credential=a/b/c"),
    ("POST", "/?" + "a=" * 1000),
    ("GET", "/?X-Amz-Credential=%"),
    ("PUT", "/bucket/%ff"),
    ("DELETE", "/bucket/" + "k" * 2000),
    ("BREW", "/bucket"),
    ("OPTIONS", "/bucket"),
    ("GET", "/bucket?X-Amz-Algorithm=AWS4-HMAC-SHA256"),
    ("POST", "/bucket?delete"),
    ("GET", "/services/objectstorage/b?Signature=x&AWSAccessKeyId=y&Expires=z"),
]


@pytest.mark.parametrize("header", [{}, {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}])
@pytest.mark.parametrize(("method", "target"), BAD)
def test_no_bad_request_is_our_fault(
    port: int, method: str, target: str, header: dict[str, str]
) -> None:
    answer = Http(port).send(
        target, method=method, data=b"\xff\x00=", headers={"X-Amz-Date": "never", **header}
    )
    assert 300 <= answer.status_code < 500
    assert answer.headers["x-amz-request-id"]
    if answer.data:
        assert answer.data.isascii()
        ElementTree.fromstring(answer.data)


def test_a_page_of_another_origin_reads_what_cors_lets_it(
    port: int, admin: UserCredentials
) -> None:
    s3 = _client("s3", port, admin)
    s3.create_bucket(Bucket="shared")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["http://page"]}
    s3.put_bucket_cors(Bucket="shared", CORSConfiguration={"CORSRules": [rule]})
    params = {"Origin": "http://page", "Access-Control-Request-Method": "GET"}
    client = Http(port)
    preflight = client.options("/shared/k?Signature=x&X-Amz-Signature=y", headers=params)
    assert preflight.status_code == 200
    refused = client.get("/shared/k", headers={"Origin": "http://page"})
    assert refused.status_code == 403
    for answer in (preflight, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "http://page"
    assert "Access-Control-Allow-Origin" not in client.get("/shared/k").headers
    assert client.options("/shared", headers={**params, "Origin": "http://x"}).status_code == 403
    assert client.options("/nowhere", headers=params).status_code == 404
    assert client.options("/", headers=params).status_code == 403


def test_an_error_after_the_answer_does_not_lose_the_answer(
    port: int, admin: UserCredentials, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    def find_bucket(*_: Any) -> None:
        raise RuntimeError("no record")

    monkeypatch.setattr(middleware, "_find_bucket", find_bucket)
    s3 = _client("s3", port, admin)
    s3.list_buckets()
    s3.close()
    assert "no record" in parse(lines[0])["trace"]
    assert (parse(lines[1])["outcome"], parse(lines[1])["status"]) == ("ok", "200")


def test_a_bucket_is_a_website(port: int, admin: UserCredentials) -> None:
    s3 = _client("s3", port, admin)
    s3.create_bucket(Bucket="www", ACL="public-read")
    site = {"IndexDocument": {"Suffix": "i.html"}, "ErrorDocument": {"Key": "e.html"}}
    client = Http(port)
    path, site_host = "/_eucabox/website/www", "http://www.s3-website-eucabox.example.com"
    assert b"NoSuchWebsiteConfiguration" in client.get(f"{path}/").data
    s3.put_bucket_website(Bucket="www", WebsiteConfiguration=site)
    assert s3.get_bucket_website(Bucket="www")["IndexDocument"] == site["IndexDocument"]
    page = {"ContentType": "text/html", "ACL": "public-read"}
    s3.put_object(Bucket="www", Key="docs/i.html", Body=b"<p>hello", **page)
    for base, host in ((path, "http://127.0.0.1"), ("", site_host)):
        found = client.get(f"{base}/docs/", base_url=host)
        assert (found.status_code, found.data) == (200, b"<p>hello")
        assert found.content_type == "text/html"
        moved = client.get(f"{base}/docs", base_url=host)
        assert (moved.status_code, moved.location) == (302, f"{host}{base}/docs/")
        missing = client.get(f"{base}/none", base_url=host)
        assert (missing.status_code, missing.content_type[:9]) == (404, "text/html")
        assert client.head(f"{base}/docs/", base_url=host).data == b""
        assert client.put(f"{base}/docs/", base_url=host).status_code == 405
    s3.put_object(Bucket="www", Key="e.html", Body=b"sorry", **page)
    missing = client.get(f"{path}/none", headers={"Range": "bytes=0-1"})
    assert (missing.status_code, missing.data) == (404, b"sorry")
    assert client.get("/_eucabox/website/nowhere/").status_code == 404
    assert client.get("/_eucabox/website/%ff/").status_code == 400


def test_the_metadata_door_refuses_strangers_in_its_own_words(cloud: Any) -> None:
    app = api.create_metadata_app(cloud)
    request = app.build_request("POST", "/latest/meta-data/", {}, io.BytesIO(), None, "192.0.2.1")
    status, _, body = api.http_response(request, app.handle(request))
    assert status.startswith("405 ")
    assert b"<" not in b"".join(body)


def send(answer: Answer, method: str = "GET") -> tuple[str, dict[str, str], Iterable[bytes]]:
    request = Request(method, "/", "/", "", {}, request_id="id-1")
    status, headers, body = api.http_response(request, answer)
    return status, dict(headers), body


def test_an_answer_has_its_length_and_its_request_id() -> None:
    sent_headers = [("X-A", "a\r\nX-B: \u20ac"), ("X-C", "\0b\x7f\xe9")]
    status, headers, body = send(Answer(201, sent_headers, b"abc"))
    assert status == "201 Created"
    assert headers["x-amz-request-id"] == "id-1"
    assert headers["Content-Length"] == "3"
    assert headers["X-A"].encode("latin-1") == "a  X-B: \u20ac".encode()
    assert headers["X-C"] == " b \xe9"
    assert b"".join(body) == b"abc"


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")])
def test_what_has_no_body_sends_none_and_closes_it(
    status: int, method: str, tmp_path: Path
) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"0123456789")
    opened = file.open("rb")
    answer = Answer(status, file=FileBody(opened, 2, 5, opened.fileno()))
    _, headers, body = send(answer, method)
    assert list(body) == []
    assert opened.closed
    assert headers.get("Content-Length") == ("5" if method == "HEAD" else None)


@pytest.mark.parametrize("numbered", [True, False])
def test_a_file_is_sent_from_its_offset_and_closed(numbered: bool, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"0123456789")
    opened = file.open("rb")
    opened.seek(2)
    _, headers, body = send(
        Answer(file=FileBody(opened, 2, 5, opened.fileno() if numbered else None))
    )
    assert b"".join(body) == b"23456"
    assert headers["Content-Length"] == "5"
    body.close()  # type: ignore[attr-defined]
    assert opened.closed


def test_a_file_that_shrank_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"0123")
    with file.open("rb") as opened:
        _, _, body = send(Answer(file=FileBody(opened, 2, 5, opened.fileno())))
        with pytest.raises(OSError, match="3 bytes before"):
            list(body)


def test_a_stream_without_a_length_is_sent_as_it_comes() -> None:
    _, headers, body = send(Answer(body=iter([b"a", b"b"])))
    assert "Content-Length" not in headers
    assert b"".join(body) == b"ab"
    assert send(Answer(body=iter([b"a"]), length=1))[1]["Content-Length"] == "1"


def test_warming_up_loads_every_protocol() -> None:
    api.preload()
    assert actions.ACTIONS


def test_a_fault_of_a_verb_keeps_its_code(
    port: int, admin: UserCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    _perform_raises(monkeypatch, InstanceNotFound(id="i-1"))
    found = _code(_client("ec2", port, admin).describe_instances)
    assert found == ("InvalidInstanceID.NotFound", 400)
