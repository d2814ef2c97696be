"""RunInstances: checks a launch and writes its rows; the node's loop makes them run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypedDict

from eucabox import ids, instance_states, steady_clock
from eucabox.actions import Call, Result, action
from eucabox.config import LimitsSection
from eucabox.domains import capacity
from eucabox.ec2 import default_vpc, instance_metadata, instance_profiles, instances, tags
from eucabox.ec2 import security_groups as groups
from eucabox.ec2.image_access import check_fits, get_launchable
from eucabox.ec2.instance_profiles import InstanceProfileSpecification, ProfileOfInstance
from eucabox.ec2.tags import TagSpecification
from eucabox.errors import (
    ArchitectureMismatch,
    IdempotentInstanceTerminated,
    IdempotentParameterMismatch,
    ImageUnavailable,
    InsufficientFreeAddresses,
    InsufficientInstanceCapacity,
    InvalidParameterCombination,
    InvalidParameterValue,
    KeyPairNotFound,
    SettingUnavailable,
    SubnetNotFound,
    UnsupportedOperation,
)
from eucabox.hypervisor import architecture
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.image import devices, settings
from eucabox.instance_types import DEFAULT, InstanceType, get_type
from eucabox.schema import ImageRow, ReservationRow
from eucabox.validation import check_text, is_neutral

MOST_INSTANCES = 1000
TOKEN_LIFE = 24 * 3600  # seconds
EBS = "EBS volumes are not available on a single-node cloud; instances run from instance-store."


class Placement(TypedDict, total=False):
    """Where an instance runs: in the one zone, on shared hardware."""

    availability_zone: str
    availability_zone_id: str
    tenancy: str


class Monitoring(TypedDict, total=False):
    """Whether the instance is reported as monitored in detail."""

    enabled: bool


class MetadataOptions(TypedDict, total=False):
    """How the instance's metadata may be read."""

    http_tokens: str
    http_put_response_hop_limit: int
    http_endpoint: str
    http_protocol_ipv6: str
    instance_metadata_tags: str


class Interface(TypedDict, total=False):
    """The one network interface: its groups, in the one subnet."""

    device_index: int
    subnet_id: str
    groups: Sequence[str]
    description: str
    delete_on_termination: bool
    associate_public_ip_address: bool


class LaunchedDevice(TypedDict, total=False):
    """A device of the instance: only those that it has anyway."""

    device_name: str
    virtual_name: str
    no_device: str
    ebs: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """The members of RunInstances, with the API's defaults."""

    image_id: str
    min_count: int
    max_count: int
    instance_type: str = DEFAULT
    key_name: str = ""
    user_data: str = ""
    security_groups: Sequence[str] = ()
    security_group_ids: Sequence[str] = ()
    network_interfaces: Sequence[Interface] = ()
    subnet_id: str = ""
    kernel_id: str = ""
    ramdisk_id: str = ""
    placement: Placement | None = None
    monitoring: Monitoring | None = None
    metadata_options: MetadataOptions | None = None
    block_device_mappings: Sequence[LaunchedDevice] = ()
    tag_specifications: Sequence[TagSpecification] = ()
    client_token: str = ""
    instance_initiated_shutdown_behavior: str = "terminate"
    disable_api_termination: bool = False
    disable_api_stop: bool = False
    ebs_optimized: bool = False
    iam_instance_profile: InstanceProfileSpecification | None = None


class AssignedAddress(TypedDict):
    """A new instance's id and its address, None where the site gives one later."""

    instance_id: str
    mac_address: str
    private_ip_address: str | None
    private_dns_name: str | None


@dataclass(frozen=True)
class LaunchSpec:
    """A checked launch: what its rows are made of."""

    instance_type: InstanceType
    group_ids: list[str]
    columns: Mapping[str, object]
    tags: dict[str, str]
    interface_tags: dict[str, str]
    instance_profile: ProfileOfInstance | None


@action(ignored=["additional_info"])
def run_instances(call: Call, members: LaunchRequest) -> Result:
    """Start from MinCount to MaxCount instances of an image, as many as the host can hold.

    The answer comes when the rows are written. A client token makes a repetition within 24
    hours answer the same reservation.
    """
    request = replace(
        members,
        instance_type=members.instance_type or DEFAULT,
        instance_initiated_shutdown_behavior=(
            members.instance_initiated_shutdown_behavior or "terminate"
        ),
    )
    limits = call.limits
    with call.cloud.state.transaction():
        reservation_id = _existing_reservation(call, request)
        if reservation_id is None:
            reservation_id = _launch(call, request, _validate(call, request), limits)
    call.cloud.node.wake()
    return _answer(call, reservation_id)


def _launch(call: Call, request: LaunchRequest, spec: LaunchSpec, limits: LimitsSection) -> str:
    """Write the reservation and as many instances as the host can hold, up to MaxCount."""
    row: ReservationRow = {
        "reservation_id": ids.new("r"),
        "account_id": call.account_id,
        "client_token": request.client_token or None,
        "request_digest": _digest(request),
        "created": ids.time_text(call.now()),
        "created_clock": steady_clock.reading(),
    }
    least, most = request.min_count, request.max_count
    allowed = capacity.count_allowed(
        call.cloud.state,
        limits,
        call.account_id,
        vcpus=spec.instance_type.vcpus,
        least=least,
        most=most,
    )
    free = call.cloud.capacity.check(spec.instance_type, allowed)
    if free < least:
        raise InsufficientInstanceCapacity(free=free, type=spec.instance_type.name, asked=least)
    instance_ids: list[str] = []
    with call.cloud.state.transaction():
        call.cloud.state.insert("reservations", row)
        for index, address in enumerate(_assign_addresses(call, free, least)):
            instance_ids.append(_add_instance(call, row, spec, address, index))
    call.notes["instances"] = ",".join(instance_ids)
    return row["reservation_id"]


def _add_instance(
    call: Call, reservation: ReservationRow, spec: LaunchSpec, own: AssignedAddress, index: int
) -> str:
    row = {
        "reservation_id": reservation["reservation_id"],
        "account_id": call.account_id,
        **instance_states.first_columns(reservation["created"], reservation["created_clock"]),
        "launch_time": reservation["created"],
        "availability_zone": call.cloud.config.cloud.zone,
        "domain_uuid": ids.domain_uuid(),
        "request_id": call.request_id,
        **spec.columns,
        "ami_launch_index": index,
        **own,
    }
    state = call.cloud.state
    with state.transaction():
        state.insert("instances", row)
        for group_id in spec.group_ids:
            pair = {"instance_id": own["instance_id"], "group_id": group_id}
            state.insert("instance_groups", pair)
        tags.write(state, call.account_id, own["instance_id"], spec.tags)
        interface_id = default_vpc.network_interface_id(own["instance_id"])
        tags.write(state, call.account_id, interface_id, spec.interface_tags)
        if spec.instance_profile:
            instance_profiles.associate(state, own["instance_id"], spec.instance_profile)
    return own["instance_id"]


def _assign_addresses(call: Call, most: int, least: int) -> list[AssignedAddress]:
    """Return ids and addresses for up to `most` instances.

    Raises InsufficientFreeAddresses where there are fewer than `least`.
    """
    used = instances.addresses(call.cloud.state)
    assigned: list[AssignedAddress] = []
    while len(assigned) < most:
        instance_id = ids.new("i")
        try:
            address = call.cloud.network.assign(used, instance_id)
        except InsufficientFreeAddresses:
            if len(assigned) < least:
                raise
            break
        columns: AssignedAddress = {
            "instance_id": instance_id,
            "mac_address": address.mac_address,
            "private_ip_address": address.private_ip_address or None,
            "private_dns_name": address.private_dns_name or None,
        }
        used |= {address.mac_address, address.private_ip_address}
        assigned.append(columns)
    return assigned


def _answer(call: Call, reservation_id: str) -> Result:
    rows = instances.list_of_reservation(call.cloud.state, reservation_id)
    instances.attach_tags_and_groups(call.cloud.state, rows)
    instances.show(rows, call.cloud.node.hypervisor_name, call.cloud.config.cloud.region)
    return {**instances.reservations(rows)[0]}


# --- a request that was made before --------------------------------------------------------------


def _existing_reservation(call: Call, request: LaunchRequest) -> str | None:
    """Return the reservation that this client token made within 24 hours, or None."""
    token = request.client_token
    if not token:
        return None
    check_text("ClientToken", token, 64)
    state = call.cloud.state
    sql = "select * from reservations where account_id = ? and client_token = ?"
    row = state.select_one(ReservationRow, sql, (call.account_id, token))
    if row is None:
        return None
    if steady_clock.seconds_since(row["created_clock"], row["created"]) >= TOKEN_LIFE:
        where = {"reservation_id": row["reservation_id"]}
        state.update("reservations", where, client_token=None)
        return None
    if row["request_digest"] != _digest(request):
        raise IdempotentParameterMismatch(token=token)
    if not instances.list_of_reservation(state, row["reservation_id"]):
        raise IdempotentInstanceTerminated(token=token)
    return row["reservation_id"]


def _digest(request: LaunchRequest) -> str:
    members = dict(vars(request))
    if not members["iam_instance_profile"]:  # or digests of earlier versions would be others
        del members["iam_instance_profile"]
    text = json.dumps(members, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


# --- checks --------------------------------------------------------------------------------------


def _check_architecture(image: ImageRow) -> None:
    """Refuse an image for another processor; an architecture that we do not know is let in."""
    host, of_image = architecture.HOST, image["architecture"]
    others = (each for each in architecture.ARCHITECTURES.values() if each is not host)
    if any(of_image in each.ec2 for each in others):
        raise ArchitectureMismatch(of_type=host.ec2[-1], of_image=of_image)


def _validate(call: Call, request: LaunchRequest) -> LaunchSpec:
    _check_counts(request.min_count, request.max_count)
    _check_place(call, request)
    if request.ebs_optimized:
        raise UnsupportedOperation(what=f"EbsOptimized: {EBS}")
    behavior = instances.check_behavior(
        request.instance_initiated_shutdown_behavior, call.cloud.config.node
    )
    instance_type = get_type(call.cloud.state, request.instance_type)
    image = get_launchable(call.cloud.state, call.user, request.image_id, "machine")
    _check_architecture(image)
    check_fits(image, instance_type, call.cloud.config.images.swap_mb)
    _check_hypervisor(call, image)
    _check_devices(request.block_device_mappings, image)
    kernel_id, ramdisk_id = _choose_boot_images(call, image, request)
    options = _read_metadata_options(request.metadata_options, image)
    instance_tags = tags.from_specifications(
        request.tag_specifications, "instance", {"network-interface"}
    )
    if instance_tags:
        instance_metadata.check_tag_keys(options, instance_tags)
    interfaces, user_data = request.network_interfaces, request.user_data
    columns = {
        "image_id": image["image_id"],
        "kernel_id": kernel_id,
        "ramdisk_id": ramdisk_id,
        "instance_type": instance_type.name,
        "architecture": image["architecture"],
        "virtualization_type": image["virtualization_type"],
        "root_device_name": image["root_device_name"] or "/dev/sda1",
        "vcpus": instance_type.vcpus,
        "memory_mb": instance_type.memory_mb,
        "disk_gb": instance_type.disk_gb,
        "user_data": instance_metadata.decode_user_data(user_data) if user_data else None,
        "metadata_options": json.dumps(options),
        "monitoring": int((request.monitoring or {}).get("enabled", False)),
        "shutdown_behavior": behavior,
        "disable_api_termination": int(request.disable_api_termination),
        "disable_api_stop": int(request.disable_api_stop),
        # The subnet's default: an instance shows its address as its public one too.
        "public_address": int(
            all(each.get("associate_public_ip_address", True) for each in interfaces)
        ),
        **_find_key(call, request.key_name),
    }
    return LaunchSpec(
        instance_type=instance_type,
        group_ids=_find_group_ids(call, request),
        columns=columns,
        tags=instance_tags,
        interface_tags=tags.from_specifications(
            request.tag_specifications, "network-interface", {"instance"}
        ),
        instance_profile=_find_profile(call, request.iam_instance_profile),
    )


def _check_counts(least: int, most: int) -> None:
    if not 1 <= least <= most:
        reason = "MinCount and MaxCount are at least 1, and MinCount is not above MaxCount."
        raise InvalidParameterValue(parameter="MinCount", value=f"{least} to {most}", reason=reason)
    if most > MOST_INSTANCES:
        reason = f"Start at most {MOST_INSTANCES} instances at once."
        raise InvalidParameterValue(parameter="MaxCount", value=most, reason=reason)


def _check_place(call: Call, request: LaunchRequest) -> None:
    placement = request.placement or {}
    zone = placement.get("availability_zone") or call.cloud.config.cloud.zone
    if zone != call.cloud.config.cloud.zone:
        reason = f"The availability zone here is {call.cloud.config.cloud.zone}."
        raise InvalidParameterValue(
            parameter="Placement.AvailabilityZone", value=zone[:60], reason=reason
        )
    zone_id = default_vpc.zone_id(call.cloud.config.cloud.region)
    if placement.get("availability_zone_id", "") not in ("", zone_id):
        raise InvalidParameterValue(
            parameter="Placement.AvailabilityZoneId",
            value=placement["availability_zone_id"][:60],
            reason=f"The availability zone here is {zone_id}.",
        )
    if placement.get("tenancy", "") not in ("", "default"):
        raise UnsupportedOperation(what="Placement.Tenancy: only default is available.")
    subnet_ids = [each.get("subnet_id", "") for each in request.network_interfaces]
    for subnet_id in (request.subnet_id, *subnet_ids):
        if subnet_id and subnet_id != default_vpc.subnet_id(call.account_id):
            raise SubnetNotFound(id=subnet_id[:60])


def _check_devices(mappings: Sequence[LaunchedDevice], image: ImageRow) -> None:
    whole_disk = image["virtualization_type"] == "hvm"
    for each in mappings:
        name, left_out = each.get("device_name", ""), each.get("no_device") is not None
        if not is_neutral("ebs", each.get("ebs")):
            raise UnsupportedOperation(what=f"BlockDeviceMapping {name[:60]}: {EBS}")
        virtual = each.get("virtual_name", "")
        if "ebs" in each and not virtual and not left_out:
            continue
        devices.check(name, virtual, left_out=left_out, whole_disk=whole_disk)


def _check_hypervisor(call: Call, image: ImageRow) -> None:
    """Refuse an image that this host's hypervisor can't run; the error names the hypervisor."""
    able, name = call.cloud.node.capabilities, call.cloud.node.hypervisor_name
    if image["virtualization_type"] == "hvm" and able.whole_disks:
        what = f"{image['image_id']} is a whole disk, which {name} can't run: {able.whole_disks}."
        raise UnsupportedOperation(what=what)
    setting = _find_lacking(able, image["settings"])
    if setting:
        raise SettingUnavailable(setting=setting, hypervisor=name)


@lru_cache(maxsize=256)
def _find_lacking(able: Capabilities, image_settings: str) -> str:
    wanted = settings.read(image_settings)
    return able.find_lacking(
        uefi=wanted.uefi,
        seed_cdrom=wanted.has_cdrom,
        nic_model=wanted.nic_model,
        bus=wanted.disk_bus,
    )


def _find_profile(
    call: Call, specification: InstanceProfileSpecification | None
) -> ProfileOfInstance | None:
    if not specification:
        return None
    return instance_profiles.find_profile(call.cloud.state, call.account_id, specification)


def _choose_boot_images(
    call: Call, image: ImageRow, request: LaunchRequest
) -> tuple[str | None, str | None]:
    """Return kernel and ramdisk: those of the request, else the image's."""
    for image_id, image_type in ((request.kernel_id, "kernel"), (request.ramdisk_id, "ramdisk")):
        if image_id:
            get_launchable(call.cloud.state, call.user, image_id, image_type)
    kernel_id: str | None = request.kernel_id or image["kernel_id"]
    ramdisk_id: str | None = request.ramdisk_id or image["ramdisk_id"]
    is_root_image = image["state"] == "available" and image["virtualization_type"] != "hvm"
    if is_root_image and not kernel_id:
        reason = "it is a root file system and has no kernel. Launch it with a KernelId."
        raise ImageUnavailable(id=image["image_id"], reason=reason)
    return kernel_id, ramdisk_id


def _find_key(call: Call, name: str) -> dict[str, str | None]:
    if not name:
        return {"key_name": None, "public_key": None}
    sql = "select key_name, public_key from key_pairs where account_id = ? and key_name = ?"
    row = call.cloud.state.one(sql, (call.account_id, name))
    if row is None:
        raise KeyPairNotFound(name=name[:255])
    return row


def _find_group_ids(call: Call, request: LaunchRequest) -> list[str]:
    """Return the ids of the launch's groups: by name, by id, of its interface, or `default`."""
    names, group_ids = request.security_groups, request.security_group_ids
    interfaces = request.network_interfaces
    if len(interfaces) > 1 or any(each.get("device_index", 0) for each in interfaces):
        raise UnsupportedOperation(what="NetworkInterface: an instance has one, of DeviceIndex 0.")
    for each in interfaces:
        if not each.get("delete_on_termination", True):
            what = "NetworkInterface.DeleteOnTermination: an interface ends with its instance."
            raise UnsupportedOperation(what=what)
        if each.get("groups") and (names or group_ids):
            reason = "Name security groups for the instance or for its NetworkInterface, not both."
            raise InvalidParameterCombination(reason=reason)
        group_ids = group_ids or each.get("groups", ())
    if not names and not group_ids:
        names = [groups.DEFAULT]
    rows = groups.find(call.cloud.state, call.account_id, names, group_ids)
    return [row["group_id"] for row in rows]


def _read_metadata_options(members: Mapping[str, Any] | None, image: ImageRow) -> dict[str, Any]:
    """Return the options in full; closed where the seed is a CD-ROM alone."""
    closed = settings.read(image["settings"]).seed == "nocloud"
    base = {"http_endpoint": "disabled"} if closed else {}
    if not members:
        return {**instance_metadata.DEFAULT_OPTIONS, **base}
    return instance_metadata.validate_options(members, base, prefix="MetadataOptions.")
