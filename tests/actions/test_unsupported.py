"""What a single node has none of: empty lists, and refusals that say why."""

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from eucabox import actions, errors
from eucabox.actions import unsupported
from eucabox.actions.ec2.empty_describes import EMPTY, EmptyList
from tests.actions.stand_ins import World
from tests.actions.test_refusals import DOCS

MODEL = ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


def names(listed: EmptyList, member: str) -> object:
    shape = MODEL.operation_model(listed.operation).input_shape.members
    by_snake = {"".join(word.title() for word in member.split("_")): member}
    (kind,) = [shape[name].type_name for name in by_snake]
    return "thing-1" if kind == "string" else ["thing-1"]


@pytest.mark.not_fast
@pytest.mark.parametrize("listed", EMPTY, ids=lambda each: each.operation)
def test_a_list_of_what_is_not_there_is_empty(world: World, listed: EmptyList) -> None:
    assert world.do(listed.operation) == {member: [] for member in listed.members}
    output = MODEL.operation_model(listed.operation).output_shape.members
    assert {member.replace("_", "") for member in listed.members} <= {x.lower() for x in output}
    narrowed: dict[str, object] = {member: [] for member in listed.dropped}
    assert world.do(listed.operation, **narrowed) == {member: [] for member in listed.members}
    for member, code in listed.codes.items():
        with pytest.raises(errors.AbsentNotFound, match="'thing-1' does not exist") as caught:
            world.do(listed.operation, **{member: names(listed, member)})
        assert caught.value.code == code
    with pytest.raises(errors.Fault, match="NoSuchMember"):
        world.do(listed.operation, no_such_member=1)


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CreateVpc", "More VPCs and subnets are not available"),
        ("CreateSubnet", "More VPCs and subnets"),
        ("CreateRoute", "The main route table"),
        ("CreateNatGateway", "Instances already go out through this host"),
        ("AttachInternetGateway", "More internet gateways"),
        ("CreateNetworkAclEntry", "use security groups"),
        ("CreateVpcEndpoint", "VPC endpoints"),
        ("CreateVpcPeeringConnection", "VPC peering is"),
        ("CreateVpnGateway", "VPN gateways"),
        ("EnableVgwRoutePropagation", "VPN gateways"),
        ("CreateDhcpOptions", "DHCP options"),
        ("AttachNetworkInterface", "one interface with one address"),
        ("AssignPrivateIpAddresses", "one interface with one address"),
        ("RequestSpotInstances", "Spot instances"),
        ("PurchaseReservedInstancesOffering", "Reserved"),
        ("AllocateHosts", "Dedicated hosts"),
        ("CreateFleet", "Fleets"),
        ("CreateLaunchTemplate", "Launch templates"),
        ("CreatePlacementGroup", "Placement groups"),
        ("AssociateEnclaveCertificateIamRole", "Enclaves"),
        ("CreateCapacityReservation", "Capacity reservations"),
    ],
)
def test_a_refusal_says_what_is_not_there(world: World, name: str, words: str) -> None:
    with pytest.raises(errors.UnsupportedOperation, match=words):
        world.do(name, anything=1)


def test_every_operation_of_the_model_is_answered_considerately() -> None:
    """Served, refused with a reason, or about images and instances: then the refusal is general."""
    general = [
        name
        for name in MODEL.operation_names
        if ("ec2", name) not in actions.load() and not unsupported.ec2_reason(name)
    ]
    assert len(general) < 40, general
    assert not [name for name in general if name.startswith("Create") and "Vpc" in name]
    families = {
        unsupported.ec2_reason(name).partition(": ")[2] for name in MODEL.operation_names
    } - {""}
    assert len(families) == len(unsupported.UNSUPPORTED), "an absence that no operation is about"


def test_no_absence_speaks_for_what_is_served() -> None:
    """A verb that is served must be found first, whatever words its name holds."""
    for service, name in actions.load():
        if service == "ec2":
            assert actions._look_up(service, name).name == name


def test_the_docs_name_every_absence() -> None:
    text = DOCS.read_text()
    for each in (*unsupported.UNSUPPORTED, *unsupported.UNSUPPORTED_OF_IAM):
        assert each.why in text, each.what
        words = each.words.replace("(Dis|En)able", "Disable").replace("[A-Z]", "").replace("$", "")
        assert all(word in text for word in words.split("|")), each.words
