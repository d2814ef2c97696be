"""What actions act on, and the ARNs of it."""

import re

import pytest

from eucabox import actions
from eucabox.iam.policy.resource_types import (
    TEMPLATES,
    TYPES_OF,
    list_resource_types,
    resource_arn,
    resource_template,
)
from eucabox.iam.policy.s3_vocabulary import ACTIONS

# what changes something, but nothing that a policy can name
NAMELESS = re.compile(
    "Describe|BundleInstance|CancelBundleTask|MoveAddressToVpc|RestoreAddressToClassic"
    "|ConfirmProductInstance|ModifyInstanceTypeAttribute|RecycleBin|BlockPublicAccess"
    "|EbsEncryption|EbsDefaultKmsKey"
)


@pytest.mark.parametrize(
    "name", sorted(name for service, name in actions.load() if service == "ec2")
)
def test_every_ec2_action_acts_on_something_or_on_nothing_that_has_a_name(name: str) -> None:
    types = list_resource_types(f"ec2:{name}")
    assert types or NAMELESS.search(name), "add it to the table"


def test_every_s3_action_acts_on_a_bucket_or_an_object() -> None:
    nameless = {each for each in ACTIONS if not list_resource_types(f"s3:{each}")}
    assert nameless == {
        "ListAllMyBuckets", "GetAccountPublicAccessBlock", "PutAccountPublicAccessBlock",
    }  # fmt: skip


def test_every_type_has_an_arn() -> None:
    assert {each for types in TYPES_OF.values() for each in types} <= TEMPLATES.keys()


@pytest.mark.parametrize(
    ("resource_type", "name", "arn"),
    [
        ("ec2:instance", "i-1", "arn:aws:ec2:eu:111111111111:instance/i-1"),
        ("ec2:image", "ami-1", "arn:aws:ec2:eu::image/ami-1"),
        ("ec2:key-pair", "${Region}", "arn:aws:ec2:eu:111111111111:key-pair/${Region}"),
        ("s3:bucket", "photos", "arn:aws:s3:::photos"),
        ("s3:object", "photos/a/b", "arn:aws:s3:::photos/a/b"),
        ("iam:role", "service/reader", "arn:aws:iam::111111111111:role/service/reader"),
    ],
)
def test_the_arn_of_a_resource(resource_type: str, name: str, arn: str) -> None:
    assert resource_arn(resource_type, name, "111111111111", "eu") == arn


def test_an_action_is_found_by_any_spelling() -> None:
    assert list_resource_types("EC2:terminateinstances") == ("ec2:instance",)
    assert list_resource_types("sts:AssumeRole") == ("iam:role",)
    assert list_resource_types("ec2:DescribeInstances") == ()
    assert resource_template("s3:GetObject") == "arn:aws:s3:::${BucketName}/${ObjectName}"
    assert resource_template("ec2:RunInstances") == "*"
    assert resource_template("dynamodb:GetItem") == "*"
