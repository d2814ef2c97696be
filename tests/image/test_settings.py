import json

import pytest

from eucabox.errors import InvalidParameterValue
from eucabox.image import settings
from eucabox.image.settings import ImageSettings

KEPT = json.dumps({"block_device_mapping": {}, "virtualization_type": "hvm"})


def test_an_image_that_says_nothing_has_the_usual() -> None:
    assert settings.read("{}") == settings.read(KEPT) == ImageSettings()
    assert not ImageSettings().uefi
    assert not ImageSettings().has_cdrom


def test_a_setting_is_changed_and_taken_back_beside_what_else_is_kept() -> None:
    changed = settings.change(KEPT, "bootMode", "uefi")
    assert settings.read(changed).uefi
    changed = settings.change(changed, "seed", "both")
    assert settings.read(changed) == ImageSettings(boot_mode="uefi", seed="both")
    assert json.loads(changed)["virtualization_type"] == "hvm"
    changed = settings.change(settings.change(changed, "seed", ""), "bootMode", "")
    assert json.loads(changed) == json.loads(KEPT)


def test_every_setting_has_words_help_and_a_place() -> None:
    assert set(settings.HELP) == set(settings.WORDS) == set(settings.to_api("{}"))
    for attribute, words in settings.WORDS.items():
        for word in words or ("console=ttyS0 root=/dev/sda1 quiet",):
            changed = settings.change("{}", attribute, word)
            assert settings.to_api(changed)[attribute] == word


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("bootMode", "UEFI"),
        ("seed", "floppy"),
        ("nicModel", "virtio'/><source file='/etc/shadow"),
        ("diskBus", "sata"),
        ("kernelCommandLine", "a\nb"),
        ("kernelCommandLine", "\u00e9"),
        ("kernelCommandLine", "x" * 1025),
    ],
)
def test_other_words_are_refused_with_those_that_there_are(attribute: str, value: str) -> None:
    with pytest.raises(InvalidParameterValue) as caught:
        settings.change("{}", attribute, value)
    assert attribute in caught.value.message
    assert caught.value.message.isascii()
