import io
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eucabox import actions
from eucabox.actions import Action
from eucabox.errors import DryRunOperation, Fault, InstanceNotFound
from eucabox.iam.caller import Caller, Credential
from eucabox.wire import query
from eucabox.wire.request import Answer, Request

KEY, SECRET = "AKIA0123456789ABCDEF", "s" * 40
CALLER = Caller("123456789012", "a", "0" * 64, "AIDA", "admin", True, KEY, is_root=True)
FORM = "application/x-www-form-urlencoded; charset=utf-8"
SPACE = "{http://ec2.amazonaws.com/doc/2016-11-15/}"


def _lookup(access_key_id: str) -> Credential | None:
    return Credential(CALLER, SECRET, True) if access_key_id == KEY else None


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        *(("ec2", "DescribeInstances"), ("ec2", "RunInstances"), ("sts", "GetCallerIdentity")),
        *(("bootstrap", "DescribeServiceCertificates"), ("iam", "CreateOpenIDConnectProvider")),
    ]
    table: dict[tuple[str, str], Action | None] = dict.fromkeys(names)
    monkeypatch.setattr(actions, "load", lambda: table)


def _post(
    fields: Any, path: str = "/", service: str = "ec2", region: str = "eucabox", host: str = "h:1"
) -> Request:
    body = fields if isinstance(fields, str) else urlencode(fields)
    url = f"http://{host}{path}"
    signed = AWSRequest("POST", url, data=body, headers={"Content-Type": FORM, "Host": host})
    SigV4Auth(Credentials(KEY, SECRET), service, region).add_auth(signed)
    headers = {name.lower(): str(value) for name, value in signed.headers.items()}
    path, _, raw_query = path.partition("?")
    return Request(
        "POST",
        path,
        path,
        raw_query,
        headers,
        io.BytesIO(body.encode("latin-1")),
        len(body),
        host=host,
        request_id="id-1",
    )


def _understand(request: Request) -> query.QueryRequest:
    return query.understand(request, _lookup, datetime.now(UTC))


DESCRIBE = {"Action": "DescribeInstances", "Version": "2016-11-15"}


def test_a_signed_form_becomes_a_verb() -> None:
    found = _understand(_post({**DESCRIBE, "InstanceId.1": "i-1", "MaxResults": "5"}))
    assert (found.service, found.name) == ("ec2", "DescribeInstances")
    assert found.params == {"instance_ids": ["i-1"], "max_results": 5}
    assert found.caller == CALLER
    assert (found.api_version, found.region) == ("2016-11-15", "eucabox")
    assert found.signature
    assert found.signature not in repr(found)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", ["/services/compute", "/services/Eucalyptus"])
def test_service_paths_say_which_service(path: str, slash: str) -> None:
    found = _understand(_post(DESCRIBE, path + slash, region="undefined-4711"))
    assert (found.service, found.path) == ("ec2", path)
    assert found.region == "undefined-4711"


def test_tokens_path_is_sts() -> None:
    fields = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    found = _understand(_post(fields, "/services/Tokens/", "sts"))
    assert found.service == "sts"


@pytest.mark.parametrize(
    ("scope", "region", "host", "fields", "service"),
    [
        ("ec2", "eucabox", "h:1", DESCRIBE, "ec2"),
        ("127", "0", "127.0.0.1:8773", DESCRIBE, "ec2"),  # boto 2
        ("sts", "x", "h:1", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}, "sts"),
        ("127", "0", "127.0.0.1", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}, "sts"),
        ("x", "x", "ec2.cloud.local:1", DESCRIBE, "ec2"),
        ("x", "x", "STS.cloud", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}, "sts"),
    ],
)
def test_at_the_root_scope_host_or_form_say_which_service(
    scope: str, region: str, host: str, fields: dict[str, str], service: str
) -> None:
    request = _post(fields, "/", scope, region, host)
    assert query.speaks_query(request)
    assert _understand(request).service == service


def _plain(method: str, target: str, **headers: str) -> Request:
    path, _, raw_query = target.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, target, path, raw_query, named, host=named.get("host", "h"))


@pytest.mark.parametrize(
    ("request_", "speaks"),
    [
        (_plain("GET", "/?Action=DescribeRegions&AWSAccessKeyId=x"), True),
        (_plain("GET", "/?x=1&Action=DescribeRegions"), True),
        (_plain("POST", "/", content_type=FORM), True),
        (_plain("GET", "/services/compute/?Action=A"), True),
        (_plain("GET", "/?X-Amz-Credential=" + quote("k/20260131/r/ec2/aws4_request", "")), True),
        (_plain("GET", "/", host="ec2.example.org"), True),
        (_plain("GET", "/?X-Amz-Credential=" + quote("k/20260131/r/s3/aws4_request", "")), False),
        (_plain("GET", "/?NotAction=1"), False),
        (_plain("GET", "/"), False),
        (_plain("GET", "/bucket?Action=A"), False),
        (_plain("POST", "/bucket", content_type="multipart/form-data"), False),
        (_plain("PUT", "/key", host="ec2.example.org"), False),
        (_plain("GET", "/", authorization="AWS k:s"), False),
    ],
)
def test_query_requests_are_distinguished_from_s3(request_: Request, speaks: bool) -> None:
    assert query.speaks_query(request_) is speaks


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"Version": "2016-11-15"}, "MissingParameter", "Action"),
        ({"Action": "DescribeInstances"}, "MissingParameter", "Version"),
        ({**DESCRIBE, "Version": "latest"}, "NoSuchVersion", "latest"),
        ({**DESCRIBE, "Version": "2016-11-15/../x"}, "NoSuchVersion", "2016-11-15/../x"),
        ({**DESCRIBE, "Action": "MakeCoffee"}, "InvalidAction", "MakeCoffee"),
        ({**DESCRIBE, "Action": "CreateFleet"}, "UnsupportedOperation", "CreateFleet"),
        ({**DESCRIBE, "Colour": "red"}, "UnknownParameter", "Colour"),
        (
            "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=%ff",
            "MalformedQueryString",
            "",
        ),
        (f"Action=DescribeInstances&Action={'x' * 9}", "MalformedQueryString", "Action"),
    ],
)
def test_what_cannot_be_understood_is_refused(fields: Any, code: str, named: str) -> None:
    with pytest.raises(Fault) as caught:
        _understand(_post(fields))
    assert caught.value.code == code
    assert named in caught.value.message


def test_strays_of_old_clients_are_dropped() -> None:
    fields = {"Action": "RunInstances", "Version": "2015-10-01", "AddressingType": "private"}
    assert _understand(_post(fields)).params == {}


@pytest.mark.parametrize("name", ["ClientIDList", "ClientIdList"])
def test_the_clients_of_a_provider_come_as_aws_and_as_euca2ools_write_them(name: str) -> None:
    fields = {"Action": "CreateOpenIDConnectProvider", "Version": "2010-05-08"}
    found = _understand(_post({**fields, f"{name}.member.1": "web"}, "/services/Euare", "iam"))
    assert found.params == {"client_id_list": ["web"]}


def test_iam_is_refused_clearly() -> None:
    fields = {"Action": "ListUsers", "Version": "2010-05-08"}
    with pytest.raises(Fault) as caught:
        _understand(_post(fields, "/services/Euare", "iam"))
    assert caught.value.code == "UnsupportedOperation"
    assert "ListUsers" in caught.value.message


def test_an_unsigned_request_and_an_unknown_key_are_refused() -> None:
    request = _post(DESCRIBE)
    request.headers.pop("authorization")
    with pytest.raises(Fault) as caught:
        _understand(request)
    assert caught.value.code in ("MissingAuthenticationToken", "AuthFailure")
    with pytest.raises(Fault) as caught:
        query.understand(_post(DESCRIBE), lambda _: None, datetime.now(UTC))
    assert caught.value.code == "AuthFailure"


def test_an_old_request_is_refused() -> None:
    with pytest.raises(Fault) as caught:
        query.understand(_post(DESCRIBE), _lookup, datetime.now(UTC) + timedelta(minutes=16))
    assert caught.value.code == "RequestExpired"


class _Broken:
    def read(self, size: int) -> bytes:
        raise ConnectionResetError("gone")


@pytest.mark.parametrize(
    ("body", "length", "code"),
    [
        (io.BytesIO(b"x" * 2_000_000), None, "RequestEntityTooLarge"),
        (io.BytesIO(), 2_000_000, "RequestEntityTooLarge"),
        (io.BytesIO(b"Action="), 20, "IncompleteBody"),
        (_Broken(), None, "IncompleteBody"),
    ],
)
def test_a_body_that_is_too_large_or_cut_short_is_refused(
    body: Any, length: int | None, code: str
) -> None:
    request = _post(DESCRIBE)
    request.body, request.content_length = body, length
    with pytest.raises(Fault) as caught:
        _understand(request)
    assert caught.value.code == code


def _understood(service: str, name: str, version: str) -> query.QueryRequest:
    return query.QueryRequest(
        service=service,
        name=name,
        operation=query.compile_operation(service, name),
        params={},
        caller=CALLER,
        api_version=version,
        request_id="id-1",
    )


def _root(answer: Answer) -> ElementTree.Element:
    assert isinstance(answer.body, bytes)
    return ElementTree.fromstring(answer.body)


def test_an_ec2_answer_has_the_version_of_its_request() -> None:
    understood = _understood("ec2", "DescribeInstances", "2010-08-31")
    answer = query.answer(understood, {"reservations": []})
    root = _root(answer)
    space = "{http://ec2.amazonaws.com/doc/2010-08-31/}"
    assert root.tag == f"{space}DescribeInstancesResponse"
    assert root.findtext(f"{space}requestId") == "id-1"
    assert root.find(f"{space}reservationSet") is not None
    assert answer.headers == [("Content-Type", "text/xml;charset=UTF-8")]


@pytest.mark.parametrize(
    ("name", "result", "returned"),
    [
        ("AuthorizeSecurityGroupIngress", None, "true"),
        ("AuthorizeSecurityGroupIngress", {"security_group_rules": []}, "true"),
        ("AuthorizeSecurityGroupIngress", {"return": False}, "false"),
        ("RebootInstances", None, "true"),
        ("DescribeInstances", {}, None),
    ],
)
def test_a_verb_that_does_not_say_otherwise_returned_true(
    name: str, result: dict[str, Any] | None, returned: str | None
) -> None:
    root = _root(query.answer(_understood("ec2", name, "2016-11-15"), result))
    assert root.findtext(f"{SPACE}return") == returned


@pytest.mark.parametrize(("version", "known"), [("2014-10-01", False), ("2016-11-15", True)])
def test_a_member_is_left_out_before_the_version_it_came_in(version: str, known: bool) -> None:
    result: dict[str, Any] = {"instance_types": [], "instance_type_details": []}
    answer = query.answer(_understood("ec2", "DescribeInstanceTypes", version), result)
    assert isinstance(answer.body, bytes)
    assert (b"instanceTypeSet" in answer.body) is known
    assert b"instanceTypeDetails" in answer.body


def test_an_sts_answer_has_its_result_and_its_metadata() -> None:
    understood = _understood("sts", "GetCallerIdentity", "2011-06-15")
    root = _root(query.answer(understood, {"account": "123456789012"}))
    space = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    assert root.findtext(f"{space}GetCallerIdentityResult/{space}Account") == "123456789012"
    assert root.findtext(f"{space}ResponseMetadata/{space}RequestId") == "id-1"


def test_an_ec2_fault_has_ec2s_envelope() -> None:
    answer = query.refuse(InstanceNotFound(id="i-<1>"), "id-1", "ec2")
    root = _root(answer)
    assert answer.status == 400
    assert root.tag == "Response"
    assert root.findtext("Errors/Error/Code") == "InvalidInstanceID.NotFound"
    assert "i-<1>" in str(root.findtext("Errors/Error/Message"))
    assert root.findtext("RequestID") == "id-1"


def test_an_sts_fault_says_whose_fault_it_is() -> None:
    space = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    for fault, blame, status in ((Fault(), "Receiver", 500), (DryRunOperation(), "Sender", 412)):
        answer = query.refuse(fault, "id-1", "sts")
        assert answer.status == status
        root = _root(answer)
        assert root.findtext(f"{space}Error/{space}Type") == blame
        assert root.findtext(f"{space}RequestId") == "id-1"


def test_the_bootstrap_service_has_a_version_of_its_own() -> None:
    fields = {"Action": "DescribeServiceCertificates", "Version": "eucalyptus", "Format": "pem"}
    found = _understand(_post(fields, "/services/Empyrean"))
    assert (found.service, found.params) == ("bootstrap", {"format": "pem"})
    row = {"service_type": "compute", "certificate": "x"}
    body = query.answer(found, {"service_certificates": [row]}).body
    assert isinstance(body, bytes)
    assert b'xmlns="http://msgs.eucalyptus.com"' in body
    assert b"<serviceCertificates><item><serviceType>compute" in body
