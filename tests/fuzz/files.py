"""What is read in this process that a stranger wrote: manifests, heads of disks, tar archives,
backups, DHCP and ARP frames. Each is read, or refused with a Fault, at once and in plain words."""

import contextlib
import hashlib
import io
import random
import struct
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from eucabox.errors import BackupDamaged, Fault
from eucabox.iam.policy import identity_documents
from eucabox.iam.provider_keys import parse_keys
from eucabox.image import formats, image_source, manifest, unbundle
from eucabox.image.manifest import ManifestPart
from eucabox.image.sparse import SparseWriter
from eucabox.network import packets
from eucabox.operator.backup.members import ATTRIBUTES, read_members
from eucabox.operator.backup.sealed_file import SealedReader
from tests.fuzz import odd
from tests.fuzz.cloud_shop import ALLOW_ALL, FEW, TRUST
from tests.fuzz.shop import Problem, TooSlow, clock
from tests.image.vectors import DATA

SLOWEST = 2.0  # seconds
KEY, IV = b"k" * 16, b"i" * 16
MANIFESTS = [path.read_bytes() for path in sorted(DATA.glob("*.manifest.xml"))]
NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
PLAIN = ("manifest", "disk", "bundle", "backup")  # refused in words that any terminal shows
Read = Callable[[random.Random, "Desk"], bytes]


class Desk:
    """Where files are read, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.seen: Counter[str] = Counter()
        self.longest = 0.0
        self._stack = contextlib.ExitStack()
        target = folder / "image"
        target.touch()
        self.target: IO[bytes] = self._stack.enter_context(target.open("r+b"))
        raw = MANIFESTS[0]
        self.model = manifest.parse(raw)

    def close(self) -> None:
        self._stack.close()

    def try_one(self, name: str, read: Callable[[bytes], object], content: bytes) -> None:
        """Read a file; Problem unless it is read, or refused by a Fault in plain ASCII."""
        took, outcome = clock(), "read"
        try:
            outcome = "read" if read(content) else "nothing"
        except Fault as fault:
            outcome = "refused"
            if name in PLAIN and not (fault.message.isascii() and fault.message.isprintable()):
                raise Problem(f"{name} {_show(content)}\nrefused as {fault.message!r}") from fault
        except Exception as error:
            raise Problem(f"{name} {_show(content)}\nraised {error!r}") from error
        seconds = took()
        self.longest = max(self.longest, seconds)
        if seconds > SLOWEST:
            raise TooSlow(f"{name} {_show(content)}\ntakes {seconds:.1f} s")
        self.seen[f"{name} {outcome}"] += 1


def _show(content: bytes) -> str:
    return f"{content[:3000].hex()} of {len(content)} bytes"


def damage(content: bytes, chance: random.Random, most: int = 3) -> bytes:
    """Change some bytes: by bits, by numbers at the edges, by cuts and by pieces twice."""
    found = bytearray(content)
    for _ in range(chance.choice([0, 1, 1, 1, 2, most])):
        at, roll = chance.randrange(len(found) + 1), chance.randrange(7)
        if roll == 0:
            found[at : at + 1] = bytes([chance.randrange(256)])
        elif roll == 1:
            width = chance.choice([1, 2, 4, 8])
            number = chance.choice(NUMBERS) % (1 << 8 * width)
            found[at : at + width] = number.to_bytes(width, chance.choice(["big", "little"]))
        elif roll == 2:
            del found[at : at + chance.choice([1, 4, 512])]
        elif roll == 3:
            found[at:at] = found[at : at + chance.choice([1, 16, 512])]
        elif roll == 4:
            found = found[:at]
        elif roll == 5:
            found[at:at] = chance.choice([b"\0", b"\xff", b"<", b"&", b"=", b" "]) * chance.choice(
                [1, 512]
            )
        elif found:
            found[at % len(found)] ^= 1 << chance.randrange(8)
    return bytes(found)


# --- manifests ----------------------------------------------------------------------------------

WORDS = (
    b"x86_64", b"8192", b"root.img", b"machine", b"SHA1", b"count=\"3\"", b"index=\"0\"", b"<part",
    b"</parts>", b"AES-128-CBC", b"<mapping>", b"<filename>", b"digest", b"sda1",
)  # fmt: skip
XML = (
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"<![CDATA[x]]>", b"<!-- x -->", b"&#0;", b"&#x10ffff;",
    b"&e;", b"<a>" * 20, b"<a" + b" b='c'" * 9, b"\xef\xbb\xbf", b"<?x y?>", b"\xff\xfe",
    b"</manifest>",
    b"<part index='0'><filename>../x</filename><digest>" + b"0" * 40 + b"</digest></part>",
)  # fmt: skip


def write_manifest(chance: random.Random, desk: Desk) -> bytes:
    raw = chance.choice(MANIFESTS)
    for _ in range(chance.choice([1, 1, 2, 4])):
        roll = chance.random()
        if roll < 0.45:
            word = chance.choice(WORDS)
            new = odd.text(cast(Any, chance)).encode("utf-8", "surrogatepass")
            new = (
                new.replace(b"&", b"&amp;").replace(b"<", b"&lt;") if chance.random() < 0.8 else new
            )
            raw = raw.replace(word, new[:3000], chance.choice([1, 1, -1]))
        elif roll < 0.75:
            at = raw.find(b">", chance.randrange(len(raw) + 1)) + 1
            raw = raw[:at] + chance.choice(XML) + raw[at:]
        else:
            raw = damage(raw, chance)
    return raw


def read_manifest(desk: Desk) -> Callable[[bytes], object]:
    return lambda raw: manifest.parse(raw, "bucket/x.manifest.xml")


# --- heads of disks -----------------------------------------------------------------------------


def write_disk(chance: random.Random, desk: Desk) -> bytes:
    """A head of a qcow2, of a disk with partitions, of ext4 or of another program's disk."""
    roll = chance.random()
    if roll < 0.6:
        fields = [chance.choice([*NUMBERS, 3, 16, 1 << 30]) for _ in range(20)]
        version, size = chance.choice([2, 3, 3, 0, 2**32 - 1]), chance.choice([1 << 30, *NUMBERS])
        head = struct.pack(
            ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", version, fields[0] % 2**64, fields[1] % 2**32,
            chance.choice([16, 9, 21, 0, 64]), size % 2**64,
            *(each % 2**32 for each in fields[2:4]),
            *(each % 2**64 for each in fields[4:6]), *(each % 2**32 for each in fields[6:8]),
            *(each % 2**64 for each in fields[8:12]), *(each % 2**32 for each in fields[12:14]),
        )  # fmt: skip
    elif roll < 0.8:
        entry = struct.pack(
            "<B3sB3sII", 0x80, b"\0" * 3, 0x83, b"\0" * 3, chance.choice([0, 1, 2048]), 8
        )
        head = bytes(446) + entry * chance.choice([0, 1, 4]) + bytes(64)
        head = head[:510] + b"\x55\xaa"
    elif roll < 0.9:
        head = bytes(1080) + b"\x53\xef"
    else:
        head = chance.choice(list(formats.OTHERS)) + chance.randbytes(100)
    return damage(head + bytes(chance.choice([0, 2048])), chance)


def read_disk(desk: Desk) -> Callable[[bytes], object]:
    def read(raw: bytes) -> object:
        formats.kind_of(raw[:2048])
        return image_source.read_disk_size(raw[: image_source.HEAD], len(raw), "bucket/disk")

    return read


# --- tar ----------------------------------------------------------------------------------------

KINDS_OF_MEMBER = (b"0", b"\0", b"1", b"2", b"5", b"7", b"L", b"K", b"x", b"g", b"S", b"V", b"\xff")


def write_tar(chance: random.Random, desk: Desk) -> bytes:
    """An archive of one file or so, with odd headers before it and odd fields in them."""
    out = b""
    for _ in range(chance.choice([1, 1, 2, 3, 6])):
        out += _write_member(chance)
    return damage(out + bytes(chance.choice([0, 512, 1024, 9000])), chance)


def _write_member(chance: random.Random) -> bytes:
    member = tarfile.TarInfo(chance.choice(["root.img", "a/", "", "x" * 99, "\udcff", "\u00e9"]))
    content = bytes(chance.choice([0, 1, 511, 512, 8192]))
    form: Any = chance.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
    member.type, member.mtime = chance.choice(KINDS_OF_MEMBER) if chance.random() < 0.4 else b"0", 1
    member.size = len(content)
    if chance.random() < 0.4:
        member.pax_headers = {
            chance.choice(["size", "path", "mtime", ATTRIBUTES, "GNU.sparse.major", "hdrcharset"]):
            chance.choice(["8192", "-1", "1" * 30, "x", "", "1_0", "\u0661", "1.5", "9" * 5000])
        }  # fmt: skip
        member.pax_headers = dict(member.pax_headers)
    try:
        head = bytearray(member.tobuf(form, "utf-8", "surrogateescape"))
    except ValueError:  # a name too long for its form
        head = bytearray(tarfile.TarInfo("root.img").tobuf())
    if chance.random() < 0.4:  # a field with a sum that is right again
        start, width = chance.choice(
            [(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (257, 8), (345, 155)]
        )
        values = [
            *(each * width for each in (b"\xff", b"9", b" ", b"7", b"\0")),
            *(b"\x80" + bytes(width - 1), b"-1" + bytes(width), chance.randbytes(width)),
        ]
        head[-512 + start : len(head) - 512 + start + width] = chance.choice(values)[:width]
        block = head[-512:]
        block[148:156] = b" " * 8
        head[-512 + 148 : len(head) - 512 + 156] = b"%06o\0 " % sum(block)
    return bytes(head) + content + bytes(-len(content) % 512)


class _Part:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        for begin in range(start, start + length, 1000):
            yield self.content[begin : min(begin + 1000, start + length)]


def read_bundle(desk: Desk) -> Callable[[bytes], object]:
    """Read an archive as the part of a bundle, packed and sealed rightly around it."""

    def read(archive: bytes) -> object:
        packer = zlib.compressobj(1, wbits=31)
        packed = packer.compress(archive) + packer.flush()
        padding = 16 - len(packed) % 16
        cipher = Cipher(algorithms.AES(KEY), modes.CBC(IV)).encryptor()
        sealed = cipher.update(packed + bytes([padding]) * padding) + cipher.finalize()
        parts = (ManifestPart("x.part.0", hashlib.sha1(sealed).hexdigest()),)
        told = replace(desk.model, parts=parts, size=8192, bundled_size=len(sealed))

        @contextlib.contextmanager
        def opener(name: str) -> Iterator[_Part]:
            yield _Part(sealed)

        desk.target.seek(0)
        desk.target.truncate()
        return unbundle.unbundle(told, KEY, IV, opener, SparseWriter(cast(Any, desk.target)))

    return read


class OpenReader:
    """What a backup's frames hold, without the seal, which no stranger can make."""

    def __init__(self, content: bytes) -> None:
        self._content, self.place = io.BytesIO(content), ""

    def read(self, size: int) -> bytes:
        found = self._content.read(size)
        if len(found) < size:
            raise self.make_fault("it ends too early")
        return found

    def finish(self) -> None:
        if self._content.read(1):
            raise self.make_fault("something stands behind its end")

    def make_fault(self, reason: str) -> BackupDamaged:
        place = {"offset": self._content.tell(), "place": self.place}
        return BackupDamaged(file=Path("backup"), reason=reason, **place)


def read_backup(desk: Desk) -> Callable[[bytes], object]:
    def read(archive: bytes) -> object:
        for member in read_members(cast(SealedReader, OpenReader(archive))):
            for _ in member.chunks():
                pass
        return True

    return read


# --- frames of the network ----------------------------------------------------------------------


def write_frame(chance: random.Random, desk: Desk) -> bytes:
    """A DHCP reply or an ARP claim; lengths and options are odd."""
    if chance.random() < 0.2:
        mac = chance.randbytes(6)
        words_of_arp = (1, 0x0800, 6, 4, chance.choice([1, 2, 0, 65535]))
        body = struct.pack(
            "!HHBBH6s4s6s4s", *words_of_arp, mac, b"\x0a\0\0\1", bytes(6), b"\x0a\0\0\2"
        )
        return damage(b"\xff" * 6 + mac + b"\x08\x06" + body + bytes(18), chance)
    options = b"".join(_write_option(chance) for _ in range(chance.randrange(8)))
    if chance.random() < 0.8:
        options = b"\x35\x01\x05" + options + b"\xff"
    message = b"\x02\x01\x06\0" + bytes(12) + b"\xc0\xa8\1\2" + bytes(8) + b"\xd0\x0d\0\0\0\1"
    message += bytes(202) + b"\x63\x82\x53\x63" + options
    length = chance.choice([8 + len(message)] * 8 + [0, 8, 65535, 9])
    datagram = b"\0\x43\0\x44" + length.to_bytes(2) + b"\0\0" + message
    words = chance.choice([5] * 8 + [0, 4, 6, 15])
    total = chance.choice([words * 4 + len(datagram)] * 8 + [0, 19, 65535])
    head = (
        bytes([0x40 | words, 0]) + (total % 65536).to_bytes(2) + b"\0\0" + b"\0\0" + b"\x40\x11\0\0"
    )
    head += b"\xc0\xa8\1\1" + b"\xff" * 4 + bytes(max(0, words * 4 - 20))
    return damage(b"\xff" * 6 + b"\2" * 6 + b"\x08\0" + head + datagram, chance)


def _write_option(chance: random.Random) -> bytes:
    number, length = (
        chance.choice([0, 51, 53, 54, 255, chance.randrange(256)]),
        chance.choice([0, 1, 3, 4, 5, 255]),
    )
    told = length if chance.random() < 0.85 else chance.randrange(256)
    return bytes([number, told]) + chance.randbytes(length)


def read_frame(desk: Desk) -> Callable[[bytes], object]:
    return packets.read


# --- documents in JSON --------------------------------------------------------------------------

READERS: tuple[Callable[[str], object], ...] = (
    identity_documents.parse_identity_policy,
    lambda text: identity_documents.parse_identity_policy(text, managed=True),
    identity_documents.parse_resource_policy,
    identity_documents.parse_trust_policy,
    lambda text: parse_keys(text, "https://issuer"),
)
KEY_SET = b'{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a", "alg": "RS256"}]}'
CURVE = b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "use": "sig"}]}'


def write_document(chance: random.Random, desk: Desk) -> bytes:
    """A policy, or the keys of an identity provider."""
    roll = chance.random()
    if roll < 0.15:
        raw = chance.choice([KEY_SET, CURVE])
    elif roll < 0.25:
        raw = chance.choice([ALLOW_ALL, FEW, TRUST]).encode()
    else:
        raw = odd.policy(chance)
    return raw if chance.random() < 0.6 else damage(raw, chance)


def read_document(desk: Desk) -> Callable[[bytes], object]:
    """Read a document as each kind that there is."""

    def read(raw: bytes) -> object:
        text, refusals = raw.decode("utf-8", "replace"), []
        for reader in READERS:
            try:
                reader(text)
            except Fault as fault:
                refusals.append(fault)
        if len(refusals) == len(READERS):
            raise refusals[0]
        return True

    return read


Kind = tuple[Read, Callable[[Desk], Callable[[bytes], object]]]
KINDS: dict[str, Kind] = {
    "manifest": (write_manifest, read_manifest),
    "disk": (write_disk, read_disk),
    "bundle": (write_tar, read_bundle),
    "backup": (write_tar, read_backup),
    "frame": (write_frame, read_frame),
    "document": (write_document, read_document),
}
