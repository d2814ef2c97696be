"""The row of an instance as the Describe actions read it; only the type."""

from typing import NotRequired, TypedDict


class ListedInstance(TypedDict):
    """An instance with its reservation's token and what its image says, as lists show it.

    The image may be gone. What is not required is not in the query: a Describe action adds it."""

    instance_id: str
    reservation_id: str
    account_id: str
    ami_launch_index: int
    image_id: str
    kernel_id: str | None
    ramdisk_id: str | None
    instance_type: str
    key_name: str | None
    state: str
    state_code: int
    state_reason_code: str
    state_reason_message: str
    launch_time: str
    state_time: str
    state_clock: str
    availability_zone: str
    architecture: str
    virtualization_type: str
    mac_address: str | None
    private_ip_address: str | None
    private_dns_name: str | None
    wanted: str
    metadata_options: str
    monitoring: int
    root_device_name: str
    shutdown_behavior: str
    disable_api_termination: int
    disable_api_stop: int
    launch_state: str
    vcpus: int
    memory_mb: int
    public_address: int
    platform: str | None
    product_codes: str | None
    image_settings: str | None
    client_token: str | None
    tags: NotRequired[list[dict[str, str]]]
    interface_tags: NotRequired[list[dict[str, str]]]
    groups: NotRequired[list[dict[str, str]]]
    shows: NotRequired[dict[str, object]]
