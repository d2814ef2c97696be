"""What pages read of images, by EC2's verbs and with a type; changes nothing."""

from typing import TypedDict, cast

from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import ImageNotFound
from eucabox.image import settings

OWN, SHARED, PUBLIC = "own", "shared", "public"
WHOSE = {OWN: "Yours", SHARED: "Shared with you", PUBLIC: "Public"}


class ImageTag(TypedDict):
    """A tag of an image."""

    key: str
    value: str


class ImageReason(TypedDict):
    """Why an image is as it is."""

    code: str
    message: str


class ListedImage(TypedDict):
    """The members of DescribeImages that pages show, and `whose` an image is, one of WHOSE."""

    image_id: str
    name: str
    description: str
    image_location: str
    image_type: str
    state: str
    state_reason: ImageReason | None
    owner_id: str
    public: bool
    architecture: str
    platform: str | None
    kernel_id: str | None
    ramdisk_id: str | None
    root_device_name: str | None
    virtualization_type: str
    creation_date: str
    boot_mode: str | None
    tags: list[ImageTag]
    whose: str


class ShownPermission(TypedDict, total=False):
    """Who may launch an image: an account, or all."""

    user_id: str
    group: str


def list_images() -> list[ListedImage]:
    """Return the images that the visitor may see, the newest first."""
    found = perform("ec2", "DescribeImages")["images"]
    images = [_add_whose(each) for each in cast(list[ListedImage], found)]
    return sorted(images, key=lambda each: each["creation_date"], reverse=True)


def load_image(image_id: str) -> ListedImage:
    """Return an image; raises the faults of DescribeImages, of which one is ImageNotFound."""
    found = perform("ec2", "DescribeImages", image_ids=[image_id])["images"]
    images = cast(list[ListedImage], found)
    if not images:
        raise ImageNotFound(id=image_id)
    return _add_whose(images[0])


def list_permissions(image_id: str) -> list[str]:
    """Return the accounts that may launch an image beside its owner; raises as the verb does."""
    found = read_attribute(image_id, "launchPermission")["launch_permissions"]
    return [each["user_id"] for each in cast(list[ShownPermission], found) if "user_id" in each]


def read_settings(image_id: str) -> dict[str, str]:
    """Return an image's settings by their attributes, "" for what is the default."""
    return {name: _read_setting(image_id, name) for name in settings.WORDS}


def read_attribute(image_id: str, attribute: str) -> dict[str, object]:
    """Return the members of DescribeImageAttribute."""
    return perform("ec2", "DescribeImageAttribute", image_id=image_id, attribute=attribute)


def is_own(image: ListedImage) -> bool:
    """Whether the visitor's account may change an image."""
    return image["whose"] == OWN


def _read_setting(image_id: str, attribute: str) -> str:
    found = read_attribute(image_id, attribute)[settings.column(attribute)]
    return cast(dict[str, str], found)["value"]


def _add_whose(image: ListedImage) -> ListedImage:
    viewer = current_visitor().caller
    is_mine = viewer is not None and image["owner_id"] == viewer.account_id
    return {**image, "whose": OWN if is_mine else PUBLIC if image["public"] else SHARED}
