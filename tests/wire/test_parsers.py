import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.serialize import create_serializer

from eucabox.errors import Fault, MalformedXML
from eucabox.wire import model, parsers
from eucabox.wire.s3.parameters import reader
from eucabox.wire.shapes import StructureShape
from tests.wire.botocore_models import to_botocore
from tests.wire.samples import fill, ours

SERVICES = [("ec2", ""), ("ec2", "2015-10-01"), ("iam", ""), ("sts", "")]


def _read(service: str, action: str, *sources: str) -> Any:
    operation = model.service(service).operation(action)
    assert operation is not None
    assert operation.input is not None
    reader = parsers.form_reader(operation.input, model.service(service).protocol)
    return reader(parsers.build_tree(parsers.parse_form(*sources)))


def _refused(service: str, action: str, source: str) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        _read(service, action, source)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(("service", "version"), SERVICES)
def test_every_request_that_botocore_writes_is_read(service: str, version: str) -> None:
    known = model.service(service, version)
    theirs = to_botocore(known)
    serializer = create_serializer(known.protocol, include_validation=False)
    for name in sorted(known.names):
        operation = known.operation(name)
        assert operation is not None
        if operation.input is None:
            continue
        value = fill(operation.input)
        body = serializer.serialize_to_request(value, theirs.operation_model(name))["body"]
        fields = parsers.parse_form(urlencode(body))
        assert (fields.pop("Action"), fields.pop("Version")) == (name, known.version)
        reader = parsers.form_reader(operation.input, known.protocol)
        assert reader(parsers.build_tree(fields)) == ours(operation.input, value), name


def test_every_body_that_botocore_writes_for_s3_is_read() -> None:
    known = model.service("s3")
    theirs = to_botocore(known)
    serializer = create_serializer("rest-xml", include_validation=False)
    count = 0
    for name in sorted(known.names):
        operation = known.operation(name)
        assert operation is not None
        payload = operation.input and operation.input.serialization.get("payload")
        if not payload or name == "PutBucketNotification":  # two members share one element
            continue
        shape = operation.input.members[payload]  # type: ignore[union-attr]
        if shape.type_name != "structure":
            continue
        value = fill(shape)
        members = operation.input.members  # type: ignore[union-attr]
        given = {"Bucket": "b", "Key": "k"} if "Key" in members else {"Bucket": "b"}
        given[payload] = value
        body = serializer.serialize_to_request(given, theirs.operation_model(name))["body"]
        found = parsers.xml_reader(shape)(parsers.parse_xml(body))
        assert found == ours(shape, value), name
        count += 1
    assert count > 25


def test_lists_are_read_in_the_order_of_their_numbers_whatever_the_gaps() -> None:
    found = _read(
        "ec2", "DescribeInstances", "InstanceId.10=c&InstanceId.2=b&InstanceId.1=a&InstanceId.7="
    )
    assert found == {"instance_ids": ["a", "b", "", "c"]}


def test_a_huge_index_costs_nothing() -> None:
    started = time.perf_counter()
    found = _read("ec2", "DescribeInstances", "InstanceId.999999999=a")
    assert time.perf_counter() - started < 1
    assert found == {"instance_ids": ["a"]}


def test_old_clients_spellings_are_read() -> None:
    assert _read(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        "GroupName=g&SourceSecurityGroupName=s&SourceSecurityGroupOwnerId=1"
        "&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22"
        "&IpPermissions.1.Groups.1.GroupName=h&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0",
    ) == {
        "group_name": "g",
        "source_security_group_name": "s",
        "source_security_group_owner_id": "1",
        "ip_permissions": [
            {
                "ip_protocol": "tcp",
                "from_port": 22,
                "to_port": 22,
                "user_id_group_pairs": [{"group_name": "h"}],
                "ip_ranges": [{"cidr_ip": "0.0.0.0/0"}],
            }
        ],
    }
    assert _read("ec2", "DescribeImages", "Owner.1=self&ExecutableBy.1=all&ImageId.1=emi-1") == {
        "owners": ["self"],
        "executable_users": ["all"],
        "image_ids": ["emi-1"],
    }
    assert _read("ec2", "DescribeKeyPairs", "Filter.1.Name=key-name&Filter.1.Value.1=a") == {
        "filters": [{"name": "key-name", "values": ["a"]}]
    }


def test_the_members_of_a_query_list_are_read_with_and_without_their_step() -> None:
    for source in ("TagKeys.member.1=a&TagKeys.member.2=b", "TagKeys.1=a&TagKeys.2=b"):
        assert _read("iam", "UntagUser", source) == {"tag_keys": ["a", "b"]}
    assert _read("iam", "UntagUser", "TagKeys=") == {"tag_keys": []}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.250Z", datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-31T13:00:00%2B01:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("1769860800", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_times_are_aware(text: str, value: datetime) -> None:
    found = _read("ec2", "DescribeSpotPriceHistory", f"StartTime={text}")
    assert found == {"start_time": value}


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "1"])
def test_booleans_come_in_several_spellings(text: str) -> None:
    assert _read("ec2", "DescribeInstances", f"DryRun={text}") == {"dry_run": True}


@pytest.mark.parametrize(
    ("action", "source", "code", "named"),
    [
        ("RunInstances", "MinCount=two", "InvalidParameterValue", "MinCount"),
        ("RunInstances", "MinCount=2147483648", "InvalidParameterValue", "MinCount"),
        ("RunInstances", "MinCount=%D9%A3", "InvalidParameterValue", "MinCount"),
        ("RunInstances", "MinCount=1_0", "InvalidParameterValue", "MinCount"),
        ("RunInstances", "MinCount=", "InvalidParameterValue", "MinCount"),
        ("RunInstances", "Monitoring.Enabled=yes", "InvalidParameterValue", "Monitoring.Enabled"),
        ("ImportKeyPair", "PublicKeyMaterial=%25%25", "InvalidParameterValue", "PublicKeyMaterial"),
        ("ImportKeyPair", "PublicKeyMaterial=abc", "InvalidParameterValue", "PublicKeyMaterial"),
        ("DescribeSpotPriceHistory", "StartTime=noon", "InvalidParameterValue", "StartTime"),
        (
            "DescribeSpotPriceHistory",
            "StartTime=99999999999999999",
            "InvalidParameterValue",
            "StartTime",
        ),
        ("DescribeInstances", "Colour=red", "UnknownParameter", "Colour"),
        ("DescribeInstances", "instanceid.1=i", "UnknownParameter", "instanceid.1"),
        ("DescribeInstances", "InstanceId.x=i", "UnknownParameter", "InstanceId.x"),
        ("DescribeInstances", "InstanceId.-1=i", "UnknownParameter", "InstanceId.-1"),
        ("DescribeInstances", "InstanceId.1.2=i", "UnknownParameter", "InstanceId.1.2"),
        ("DescribeInstances", f"InstanceId.{'9' * 40}=i", "UnknownParameter", "InstanceId.999"),
        ("DescribeInstances", "Filter.1.Colour=i", "UnknownParameter", "Filter.1.Colour"),
        ("DescribeInstances", "Filter.1=i", "MalformedQueryString", "Filter.1"),
        (
            "DescribeInstances",
            "InstanceId.1=a&InstanceId.1=a",
            "MalformedQueryString",
            "InstanceId.1",
        ),
        ("DescribeInstances", "DryRun=1&DryRun.1=1", "MalformedQueryString", "DryRun"),
        ("DescribeInstances", "DryRun.1=1&DryRun=1", "MalformedQueryString", "DryRun"),
        ("DescribeInstances", "InstanceId.1=%FF", "MalformedQueryString", "UTF-8"),
        ("DescribeInstances", "%FF=1", "MalformedQueryString", "UTF-8"),
        ("DescribeInstances", "InstanceId.1=\xff", "MalformedQueryString", "UTF-8"),
        ("DescribeInstances", "..=1", "UnknownParameter", ".."),
        ("DescribeInstances", "=1", "UnknownParameter", ""),
        ("DescribeInstances", "." * 100_000 + "=1", "UnknownParameter", "..."),
    ],
)
def test_bad_input_is_refused_by_its_name(action: str, source: str, code: str, named: str) -> None:
    got, message = _refused("ec2", action, source)
    assert got == code
    assert named in message
    assert message.isascii()
    assert len(message) < 400


def test_a_form_of_too_many_parameters_is_refused() -> None:
    source = "&".join(f"a{number}=1" for number in range(parsers.MOST_FIELDS + 1))
    assert _refused("ec2", "DescribeInstances", source)[0] == "RequestEntityTooLarge"


def _xml(action: str, body: bytes) -> Any:
    operation = model.service("s3").operation(action)
    assert operation is not None
    shape = operation.input
    assert isinstance(shape, StructureShape)
    payload = shape.members[shape.serialization["payload"]]
    return parsers.xml_reader(payload)(parsers.parse_xml(body, payload.name))


def test_namespaces_and_prefixes_do_not_matter() -> None:
    for body in (
        b"<Delete><Object><Key>k</Key></Object><Quiet>true</Quiet></Delete>",
        b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Object><Key>k</Key></Object><Quiet> true\n</Quiet></Delete>",
        b'<?xml version="1.0"?><x:Delete xmlns:x="urn:x"><x:Object><x:Key>k</x:Key></x:Object>'
        b"<x:Quiet>1</x:Quiet></x:Delete>",
    ):
        assert _xml("DeleteObjects", body) == {"objects": [{"key": "k"}], "quiet": True}


def test_a_key_keeps_its_white_space() -> None:
    found = _xml("DeleteObjects", "<Delete><Object><Key> \u00e9 </Key></Object></Delete>".encode())
    assert found == {"objects": [{"key": " \u00e9 "}]}


def test_a_grantee_has_its_type_from_an_attribute() -> None:
    grantee = (
        b'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">'
        b"<URI>u</URI></Grantee>"
    )
    body = b"<A><AccessControlList><Grant>" + grantee + b"</Grant></AccessControlList></A>"
    assert _xml("PutBucketAcl", body) == {"grants": [{"grantee": {"type": "Group", "uri": "u"}}]}


BOMB = (
    b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Delete><Quiet>&b;</Quiet></Delete>'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<Delete>",
        b"<Delete></Other>",
        b"<Delete>\xff</Delete>",
        b'<?xml version="1.0" encoding="no-such"?><Delete/>',
        BOMB,
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>',
        b"<Delete><Quiet>perhaps</Quiet></Delete>",
        b"<Delete><Quiet>true</Quiet><Quiet>true</Quiet></Delete>",
        b"<Delete><Object><Key>k<b/></Key></Object></Delete>",
        b"<Delete><Colour>red</Colour></Delete>",
        b"<Delete><Quiet>&b;</Quiet></Delete>",
        b"<a>" * 100_000 + b"</a>" * 100_000,
    ],
)
def test_bad_xml_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedXML) as caught:
        _xml("DeleteObjects", body)
    assert caught.value.message.isascii()


def test_old_clients_send_the_only_element_without_a_number() -> None:
    assert _read("ec2", "DescribeKeyPairs", "KeyName=a") == {"key_names": ["a"]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<Delete>" + b"<Object/>" * 900_000 + b"</Delete>", "more than 6020 elements"),
        (b"<Delete>" + b"<O" * 20 + b"<a/>" * 2_000_000, ""),
        (b"<Delete " + b"a='' " * 1_600_000 + b"/>", ""),
        (
            b"<Delete " + b" ".join(b"a%d=''" % n for n in range(800_000)) + b"/>",
            "longer than 65536",
        ),
        (b"<Delete>" + b"<!--" + b"x" * (8 << 20) + b"--></Delete>", "longer than 65536"),
        (b"<Delete>" + b"<a>" * 100_000, "more than 64 levels"),
    ],
)
def test_a_parser_stops_at_the_first_thing_that_no_document_has(body: bytes, reason: str) -> None:
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(MalformedXML) as refused:
        parsers.parse_xml(body, "Delete", 6020)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason in refused.value.message
    assert time.process_time() - started < 2
    assert used < 16 << 20


@pytest.mark.not_fast
def test_documents_as_long_as_they_may_be_are_read() -> None:
    key = "&#228;" * 512
    entry = f"<Object><Key>{key}</Key><VersionId>{'v' * 64}</VersionId></Object>"
    found = _document("DeleteObjects", f"<Delete>{entry * 1000}</Delete>".encode())
    assert found["objects"][999] == {"key": "\u00e4" * 512, "version_id": "v" * 64}
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumSHA256>c</ChecksumSHA256></Part>"
    whole = f"<CompleteMultipartUpload>{part * 10_000}</CompleteMultipartUpload>".encode()
    assert len(_document("CompleteMultipartUpload", whole)["parts"]) == 10_000


def _document(action: str, body: bytes) -> Any:
    operation = model.service("s3").operation(action)
    assert operation is not None
    found = reader(operation).body
    assert found is not None
    return found(body)
