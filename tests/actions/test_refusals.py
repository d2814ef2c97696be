"""What a single node can't have is refused in full, and every action keeps its word."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import ServiceModel, Shape

from eucabox import actions, errors
from eucabox.actions import perform
from eucabox.actions.ec2 import elastic_addresses, volumes
from eucabox.wire import model
from tests.actions.stand_ins import ADMIN, World
from tests.wire.botocore_models import to_botocore

DOCS = Path(__file__).parents[2] / "docs" / "actions.md"
# Members of Eucalyptus, and those that the oldest botocore that we run with does not know yet.
EXTRAS = {
    "CopyImage": {"tag_specifications"},
    "DeregisterImage": {"delete_associated_snapshots"},
    "DescribeImages": {"include_disabled", "max_results", "next_token"},
    "DescribeInstanceStatus": {"include_managed_resources"},
    "DescribeInstanceTypes": {
        "instance_type_details",
        "nitro_enclaves_support",
        "nitro_tpm_support",
    },
    "DescribeNetworkInterfaces": {"availability_zone_id"},
    "ListServiceSpecificCredentials": {"all_users", "is_truncated", "marker", "max_items"},
    "ModifyInstanceAttribute": {"enclave_options"},
    "RegisterImage": {"platform", "tag_specifications"},
    "TerminateInstances": {"force", "skip_os_shutdown"},
}
# Operations whose names hold these words and that are about something else.
OTHERS = re.compile(
    "VpcEncryption|EncryptionEnforcement|MacVolumeOwnership|ImagesInRecycle|ImageFrom"
)
HOSTILE: list[Any] = [
    None,
    "",
    "x" * 70000,
    "\0",
    "\ud800",
    "'; drop table instances; --",
    "{id}%s%n",
    "../../etc/passwd",
    "*" * 300,
    -1,
    2**70,
    1.5,
    True,
    b"\xff\0",
    [],
    [None],
    [[]],
    {},
    {"name": None},
    [{}],
    [{"name": 5, "values": "x"}],
    [{"name": "no-such", "values": ["x"]}],
    [{"name": "tag:a", "values": ["*a" * 200]}],
    ["i-" + "0" * 17, "emi-00000000", "sg-" + "0" * 17],
    [{"key": "a" * 999, "no_such": 1}],
    [{"ip_protocol": "tcp", "from_port": 2**70, "to_port": "x", "ip_ranges": [{"cidr_ip": 7}]}],
    object(),
]


# With our extras, as Eucalyptus' own actions are only there.
MODELS: dict[str, ServiceModel] = {
    service: to_botocore(model.service(service)) for service in ("ec2", "sts", "iam", "bootstrap")
}
OURS = sorted(key for key in actions.load() if key[0] in MODELS)


@pytest.mark.not_fast
@pytest.mark.parametrize("name", volumes.REFUSED)
def test_there_is_no_ebs(world: World, name: str) -> None:
    for params in ({}, {"volume_id": "vol-12345678", "dry_run": True}, {"no_such": [1]}):
        with pytest.raises(errors.UnsupportedOperation, match="EBS volumes and snapshots"):
            world.do(name, **params)


def test_every_ebs_operation_of_the_model_is_refused() -> None:
    about_ebs = re.compile("Volume|Snapshot|Ebs")
    names = {
        name
        for name in MODELS["ec2"].operation_names
        if about_ebs.search(name) and not OTHERS.search(name)
    }
    assert names <= set(volumes.REFUSED)


@pytest.mark.parametrize("name", elastic_addresses.REFUSED)
def test_there_are_no_elastic_addresses(world: World, name: str) -> None:
    with pytest.raises(errors.UnsupportedOperation, match="network modes"):
        world.do(name, public_ip="10.0.0.1")


def test_the_list_of_addresses_is_empty(world: World) -> None:
    by_instance = [{"name": "instance-id", "values": ["i-1"]}]
    assert world.do("DescribeAddresses", filters=by_instance) == {"addresses": []}
    with pytest.raises(errors.UnsupportedOperation):
        world.do("DescribeAddresses", public_ips=["10.0.0.1"])


@pytest.mark.parametrize("key", OURS, ids=":".join)
def test_members_are_the_models(key: tuple[str, str]) -> None:
    service, name = key
    found = actions.ACTIONS[key]
    if name not in MODELS[service].operation_names:
        assert name in volumes.REFUSED, "only a refusal may be newer than the model"
        return
    shape = MODELS[service].operation_model(name).input_shape
    known = {xform_name(member) for member in shape.members} if shape else set()
    assert found.parameters | found.ignored <= known | EXTRAS.get(name, set())


@pytest.mark.not_fast
@pytest.mark.parametrize("key", OURS, ids=":".join)
def test_bad_values_are_faults_and_nothing_else(world: World, key: tuple[str, str]) -> None:
    world.run(image_id=world.image())
    found = actions.ACTIONS[key]
    members = sorted(found.parameters) or ["no_such_member"]
    for member, value in itertools.product(members, HOSTILE):
        params = {**sensible(world, found.required), member: value}
        try:
            perform(key[0], key[1], world.call(ADMIN), params)
        except errors.Fault as fault:
            assert fault.message.isascii(), fault.message
            assert len(fault.message) < 2000
    with pytest.raises(errors.Fault):
        perform(key[0], key[1], world.call(ADMIN), {"no_such_member": 1})


def sensible(world: World, required: tuple[str, ...]) -> dict[str, Any]:
    """Values that let a request come as far as the member under test."""
    values = {
        "min_count": 1,
        "max_count": 1,
        "instance_ids": ["i-" + "0" * 17],
        "public_key_material": b"ssh-rsa AAAA",
        "resources": ["emi-00000000"],
        "tags": [{"key": "a"}],
        "name": "m1.small",
    }
    return {name: values.get(name, "default") for name in required}


@pytest.mark.not_fast
@pytest.mark.parametrize("key", OURS, ids=":".join)
def test_answers_have_the_models_members_and_types(world: World, key: tuple[str, str]) -> None:
    service, name = key
    world.do("CreateKeyPair", ADMIN, key_name="default", key_type="ed25519")
    world.run(ADMIN, image_id=world.image(ADMIN, kernel_id=world.image(ADMIN, image_type="kernel")))
    if name in volumes.REFUSED or name in elastic_addresses.REFUSED:
        return
    try:
        answer = perform(
            service, name, world.call(ADMIN), sensible(world, actions.ACTIONS[key].required)
        )
    except errors.Fault:
        return
    shape = MODELS[service].operation_model(name).output_shape
    fits(answer or {}, shape, {*EXTRAS.get(name, set()), "return"})


def fits(value: Any, shape: Shape | None, extras: set[str]) -> None:
    """Compare an answer with the model's shape, at every depth."""
    if value is None:
        return
    if shape is None:
        assert set(value) <= extras
        return
    kinds = {"string": str, "integer": int, "long": int, "boolean": bool, "list": list}
    kind = kinds.get(shape.type_name)
    assert kind is None or isinstance(value, kind), f"{shape.name}: {value!r}"
    if shape.type_name == "list":
        for each in value:
            fits(each, shape.member, extras)
    elif shape.type_name == "structure":
        members = {xform_name(member): inner for member, inner in shape.members.items()}
        assert set(value) <= set(members) | extras, f"{shape.name}: {set(value) - set(members)}"
        for member, inner in members.items():
            fits(value.get(member), inner, extras)


def test_every_action_has_its_line_in_the_docs() -> None:
    lines = re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE)
    assert len(lines) == len(set(lines))
    assert set(lines) == {name for _, name in OURS}


@pytest.mark.not_fast
@pytest.mark.parametrize("key", OURS, ids=":".join)
def test_the_docs_name_every_member(key: tuple[str, str]) -> None:
    found = actions.ACTIONS[key]
    (line,) = re.findall(rf"^\| `{key[1]}` \|.*$", DOCS.read_text(), re.MULTILINE)
    words = {word.lower() for word in re.findall(r"\w+", line)}
    missing = [name for name in found.parameters if name.replace("_", "") not in words]
    assert not missing, f"docs/actions.md, {key[1]}: {missing}"
