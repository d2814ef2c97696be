"""The instance that a page of its console is about, as the API shows it."""

from typing import TypedDict, cast

from eucabox.console.visitor import perform


class GuestOfPage(TypedDict):
    """What such a page says of an instance."""

    instance_id: str
    name: str  # its tag Name, "" without
    state: str


def find_guest(instance_id: str) -> GuestOfPage:
    """Return an instance that the visitor may see; raises the Fault that a client would get."""
    answer = perform("ec2", "DescribeInstances", instance_ids=[instance_id])
    reservations = cast(list[dict[str, list[dict[str, object]]]], answer["reservations"])
    (instance,) = reservations[0]["instances"]
    tags = cast(list[dict[str, str]], instance.get("tags", []))
    return {
        "instance_id": instance_id,
        "name": next((each["value"] for each in tags if each["key"] == "Name"), ""),
        "state": str(cast(dict[str, object], instance["state"])["name"]),
    }
