"""Objects that say of themselves which write made them."""

import functools
import hashlib
import random
from typing import Any

PART = 5 << 20
BLOCK = 1 << 16


def size(label: str) -> int:
    chance = random.Random(label)
    return chance.choice([0, 1, chance.randrange(4096), chance.randrange(1 << 20), 3 << 20])


def body(label: str, length: int) -> bytes:
    """Bytes of which every block is the label's own and at its own place."""
    seed = hashlib.shake_128(label.encode()).digest(BLOCK - 8)
    blocks = (number.to_bytes(8) + seed for number in range(-(-length // BLOCK)))
    return b"".join(blocks)[:length]


@functools.lru_cache(4096)
def plain_tag(label: str) -> str:
    return hashlib.md5(body(label, size(label))).hexdigest()


def parts(label: str) -> list[bytes]:
    """The parts of an upload: one that is as small as may be, and a rest."""
    whole = body(label, PART + size(label) + 1)
    return [whole[:PART], whole[PART:]]


@functools.lru_cache(4096)
def joined_tag(label: str) -> str:
    digests = b"".join(hashlib.md5(each).digest() for each in parts(label))
    return f"{hashlib.md5(digests).hexdigest()}-2"


@functools.lru_cache(4096)
def copied_tag(label: str) -> str:
    """The ETag of a copy of an upload's object, which is of one piece."""
    return hashlib.md5(b"".join(parts(label))).hexdigest()


def said(label: str) -> dict[str, Any]:
    """What a write says of its object; some say more than fits beside the inode."""
    long = {"long": label * 60} if random.Random(label).random() < 0.2 else {}
    return {"Metadata": {"label": label, **long}, "ContentType": f"text/x-{label}"}
