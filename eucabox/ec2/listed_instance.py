"""The row of an instance as the Describe actions read it; only the type."""

from typing import NotRequired

from eucabox.schema import InstanceColumns


class ListedInstance(InstanceColumns):
    """An instance with its reservation's token and what its image says, as lists show it.

    The image may be gone. What is not required is not in the query: a Describe action adds it."""

    platform: str | None
    product_codes: str | None
    image_settings: str | None
    client_token: str | None
    instance_profile_id: str | None
    instance_profile_arn: str | None
    tags: NotRequired[list[dict[str, str]]]
    interface_tags: NotRequired[list[dict[str, str]]]
    groups: NotRequired[list[dict[str, str]]]
    shows: NotRequired[dict[str, object]]
