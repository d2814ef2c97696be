"""The row of an instance as the Describe actions read it, and what they show of it; only types."""

from typing import NotRequired

from eucabox.schema import InstanceColumns


class DescribedInstance(dict[str, object]):
    """The API's Instance, which is not changed: the same for as long as its row is.

    Whoever writes it down may keep the text in `written`, with itself, for the next time."""

    written: tuple[object, str] | None = None


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
