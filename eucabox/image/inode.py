"""An inode of an ext2, ext3 or ext4 file system as bytes on a disk: says what to write there to
give its file another size; runs no file system code and writes nothing.

After the kernel's documentation of ext4, "Dynamic Structures" and "Checksums".
"""

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SUPERBLOCK, SUPERBLOCK_SIZE = 1024, 1024
SECTOR = 512
METADATA_CSUM = 0x400  # among the features that may be read only
CSUM_SEED = 0x2000  # among the incompatible ones
FIRST_SIZE = 128  # of an inode, where the superblock has no word for it
SIZE, GENERATION, CHECKSUM, EXTRA, CHECKSUM_HIGH = 4, 100, 124, 128, 130  # where, in an inode
PLACE = re.compile(r"Inode (\d+) is part of.*located at block (\d+), offset 0x([0-9a-f]+)", re.S)


@dataclass(frozen=True)
class Inode:
    """The sectors that hold an inode, as they are: `offset` on the disk, `sectors` in hex.

    `at` is where the inode begins in them, `length` how long it is, `seed` how its checksum
    begins, None where the file system has none.
    """

    offset: int
    sectors: str
    at: int
    length: int
    seed: int | None

    def resize(self, size: int) -> tuple[int, bytes]:
        """Return where to write what for the file to have a size, below 4 GiB."""
        sectors = bytearray.fromhex(self.sectors)
        inode = sectors[self.at : self.at + self.length]
        struct.pack_into("<I", inode, SIZE, size)
        if self.seed is not None:
            _seal(inode, self.seed)
        sectors[self.at : self.at + self.length] = inode
        return self.offset, bytes(sectors)


def find(disk: Path, start: int, message: str) -> Inode | None:
    """Return the inode of debugfs' `imap` message, in the file system at `start` of a disk."""
    match = PLACE.search(message)
    if match is None:
        return None
    with disk.open("rb") as file:
        superblock = os.pread(file.fileno(), SUPERBLOCK_SIZE, start + SUPERBLOCK)
        (revision,) = struct.unpack_from("<I", superblock, 76)
        length = int(struct.unpack_from("<H", superblock, 88)[0]) if revision else FIRST_SIZE
        block = 1024 << struct.unpack_from("<I", superblock, 24)[0]
        place = start + int(match[2]) * block + int(match[3], 16)
        return _read(file, place, length, _seed(superblock, int(match[1])))


def _read(file: BinaryIO, place: int, length: int, seed: int | None) -> Inode:
    first = place // SECTOR * SECTOR
    size = -(-(place + length - first) // SECTOR) * SECTOR
    sectors = os.pread(file.fileno(), size, first)
    at = place - first
    if seed is not None:
        seed = crc32c(seed, sectors[at + GENERATION : at + GENERATION + 4])
    return Inode(first, sectors.hex(), at, length, seed)


def _seed(superblock: bytes, number: int) -> int | None:
    (incompatible, read_only) = struct.unpack_from("<II", superblock, 96)
    if not read_only & METADATA_CSUM:
        return None
    if incompatible & CSUM_SEED:
        (seed,) = struct.unpack_from("<I", superblock, 624)
    else:
        seed = crc32c(0xFFFFFFFF, superblock[104:120])  # the UUID
    return crc32c(seed, struct.pack("<I", number))


def _seal(inode: bytearray, seed: int) -> None:
    """Write an inode's checksum, which is of itself without it."""
    high = len(inode) > EXTRA and struct.unpack_from("<H", inode, EXTRA)[0] >= 4
    struct.pack_into("<H", inode, CHECKSUM, 0)
    if high:
        struct.pack_into("<H", inode, CHECKSUM_HIGH, 0)
    checksum = crc32c(seed, bytes(inode))
    struct.pack_into("<H", inode, CHECKSUM, checksum & 0xFFFF)
    if high:
        struct.pack_into("<H", inode, CHECKSUM_HIGH, checksum >> 16)


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


TABLE = [_entry(value) for value in range(256)]


def crc32c(value: int, content: bytes) -> int:
    """Go on with a CRC-32C over content, without the usual inversions."""
    for byte in content:
        value = TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value
