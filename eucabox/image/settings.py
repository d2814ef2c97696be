"""How an image wants its instances to be made, in checked words; never what becomes of them."""

import json
import re
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache

from eucabox.errors import InvalidParameterValue
from eucabox.hypervisor import architecture

# The attribute's name as the API has it, and the words it takes; none for free text.
WORDS: dict[str, tuple[str, ...]] = {
    "bootMode": ("legacy-bios", "uefi", "uefi-preferred"),
    "seed": ("imds", "nocloud", "both"),
    "seedBus": ("scsi", "ide", "sata"),
    "nicModel": ("virtio", "e1000", "rtl8139"),
    "diskBus": ("scsi", "virtio", "ide"),
    "kernelCommandLine": (),
}
HELP = {
    "bootMode": "The firmware of a whole disk.",
    "seed": "Where cloud-init finds its data: the metadata service, a CD-ROM, or both.",
    "seedBus": "What that CD-ROM is attached to.",
    "nicModel": "The network card.",
    "diskBus": "What the disk is attached to.",
    "kernelCommandLine": "What the kernel of a root partition is told, instead of the usual.",
}
COMMAND_LINE = re.compile(r"[ -~]{1,1024}")


@dataclass(frozen=True)
class ImageSettings:
    """An image's settings; an empty `disk_bus` is the usual one of its kind.

    `seed` says where cloud-init finds its data: imds, the metadata service; nocloud, a CD-ROM
    on `seed_bus`; or both.
    """

    boot_mode: str = ""
    seed: str = "imds"
    seed_bus: str = "scsi"
    nic_model: str = "virtio"
    disk_bus: str = ""
    kernel_command_line: str = ""

    @cached_property
    def uefi(self) -> bool:
        """Whether the firmware is UEFI; there is one hypervisor, so a preference is an order."""
        return self.boot_mode.startswith("uefi") or not architecture.HOST.has_bios

    @property
    def has_cdrom(self) -> bool:
        """Whether instances get a seed on a CD-ROM."""
        return self.seed != "imds"


@lru_cache(maxsize=256)
def read(text: str) -> ImageSettings:
    """Return the settings that a row of images keeps among its others, as JSON."""
    values = json.loads(text)
    return ImageSettings(
        **{each.name: values[each.name] for each in fields(ImageSettings) if each.name in values}
    )


def change(text: str, attribute: str, value: str) -> str:
    """Return a row's JSON with one setting changed; an empty value is the default again.

    Raises InvalidParameterValue.
    """
    values = json.loads(text)
    name = column(attribute)
    values.pop(name, None)
    if value:
        values[name] = check(attribute, value)
    return json.dumps(values)


def check(attribute: str, value: str) -> str:
    """Return a setting's value; raises InvalidParameterValue for a word that is none."""
    words = list_words(attribute)
    if value in words or (not words and COMMAND_LINE.fullmatch(value)):
        return value
    reason = f"Choose one of {', '.join(words)}." if words else "It has 1 to 1024 ASCII characters."
    plain = value[:60].encode("ascii", "replace").decode()
    raise InvalidParameterValue(parameter=attribute, value=plain, reason=reason)


def list_words(attribute: str) -> tuple[str, ...]:
    """Return the values that an attribute may have on this host; an empty tuple means any text."""
    lacks = architecture.HOST.lacks
    return tuple(word for word in WORDS[attribute] if (attribute, word) not in lacks)


def to_api(text: str) -> dict[str, str]:
    """Return a row's settings by the attributes' names."""
    values = asdict(read(text))
    return {attribute: values[column(attribute)] for attribute in WORDS}


def column(attribute: str) -> str:
    """Return an attribute's name in snake_case."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), attribute)
