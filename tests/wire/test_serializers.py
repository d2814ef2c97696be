import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore import handlers
from botocore.parsers import create_parser

from eucabox.wire import model, serializers
from eucabox.wire.shapes import StructureShape
from tests.wire.botocore_models import to_botocore
from tests.wire.samples import fill, ours

SERVICES = [("ec2", ""), ("ec2", "2015-10-01"), ("iam", ""), ("sts", "")]
ELSEWHERE = frozenset({"header", "headers", "statusCode", "uri", "querystring"})


def _document(service: str, action: str, value: Any, version: str = "") -> bytes:
    known = model.service(service, version)
    operation = known.operation(action)
    assert operation is not None
    item = "item" if service == "ec2" else "member"
    writer = serializers.xml_writer(operation.output, item) if operation.output else None
    if service == "ec2":
        return serializers.ec2_document(action, "urn:x", "id-1", writer, value)
    wrapper = f"{action}Result"
    if operation.output:
        wrapper = operation.output.serialization.get("resultWrapper", wrapper)
    return serializers.query_document(action, "urn:x", "id-1", wrapper, writer, value)


@pytest.mark.not_fast
@pytest.mark.parametrize(("service", "version"), SERVICES)
def test_every_answer_is_read_by_botocore(service: str, version: str) -> None:
    known = model.service(service, version)
    theirs = to_botocore(known)
    parser = create_parser(known.protocol)
    for name in sorted(known.names):
        operation = known.operation(name)
        assert operation is not None
        value = fill(operation.output) if operation.output else {}
        body = _document(service, name, _ours(operation.output, value), version)
        assert body.isascii()
        response = {"status_code": 200, "headers": {}, "body": body}
        parsed = parser.parse(response, theirs.operation_model(name).output_shape)
        assert parsed.pop("ResponseMetadata")["RequestId"] == "id-1"
        assert parsed == value, name


def test_a_group_is_made_with_a_return_of_true_as_at_ec2(caplog: pytest.LogCaptureFixture) -> None:
    body = _document("ec2", "CreateSecurityGroup", {"return": True, "group_id": "sg-1"})
    assert b"<groupId>sg-1</groupId><return>true</return>" in body
    assert not caplog.records


def _ours(shape: Any, value: Any) -> Any:
    return ours(shape, value) if shape else {}


def test_every_s3_body_is_read_by_botocore() -> None:
    known = model.service("s3")
    theirs = to_botocore(known)
    parser = create_parser("rest-xml")
    count = 0
    for name in sorted(known.names):
        operation = known.operation(name)
        assert operation is not None
        shape = operation.output
        if not isinstance(shape, StructureShape):
            continue
        payload = shape.serialization.get("payload")
        body_shape = shape.members[payload] if payload else shape
        if body_shape.type_name != "structure" or "eventstream" in body_shape.serialization:
            continue
        value = fill(body_shape, ELSEWHERE)
        if name == "GetBucketNotification" or not value:  # two members share one element
            continue
        writer = serializers.xml_writer(body_shape)
        body = serializers.rest_document("Root", known.namespace, writer, ours(body_shape, value))
        response = {"status_code": 200, "headers": {}, "body": body}
        parsed = parser.parse(response, theirs.operation_model(name).output_shape)
        del parsed["ResponseMetadata"]
        assert parsed == ({payload: value} if payload else value), name
        count += 1
    assert count > 40


def test_an_empty_list_keeps_its_wrapper_and_an_absent_one_has_none() -> None:
    body = _document("ec2", "DescribeInstances", {"reservations": []})
    assert b"<reservationSet></reservationSet>" in body
    assert b"reservationSet" not in _document("ec2", "DescribeInstances", {})


def test_an_empty_structure_holds_no_white_space() -> None:
    value: Any = {"reservations": [{"instances": [{"monitoring": {}}]}]}
    body = _document("ec2", "DescribeInstances", value)
    assert b"<instancesSet><item><monitoring></monitoring></item></instancesSet>" in body


def test_a_verb_without_an_answer_says_true() -> None:
    body = _document("ec2", "RebootInstances", {})
    assert body.endswith(b"<return>true</return></RebootInstancesResponse>")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("a<b>&\"'", "a&lt;b&gt;&amp;&quot;'"),
        ("\u00e9\U0001f600", "\u00e9\U0001f600"),
        ("a\x00b\x1bc\x7f", "a\ufffdb\ufffdc&#127;"),
        ("\ud800\ufffe", "\ufffd\ufffd"),
        ("a\nb\tc\rd", "a\nb\tc&#13;d"),
        ("]]>", "]]&gt;"),
        ("", ""),
    ],
)
def test_text_is_such_that_any_parser_takes_it(value: str, written: str) -> None:
    assert serializers.text(value) == written
    ElementTree.fromstring(f"<a>{written}</a>")


def test_times_are_utc_with_milliseconds() -> None:
    moment = datetime(2026, 1, 31, 13, 0, 0, 1999, timezone(timedelta(hours=1)))
    assert serializers.iso8601(moment) == "2026-01-31T12:00:00.001Z"
    assert serializers.iso8601(datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31T00:00:00.000Z"


def test_booleans_and_console_output_are_written_as_clients_expect() -> None:
    body = _document("ec2", "GetConsoleOutput", {"output": "login: \u00e9"})
    assert b"<output>login: &#233;</output>" in body
    body = _document("ec2", "DescribeImages", {"images": [{"public": False}]})
    assert b"<isPublic>false</isPublic>" in body


def test_a_grantee_carries_its_type() -> None:
    operation = model.service("s3").operation("GetBucketAcl")
    assert operation is not None
    assert operation.output is not None
    writer = serializers.xml_writer(operation.output)
    value = {"grants": [{"grantee": {"type": "Group", "uri": "u"}, "permission": "READ"}]}
    body = serializers.rest_document("AccessControlPolicy", "urn:s3", writer, value)
    assert (
        b'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">'
        b"<URI>u</URI></Grantee>"
    ) in body


def test_eucalyptus_types_carry_their_own_namespace() -> None:
    details = [{"name": "m1.small", "cpu": 1, "availability": [{"available": 3}]}]
    body = _document("ec2", "DescribeInstanceTypes", {"instance_type_details": details})
    root = ElementTree.fromstring(body)
    space = "{http://msgs.eucalyptus.com/3.3.0}"
    found = root.findall(f"{space}instanceTypeDetails/{space}item/{space}name")
    assert [each.text for each in found] == ["m1.small"]


def test_a_key_without_a_member_is_left_out_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serializers, "_warned", set())
    with caplog.at_level(logging.WARNING, "eucabox.wire"):
        for _ in range(2):
            body = _document("ec2", "DescribeImages", {"images": [], "colour": "red", "next": None})
    assert b"red" not in body
    assert [each.args for each in caplog.records] == [
        ("DescribeImagesResult", "colour"),
    ]


def test_a_policy_travels_encoded_and_clients_decode_it() -> None:
    document = '{"Resource": "arn:aws:s3:::a+b/*~", "Sid": "\u00e9"}'
    body = _document("iam", "GetRolePolicy", {"policy_document": document})
    assert b"<PolicyDocument>%7B%22Resource%22%3A%20%22arn%3Aaws%3As3%3A%3A%3Aa%2Bb%2F%2A~" in body
    shape = to_botocore(model.service("iam")).operation_model("GetRolePolicy").output_shape
    response = {"status_code": 200, "headers": {}, "body": body}
    parsed = create_parser("query").parse(response, shape)
    handlers.json_decode_policies(parsed, SimpleNamespace(output_shape=shape))
    assert parsed["PolicyDocument"] == json.loads(document)


def test_structures_that_are_remembered_are_written_each_as_it_is() -> None:
    states = [{"code": 16, "name": "running"}, {"name": "running"}, {"name": "<", "code": 0}]
    instances = [{"state": each} for each in [*states, *states, {"code": None, "name": "running"}]]
    body = _document("ec2", "DescribeInstances", {"reservations": [{"instances": instances}]})
    written = re.findall(r"<instanceState>(.*?)</instanceState>", body.decode())
    first = ["<code>16</code><name>running</name>", "<name>running</name>"]
    assert written == [*(first := [*first, "<code>0</code><name>&lt;</name>"]), *first, first[1]]


def test_no_secret_is_remembered() -> None:
    secrets = {
        "iam": ["CreateAccessKey", "CreateLoginProfile", "CreateVirtualMFADevice"],
        "sts": ["AssumeRole", "GetSessionToken"],
        "ec2": ["CreateKeyPair", "GetPasswordData"],
    }
    for service, names in secrets.items():
        for name in names:
            output = model.service(service).get_known(name).output
            assert isinstance(output, StructureShape)
            remembered = [each for each in _list_structures(output) if serializers._is_plain(each)]
            members = {member for each in remembered for member in each.members}
            secret = {"SecretAccessKey", "SessionToken", "KeyMaterial", "PasswordData", "Seed"}
            assert not members & {*secret, "Base32StringSeed", "QRCodePNG"}, name


def _list_structures(shape: StructureShape) -> list[StructureShape]:
    inner = [each for each in shape.members.values() if isinstance(each, StructureShape)]
    return [shape, *(found for each in inner for found in _list_structures(each))]


def test_a_thousand_instances_are_written_quickly() -> None:
    tags = [{"key": f"k{number}", "value": "v"} for number in range(4)]
    instance = {
        "instance_id": "i-0123456789abcdef0",
        "image_id": "emi-12345678",
        "state": {"code": 16, "name": "running"},
        "launch_time": datetime(2026, 1, 31, tzinfo=UTC),
        "monitoring": {"state": "disabled"},
        "placement": {"availability_zone": "z"},
        "tags": tags,
        **{f"{name}_id": "x" for name in ("kernel", "ramdisk", "vpc", "subnet")},
        "private_ip_address": "172.30.0.2",
        "architecture": "x86_64",
    }
    value = {"reservations": [{"reservation_id": "r-1", "instances": [instance] * 1000}]}
    _document("ec2", "DescribeInstances", value)  # compiled
    started = time.perf_counter()
    body = _document("ec2", "DescribeInstances", value)
    assert time.perf_counter() - started < 1
    assert body.count(b"<instanceId>") == 1000


class KeepingStructure(dict[str, object]):
    written: tuple[object, str] | None = None


def test_a_structure_that_keeps_its_text_is_written_once_by_each_writer() -> None:
    tag = model.service("ec2", "").operation("DescribeTags")
    assert tag is not None
    assert tag.output is not None
    first, second = (serializers.xml_writer(tag.output, "item") for _ in range(2))
    value = KeepingStructure(next_token="a")
    assert first(value) == "<nextToken>a</nextToken>"
    value["next_token"] = "b"
    assert first(value) == "<nextToken>a</nextToken>"
    assert second(value) == "<nextToken>b</nextToken>"
