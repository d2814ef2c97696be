"""What pages read of EC2 and of instance profiles, each by its verb and with a type; changes
nothing.

What a policy refuses raises the verb's Fault; `offer` makes that None, for the parts of a form that
a user may do without.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NotRequired, TypedDict, TypeVar, cast

from eucabox.console.visitor import perform
from eucabox.errors import Fault

NAME_TAG = "Name"
Listed = TypeVar("Listed")


class ShownTag(TypedDict):
    """A tag of a resource."""

    key: str
    value: str


class ShownState(TypedDict):
    """An instance's state."""

    code: int
    name: str


class ShownReason(TypedDict):
    """Why something is as it is; the message begins with the code."""

    code: str
    message: str


class ShownGroupName(TypedDict):
    """A security group as an instance has it."""

    group_id: str
    group_name: str


class ShownProfile(TypedDict):
    """An instance profile as an instance has it."""

    arn: str


class ShownPlacement(TypedDict):
    """Where an instance runs."""

    availability_zone: str


class ListedLine(TypedDict):
    """The members of an instance that a list shows; `owner_id` is the reservation's."""

    owner_id: str
    instance_id: str
    image_id: str
    instance_type: str
    key_name: str | None
    state: ShownState
    state_reason: ShownReason | None
    launch_time: datetime
    private_ip_address: str | None
    public_ip_address: str | None
    security_groups: list[ShownGroupName]
    tags: list[ShownTag]
    iam_instance_profile: ShownProfile | None


class ShownInstance(ListedLine):
    """The members of DescribeInstances that pages show."""

    kernel_id: str | None
    ramdisk_id: str | None
    state_transition_reason: str
    placement: ShownPlacement
    private_dns_name: str
    architecture: str
    virtualization_type: str
    hypervisor: str
    root_device_name: str


class ShownReservation(TypedDict):
    """Instances that were launched together."""

    owner_id: str
    instances: list[ShownInstance]


class ShownImage(TypedDict):
    """The members of DescribeImages that pages show."""

    image_id: str
    name: str | None
    description: str | None
    architecture: str
    image_type: str
    state: str
    owner_id: str
    public: bool


class ShownCount(TypedDict):
    """How many instances of a type fit now, and on an empty host."""

    available: int
    max: int


class ShownType(TypedDict):
    """An instance type in Eucalyptus' form: vCPUs, MiB, GiB."""

    name: str
    cpu: int
    memory: int
    disk: int
    availability: list[ShownCount]


class ShownKeyPair(TypedDict):
    """A key pair; never its private key."""

    key_name: str
    key_pair_id: str
    key_type: str
    key_fingerprint: str
    create_time: datetime
    tags: list[ShownTag]


class ShownSecurityGroup(TypedDict):
    """A security group; its rules are read one by one."""

    group_id: str
    group_name: str
    description: str
    owner_id: str
    tags: list[ShownTag]


class ShownReferredGroup(TypedDict):
    """The group that a rule is about; the id is missing where only its name was given."""

    group_id: str | None
    user_id: str


class ShownRule(TypedDict):
    """A rule of a security group; ports are -1 where it has none."""

    security_group_rule_id: str
    group_id: str
    is_egress: bool
    ip_protocol: str
    from_port: int
    to_port: int
    cidr_ipv4: NotRequired[str]
    cidr_ipv6: NotRequired[str]
    referenced_group_info: NotRequired[ShownReferredGroup]
    description: NotRequired[str]


class ShownInstanceProfile(TypedDict):
    """An instance profile as IAM lists it."""

    instance_profile_name: str
    arn: str
    roles: list[dict[str, object]]


class ShownHealthEvent(TypedDict):
    """What is wrong with an instance."""

    description: str
    not_before: datetime


class ShownHealth(TypedDict):
    """An instance's two checks, and what is wrong with it."""

    instance_status: dict[str, object]
    system_status: dict[str, object]
    events: list[ShownHealthEvent]


class ShownSample(TypedDict, total=False):
    """What an instance used between two looks at it, as far as it is known."""

    cpu_percent: float
    memory_bytes: int


class ShownUsage(TypedDict):
    """The newest samples of an instance, and the memory that it may use."""

    instance_id: str
    memory_bytes: int
    samples: list[ShownSample]


class ShownAssociation(TypedDict):
    """An association of an instance with its profile."""

    association_id: str
    iam_instance_profile: ShownProfile


def get_instance(instance_id: str) -> ShownInstance:
    """Return one instance."""
    result = perform("ec2", "DescribeInstances", instance_ids=[instance_id])
    reservation = cast(list[ShownReservation], result["reservations"])[0]
    return {**reservation["instances"][0], "owner_id": reservation["owner_id"]}


def find_name(tags: Sequence[ShownTag]) -> str:
    """Return the value of the tag Name, or an empty text."""
    return next((each["value"] for each in tags if each["key"] == NAME_TAG), "")


def get_health(instance_id: str) -> ShownHealth:
    """Return the checks of an instance."""
    members = {"instance_ids": [instance_id], "include_all_instances": True}
    result = perform("ec2", "DescribeInstanceStatus", **members)
    return cast(list[ShownHealth], result["instance_statuses"])[0]


def read_attribute(instance_id: str, attribute: str, member: str) -> object:
    """Return the value of an attribute, such as userData in the member user_data; None without."""
    members = {"instance_id": instance_id, "attribute": attribute}
    result = perform("ec2", "DescribeInstanceAttribute", **members).get(member)
    return cast(dict[str, object], result or {}).get("value")


def read_user_data(instance_id: str) -> bytes:
    """Return an instance's user data, b"" without any."""
    return _decode(read_attribute(instance_id, "userData", "user_data"))


def read_console(instance_id: str) -> tuple[bytes, datetime]:
    """Return the end of what a guest wrote to its console, and when it wrote last."""
    result = perform("ec2", "GetConsoleOutput", instance_id=instance_id)
    return _decode(result["output"]), cast(datetime, result["timestamp"])


def read_screen(instance_id: str) -> bytes:
    """Return a picture of the guest's screen as PNG."""
    result = perform("ec2", "GetConsoleScreenshot", instance_id=instance_id)
    return _decode(result["image_data"])


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""))
    except binascii.Error:
        return b""


def list_usage(instance_ids: Sequence[str]) -> dict[str, ShownUsage]:
    """Return what these instances use now, by their ids: those of which there is a sample."""
    result = perform("bootstrap", "DescribeUsage", instance_ids=instance_ids, max_samples=1)
    usage = cast(list[ShownUsage], result["usage"])
    return {each["instance_id"]: each for each in usage if each["samples"]}


def find_association(instance_id: str) -> ShownAssociation | None:
    """Return the association of an instance with its profile, None if it has none."""
    chosen = [{"name": "instance-id", "values": [instance_id]}]
    result = perform("ec2", "DescribeIamInstanceProfileAssociations", filters=chosen)
    found = cast(list[ShownAssociation], result["iam_instance_profile_associations"])
    return found[0] if found else None


def list_images() -> list[ShownImage]:
    """Return the machine images that the user may launch now, by name."""
    chosen = [
        {"name": "image-type", "values": ["machine"]},
        {"name": "state", "values": ["available"]},
    ]
    images = cast(list[ShownImage], perform("ec2", "DescribeImages", filters=chosen)["images"])
    return sorted(images, key=lambda each: ((each["name"] or "").casefold(), each["image_id"]))


def list_types() -> list[ShownType]:
    """Return the instance types, smallest first, and how many of each fit."""
    return cast(list[ShownType], perform("ec2", "DescribeInstanceTypes")["instance_type_details"])


def list_key_pairs() -> list[ShownKeyPair]:
    """Return the account's key pairs by name."""
    return cast(list[ShownKeyPair], perform("ec2", "DescribeKeyPairs")["key_pairs"])


def list_security_groups() -> list[ShownSecurityGroup]:
    """Return the account's security groups by name."""
    result = perform("ec2", "DescribeSecurityGroups")
    groups = cast(list[ShownSecurityGroup], result["security_groups"])
    return sorted(groups, key=lambda each: each["group_name"])


def get_security_group(group_id: str) -> ShownSecurityGroup:
    """Return one security group."""
    result = perform("ec2", "DescribeSecurityGroups", group_ids=[group_id])
    return cast(list[ShownSecurityGroup], result["security_groups"])[0]


def list_rules(group_id: str = "") -> list[ShownRule]:
    """Return the rules of a group, or of all of the account's groups."""
    chosen = [{"name": "group-id", "values": [group_id]}] if group_id else []
    result = perform("ec2", "DescribeSecurityGroupRules", filters=chosen)
    return cast(list[ShownRule], result["security_group_rules"])


def list_instance_profiles() -> list[ShownInstanceProfile]:
    """Return the account's instance profiles that have a role, by name."""
    result = perform("iam", "ListInstanceProfiles", max_items=1000)
    profiles = cast(list[ShownInstanceProfile], result["instance_profiles"])
    return [each for each in profiles if each["roles"]]


def offer(read: Callable[[], Listed]) -> Listed | None:
    """Return what a function reads, or None where the user may not read it."""
    try:
        return read()
    except Fault:
        return None
