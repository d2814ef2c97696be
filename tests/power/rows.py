"""What a cloud keeps beside objects, each kind with one client that writes it, and how it reads.

A kind has a few names. `write` makes what a name stands for, or changes it, and puts the label
there where it can be read; `remove` takes it away. `read` returns a label for every name there is.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.live.euare import ask_as_euca2ools
from tests.live.kills.history import NOTHING
from tests.live.kills.world import BUCKETS
from tests.live.process import Running

THERE = "there"  # the label of what has no place for one
Request = Callable[[], Any]
KEEPER = "keeper"  # a user of whom only what belongs to him changes
PUBLIC_KEY = (
    b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl power"
)


class Kind(ABC):
    """One kind of rows of a cloud. Of those that are made `once` a name is never used again."""

    names: tuple[str, ...] = ("one", "two", "three")
    most = 0  # that there are at a time, of what is made once
    labelled = True  # whether what is there tells who wrote it
    removed = NOTHING  # what shows of a name that was taken away

    def __init__(self, cloud: Running) -> None:
        self.cloud = cloud

    @property
    def title(self) -> str:
        return type(self).__name__

    @abstractmethod
    def write(self, name: str, label: str, there: bool) -> Request | None:
        """What makes or changes a name; None where one has to remove it first."""

    @abstractmethod
    def remove(self, name: str) -> Request:
        """What takes a name away."""

    @abstractmethod
    def read(self) -> dict[str, str]:
        """Every name there is, with its label."""


class S3Kind(Kind):
    def __init__(self, cloud: Running) -> None:
        super().__init__(cloud)
        self.s3 = cloud.client("s3")


class Tagging(S3Kind):
    """The tags of buckets."""

    names = BUCKETS

    def write(self, name: str, label: str, there: bool) -> Request:
        tags = {"TagSet": [{"Key": "own", "Value": label}, {"Key": "long", "Value": label * 20}]}
        return partial(self.s3.put_bucket_tagging, Bucket=name, Tagging=tags)

    def remove(self, name: str) -> Request:
        return partial(self.s3.delete_bucket_tagging, Bucket=name)

    def read(self) -> dict[str, str]:
        return _settings(lambda bucket: _tags(self.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]))


class Policy(S3Kind):
    """The policies of buckets."""

    names = BUCKETS

    def write(self, name: str, label: str, there: bool) -> Request:
        resource = f"arn:aws:s3:::{name}/nothing"
        return partial(self.s3.put_bucket_policy, Bucket=name, Policy=_policy(label, resource, "*"))

    def remove(self, name: str) -> Request:
        return partial(self.s3.delete_bucket_policy, Bucket=name)

    def read(self) -> dict[str, str]:
        return _settings(lambda bucket: _sid(self.s3.get_bucket_policy(Bucket=bucket)["Policy"]))


class Bucket(S3Kind):
    """Buckets that come and go."""

    names = ("made-one", "made-two", "made-three")
    labelled = False

    def write(self, name: str, label: str, there: bool) -> Request | None:
        return None if there else partial(self.s3.create_bucket, Bucket=name)

    def remove(self, name: str) -> Request:
        return partial(self.s3.delete_bucket, Bucket=name)

    def read(self) -> dict[str, str]:
        listed = [each["Name"] for each in self.s3.list_buckets()["Buckets"]]
        return {name: THERE for name in listed if name.startswith("made-")}


class IamKind(Kind):
    def __init__(self, cloud: Running) -> None:
        super().__init__(cloud)
        self.iam = cloud.client("iam")


class User(IamKind):
    """Users; the label is their path."""

    def write(self, name: str, label: str, there: bool) -> Request:
        if there:
            return partial(self.iam.update_user, UserName=name, NewPath=f"/{label}/")
        return partial(self.iam.create_user, UserName=name, Path=f"/{label}/")

    def remove(self, name: str) -> Request:
        return partial(self.iam.delete_user, UserName=name)

    def read(self) -> dict[str, str]:
        users = self.iam.list_users()["Users"]
        return {
            each["UserName"]: each["Path"].strip("/")
            for each in users
            if each["UserName"] not in (KEEPER, "admin")
        }


class UserPolicy(IamKind):
    """The policies of one user."""

    def write(self, name: str, label: str, there: bool) -> Request:
        policy = _policy(label, "*")
        put = self.iam.put_user_policy
        return partial(put, UserName=KEEPER, PolicyName=name, PolicyDocument=policy)

    def remove(self, name: str) -> Request:
        return partial(self.iam.delete_user_policy, UserName=KEEPER, PolicyName=name)

    def read(self) -> dict[str, str]:
        get = partial(self.iam.get_user_policy, UserName=KEEPER)
        listed = self.iam.list_user_policies(UserName=KEEPER)["PolicyNames"]
        return {name: _sid(get(PolicyName=name)["PolicyDocument"]) for name in listed}


class AccessKey(IamKind):
    """The access keys of one user, which sign as they did."""

    most = 2
    labelled = False

    def __init__(self, cloud: Running) -> None:
        super().__init__(cloud)
        self.made: dict[str, Any] = {}  # name -> the key

    def write(self, name: str, label: str, there: bool) -> Request:
        return partial(self._make, name)

    def _make(self, name: str) -> dict[str, str]:
        self.made[name] = self.iam.create_access_key(UserName=KEEPER)["AccessKey"]
        return {}

    def remove(self, name: str) -> Request:
        key = self.made[name]["AccessKeyId"]
        return partial(self.iam.delete_access_key, UserName=KEEPER, AccessKeyId=key)

    def read(self) -> dict[str, str]:
        listed = self.iam.list_access_keys(UserName=KEEPER)["AccessKeyMetadata"]
        names = {key["AccessKeyId"]: name for name, key in self.made.items()}
        return {names[each["AccessKeyId"]]: self._use(each["AccessKeyId"]) for each in listed}

    def _use(self, key_id: str) -> str:
        """THERE, if the key signs as its user."""
        secret = next(
            key["SecretAccessKey"] for key in self.made.values() if key["AccessKeyId"] == key_id
        )
        members = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
        sts = boto3.client(
            "sts", endpoint_url=self.cloud.endpoint, region_name="eucabox", **members
        )
        try:
            arn = str(sts.get_caller_identity()["Arn"])
        finally:
            sts.close()
        return THERE if arn.endswith(f"user/{KEEPER}") else arn


class Account(Kind):
    """Accounts, by Eucalyptus' own verbs."""

    names = ("acme", "brown", "clark")
    labelled = False

    def write(self, name: str, label: str, there: bool) -> Request | None:
        return None if there else partial(self._ask, "CreateAccount", name)

    def remove(self, name: str) -> Request:
        return partial(self._ask, "DeleteAccount", name)

    def _ask(self, action: str, name: str) -> dict[str, str]:
        answer = ask_as_euca2ools(self.cloud, action, AccountName=name, **RECURSIVE[action])
        assert f"<{action}Response" in answer, answer
        return {}

    def read(self) -> dict[str, str]:
        answer = ask_as_euca2ools(self.cloud, "ListAccounts")
        assert "<ListAccountsResponse" in answer, answer
        return {name: THERE for name in self.names if f">{name}<" in answer}


RECURSIVE: dict[str, dict[str, str]] = {"CreateAccount": {}, "DeleteAccount": {"Recursive": "true"}}


class Ec2Kind(Kind):
    def __init__(self, cloud: Running) -> None:
        super().__init__(cloud)
        self.ec2 = cloud.client("ec2")


class KeyPair(Ec2Kind):
    """Key pairs; the label is a tag."""

    def write(self, name: str, label: str, there: bool) -> Request | None:
        tags = [{"ResourceType": "key-pair", "Tags": [{"Key": "own", "Value": label}]}]
        members = {"PublicKeyMaterial": PUBLIC_KEY, "TagSpecifications": tags}
        return None if there else partial(self.ec2.import_key_pair, KeyName=name, **members)

    def remove(self, name: str) -> Request:
        return partial(self.ec2.delete_key_pair, KeyName=name)

    def read(self) -> dict[str, str]:
        pairs = self.ec2.describe_key_pairs()["KeyPairs"]
        return {each["KeyName"]: _tags(each.get("Tags", [])) for each in pairs}


class SecurityGroup(Ec2Kind):
    """Security groups; the label is their description."""

    def write(self, name: str, label: str, there: bool) -> Request | None:
        make = partial(self.ec2.create_security_group, GroupName=name, Description=label)
        return None if there else make

    def remove(self, name: str) -> Request:
        return partial(self.ec2.delete_security_group, GroupName=name)

    def read(self) -> dict[str, str]:
        groups = self.ec2.describe_security_groups()["SecurityGroups"]
        return {
            each["GroupName"]: each["Description"]
            for each in groups
            if each["GroupName"] != "default"
        }


class Instance(Ec2Kind):
    """Instances; what shows of one is whether its user ended it. The node may end it too."""

    most = 3
    labelled = False
    removed = "ending"

    def __init__(self, cloud: Running) -> None:
        super().__init__(cloud)
        self.image_id = ""
        self.ids: dict[str, str] = {}

    def write(self, name: str, label: str, there: bool) -> Request:
        return partial(self._run, name)

    def _run(self, name: str) -> dict[str, str]:
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "own", "Value": name}]}]
        made = self.ec2.run_instances(
            ImageId=self.image_id, InstanceType="m1.tiny", MinCount=1, MaxCount=1,
            ClientToken=name, TagSpecifications=tags,
        )  # fmt: skip
        self.ids[name] = made["Instances"][0]["InstanceId"]
        return {}

    def remove(self, name: str) -> Request:
        return partial(self.ec2.terminate_instances, InstanceIds=[self.ids[name]])

    def read(self) -> dict[str, str]:
        pages = self.ec2.get_paginator("describe_instances").paginate()
        rows = [row for page in pages for each in page["Reservations"] for row in each["Instances"]]
        return {each["ClientToken"]: self._state(each) for each in rows}

    def _state(self, row: Any) -> str:
        told = row["ImageId"], row["InstanceType"], _tags(row.get("Tags", []))
        if told != (self.image_id, "m1.tiny", row["ClientToken"]):
            return f"torn: {row}"
        ended = row.get("StateReason", {}).get("Code") == "Client.UserInitiatedShutdown"
        return self.removed if ended else THERE


def _policy(label: str, resource: str, principal: str = "") -> str:
    statement = {"Sid": label, "Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}
    named = {"Principal": principal} if principal else {}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **named}]})


def _sid(policy: Any) -> str:
    document = json.loads(policy) if isinstance(policy, str) else policy
    return str(document["Statement"][0]["Sid"])


def _tags(tags: Any) -> str:
    return next((str(each["Value"]) for each in tags if each["Key"] == "own"), "")


def _settings(get: Callable[[str], str]) -> dict[str, str]:
    labels = {}
    for bucket in BUCKETS:
        try:
            labels[bucket] = get(bucket)
        except ClientError as refused:
            if refused.response["Error"]["Code"] not in ("NoSuchTagSet", "NoSuchBucketPolicy"):
                raise
    return labels


KINDS: tuple[type[Kind], ...] = (
    Tagging, Policy, Bucket, User, UserPolicy, AccessKey, Account, KeyPair, SecurityGroup, Instance,
)  # fmt: skip
