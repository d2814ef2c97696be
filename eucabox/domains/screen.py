"""What a guest's screen shows, as PNG; never a listener that others could look through."""

import struct
import zlib

from eucabox.errors import ScreenUnreadable

PNG = b"\x89PNG\r\n\x1a\n"
TRUECOLOR = 2


def png(picture: bytes, instance_id: str) -> bytes:
    """Return a hypervisor's picture, which is PNG or binary PPM, as PNG; else ScreenUnreadable."""
    if picture.startswith(PNG):
        return picture
    try:
        kind, width_text, height_text, rest = picture.split(maxsplit=3)
        width, height, most, pixels = int(width_text), int(height_text), int(rest[:3]), rest[4:]
    except ValueError:
        kind, width, height, most, pixels = b"", 0, 0, 0, b""
    fits = width > 0 and len(pixels) == 3 * width * height > 0
    if (kind, most) != (b"P6", 255) or not fits:
        raise ScreenUnreadable(id=instance_id, reason="the hypervisor sent no picture")
    row = 3 * width
    lines = b"".join(b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    head = struct.pack(">IIBBBBB", width, height, 8, TRUECOLOR, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    return PNG + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
