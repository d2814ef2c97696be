"""A hypervisor's picture becomes a PNG that others can read."""

import struct
import zlib

import pytest

from eucabox.domains import screen
from eucabox.errors import ScreenUnreadable

PIXELS = bytes(range(3 * 4 * 2))


def test_a_ppm_becomes_a_png_with_the_same_pixels() -> None:
    made = screen.png(b"P6\n4 2\n255\n" + PIXELS, "i-1")
    assert made.startswith(screen.PNG)
    assert struct.unpack(">II", made[16:24]) == (4, 2)
    length = struct.unpack(">I", made[33:37])[0]
    lines = zlib.decompress(made[41 : 41 + length])
    assert lines == b"\0" + PIXELS[:12] + b"\0" + PIXELS[12:]


def test_a_png_stays_as_it_is() -> None:
    assert screen.png(screen.PNG + b"rest", "i-1") == screen.PNG + b"rest"


@pytest.mark.parametrize(
    "bad",
    [
        *(b"", b"P6", b"P6\n4 2\n255\n" + PIXELS[:-1], b"P5\n4 2\n255\n" + PIXELS),
        *(b"P6\nx 2\n255\n" + PIXELS, b"P6\n0 0\n255\n", b"<html>hello there you</html>"),
        b"P6\n-4 -2\n255\n" + PIXELS,
    ],
)
def test_what_is_no_picture_is_refused(bad: bytes) -> None:
    with pytest.raises(ScreenUnreadable, match="i-1"):
        screen.png(bad, "i-1")
