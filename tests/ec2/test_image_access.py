"""An image is launched only on a type whose disk holds it."""

import pytest

from eucabox.ec2.image_access import check_fits
from eucabox.errors import ImageTooLarge
from eucabox.instance_types import DEFAULT_SIZES
from eucabox.schema import ImageRow
from tests.rows import whole_row

MIB = 2**20
DISK = whole_row(ImageRow, image_id="emi-1", virtualization_type="hvm", size=1024 * MIB)
ROOT: ImageRow = {**DISK, "virtualization_type": "paravirtual"}


def test_an_image_has_to_fit_the_type() -> None:
    check_fits(DISK, DEFAULT_SIZES["m1.tiny"], 0)
    with pytest.raises(ImageTooLarge, match="needs 1025 MiB of disk"):
        check_fits({**DISK, "size": 1024 * MIB + 1}, DEFAULT_SIZES["m1.tiny"], 0)
    check_fits({**DISK, "size": 2048 * MIB}, DEFAULT_SIZES["m1.small"], 0)


def test_swap_takes_place_beside_a_root_file_system_alone() -> None:
    check_fits(DISK, DEFAULT_SIZES["m1.tiny"], 64)
    with pytest.raises(ImageTooLarge, match="needs 1088 MiB of disk"):
        check_fits(ROOT, DEFAULT_SIZES["m1.tiny"], 64)


def test_an_image_of_unknown_size_is_not_refused() -> None:
    check_fits({**DISK, "size": None}, DEFAULT_SIZES["m1.tiny"], 0)
