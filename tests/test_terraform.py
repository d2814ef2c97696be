"""The calls that Terraform's AWS provider makes for a resource, in its order, over HTTP."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from eucabox import api
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.server.listener import Listener
from eucabox.state import State
from tests.actions.stand_ins import World

KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
EVERYWHERE = [{"CidrIp": "0.0.0.0/0"}]


@pytest.fixture
def world(config: Config, state: State, first_keys: Path) -> World:
    made = World(config, state)
    shutil.copytree(first_keys, config.cloud.data_dir, dirs_exist_ok=True)
    with state.transaction() as database:
        database.conn.execute("delete from accounts where account_name = 'eucalyptus'")
    made.cloud = SimpleNamespace(**{**vars(made.cloud), "accounts": Accounts(config, state)})
    return made


@pytest.fixture
def ec2(world: World) -> Iterator[Any]:
    accounts = world.cloud.accounts
    found = accounts.user_credentials(accounts.ensure_administrator())
    world.image(found.caller, image_id="emi-12345678")
    listener = Listener(("127.0.0.1", 0), api.create_app(world.cloud), 4, ("api", "port"))
    listener.open()
    client = boto3.client(
        "ec2",
        endpoint_url=f"http://127.0.0.1:{listener.bind_addr[1]}",
        region_name="eucabox",
        aws_access_key_id=found.caller.access_key_id,
        aws_secret_access_key=found.secret,
        config=ClientConfig(retries={"max_attempts": 0}),
    )
    yield client
    client.close()
    listener.shut()


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def tags(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def has(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


@pytest.mark.not_fast
def test_aws_key_pair(ec2: Any) -> None:
    made = ec2.import_key_pair(
        KeyName="tf", PublicKeyMaterial=KEY, TagSpecifications=tags("key-pair", "tf")
    )
    (row,) = ec2.describe_key_pairs(KeyNames=["tf"], IncludePublicKey=True)["KeyPairs"]
    assert row["KeyPairId"] == made["KeyPairId"]
    assert row["KeyType"] == "ed25519"
    assert row["PublicKey"].startswith(KEY.decode())
    assert row["Tags"] == [{"Key": "Name", "Value": "tf"}]
    ec2.delete_key_pair(KeyName="tf")
    assert refused(ec2.describe_key_pairs, KeyNames=["tf"]) == "InvalidKeyPair.NotFound"


@pytest.mark.not_fast
def test_aws_security_group(ec2: Any) -> None:
    (vpc,) = ec2.describe_vpcs(Filters=has("isDefault", "true"))["Vpcs"]
    group_id = ec2.create_security_group(
        GroupName="tf", Description="tf", VpcId=vpc["VpcId"],
        TagSpecifications=tags("security-group", "tf"),
    )["GroupId"]  # fmt: skip
    default = {"IpProtocol": "-1", "IpRanges": EVERYWHERE}
    ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=[default])
    six = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    code = refused(ec2.revoke_security_group_egress, GroupId=group_id, IpPermissions=[six])
    assert code == "InvalidPermission.NotFound"
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": EVERYWHERE}
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[ssh])
    ec2.authorize_security_group_egress(GroupId=group_id, IpPermissions=[default])
    rules = ec2.describe_security_group_rules(Filters=has("group-id", group_id))
    assert len(rules["SecurityGroupRules"]) == 2
    (row,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert (row["OwnerId"], row["VpcId"]) == (vpc["OwnerId"], vpc["VpcId"])
    held = ec2.describe_network_interfaces(Filters=has("group-id", group_id))
    assert held["NetworkInterfaces"] == []
    ec2.delete_security_group(GroupId=group_id)
    assert refused(ec2.describe_security_groups, GroupIds=[group_id]) == "InvalidGroup.NotFound"


@pytest.mark.not_fast
def test_aws_vpc_security_group_ingress_rule(ec2: Any) -> None:
    group_id = ec2.create_security_group(GroupName="tf", Description="tf")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": EVERYWHERE}
    made = ec2.authorize_security_group_ingress(
        GroupId=group_id,
        IpPermissions=[rule],
        TagSpecifications=tags("security-group-rule", "web"),
    )["SecurityGroupRules"]
    rule_id = made[0]["SecurityGroupRuleId"]
    (row,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert row["Tags"] == [{"Key": "Name", "Value": "web"}]
    ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=[rule_id])
    code = refused(ec2.describe_security_group_rules, SecurityGroupRuleIds=[rule_id])
    assert code == "InvalidSecurityGroupRuleId.NotFound"


@pytest.mark.not_fast
def test_aws_instance(world: World, ec2: Any) -> None:
    (subnet,) = ec2.describe_subnets(Filters=has("default-for-az", "true"))["Subnets"]
    params = {
        "ImageId": "emi-12345678",
        "InstanceType": "m1.tiny",
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": "terraform-20261123",
        "DisableApiTermination": False,
        "EbsOptimized": False,
        "Monitoring": {"Enabled": False},
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        "Placement": {"AvailabilityZone": "eucabox-1a"},
        "SubnetId": subnet["SubnetId"],
        "TagSpecifications": [*tags("instance", "tf"), *tags("volume", "tf")],
    }
    instance_id = ec2.run_instances(**params)["Instances"][0]["InstanceId"]
    assert ec2.run_instances(**params)["Instances"][0]["InstanceId"] == instance_id
    world.set_state(instance_id, "running")
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    (row,) = reservation["Instances"]
    assert row["State"]["Name"] == "running"
    assert row["NetworkInterfaces"][0]["Attachment"]["DeviceIndex"] == 0
    assert row["NetworkInterfaces"][0]["SubnetId"] == subnet["SubnetId"]
    (kind,) = ec2.describe_instance_types(InstanceTypes=["m1.tiny"])["InstanceTypes"]
    assert kind["BurstablePerformanceSupported"] is False
    for attribute, member in (
        ("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior"),
        ("disableApiStop", "DisableApiStop"),
        ("disableApiTermination", "DisableApiTermination"),
        ("userData", "UserData"),
    ):
        answer = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=attribute)
        assert member in answer, attribute
    assert ec2.describe_iam_instance_profile_associations(
        Filters=has("instance-id", instance_id)
    )["IamInstanceProfileAssociations"] == []  # fmt: skip
    credit = ec2.describe_instance_credit_specifications(InstanceIds=[instance_id])
    assert credit["InstanceCreditSpecifications"] == []
    name = [{"Key": "Name", "Value": "renamed"}]
    ec2.create_tags(Resources=[instance_id], Tags=name)
    of_instance = has("resource-id", instance_id)
    shown = ec2.describe_tags(Filters=of_instance)["Tags"]
    assert [(tag["Key"], tag["Value"]) for tag in shown] == [("Name", "renamed")]
    ec2.terminate_instances(InstanceIds=[instance_id])
    world.set_state(instance_id, "terminated")
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"


@pytest.mark.not_fast
def test_data_sources(ec2: Any) -> None:
    """aws_vpc, aws_subnets, aws_route_table, aws_availability_zones, aws_launch_template."""
    (vpc,) = ec2.describe_vpcs(Filters=has("state", "available"))["Vpcs"]
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
    main = [*has("vpc-id", vpc["VpcId"]), *has("association.main", "true")]
    assert len(ec2.describe_route_tables(Filters=main)["RouteTables"]) == 1
    default = [*has("default", "true"), *has("vpc-id", vpc["VpcId"])]
    assert len(ec2.describe_network_acls(Filters=default)["NetworkAcls"]) == 1
    ec2.describe_dhcp_options(DhcpOptionsIds=[vpc["DhcpOptionsId"]])
    attached = has("attachment.vpc-id", vpc["VpcId"])
    assert len(ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]) == 1
    assert ec2.describe_nat_gateways(Filters=has("vpc-id", vpc["VpcId"]))["NatGateways"] == []
    assert ec2.describe_availability_zones(Filters=has("state", "available"))
    code = refused(ec2.describe_launch_templates, LaunchTemplateNames=["web"])
    assert code == "InvalidLaunchTemplateName.NotFoundException"
    assert refused(ec2.create_vpc, CidrBlock="10.0.0.0/16") == "UnsupportedOperation"
