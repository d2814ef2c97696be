"""Encrypts a file while it is written and decrypts an object while it is read; finds no key.

It needs memory for a batch of frames, whatever the size of the object; a range reads its own frames
only.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eucabox.errors import ObjectDamaged
from eucabox.store import checksums, encrypted_format
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.encrypted_format import (
    FRAME,
    JOINED,
    KEY_BYTES,
    MAGIC,
    TAG,
    WHOLE,
    Header,
    Wrapping,
)
from eucabox.store.keyring import EncryptionKeySpec
from eucabox.store.temp_file import TempFile
from eucabox.store.types import AES256, EncryptionInfo, EncryptionRecord, Object

BATCH = 8  # frames that are read, decrypted and passed on at a time
Unlock = Callable[[Header], bytes]


class EncryptedTempFile(TempFile):
    """A temporary file that takes plain bytes and holds them encrypted; complete after `finish`.

    `part` names the part of an upload that it is, so that no other part can replace it.
    """

    def __init__(
        self, folder: BucketFolder, encryption: EncryptionKeySpec, key: str, part: str = ""
    ) -> None:
        super().__init__(folder)
        self._encryption = encryption
        self._wrapping = Wrapping(encryption.secret, encrypted_format.place_of(folder.name, key))
        self._fields = {**encryption.header_text(), **({"part": part} if part else {})}
        self._data_key = os.urandom(KEY_BYTES)
        self._cipher = AESGCM(self._data_key)
        self._unwritten = b""
        self._frames = 0
        self._size = 0
        self._header = len(self._build_header(encrypted_format.NO_TAG))
        try:
            super().write(bytes(self._header))
        except BaseException:  # a full disk: no `with` closes this file yet
            self.__exit__()
            raise

    def write(self, data: bytes | memoryview) -> None:
        """Append plain bytes."""
        self._size += len(data)
        waiting = memoryview(self._unwritten + bytes(data) if self._unwritten else data)
        end = len(waiting) - len(waiting) % FRAME
        if end:
            super().write(b"".join(map(self._frame, _split_frames(waiting[:end]))))
        self._unwritten = bytes(waiting[end:])

    def finish(self, md5: str) -> tuple[str, EncryptionInfo]:
        """Write the last frame and the header; return the ETag and what is stored with the
        object."""
        if self._unwritten:
            super().write(self._frame(self._unwritten))
            self._unwritten = b""
        # with the other kinds the MD5 would reveal the content; equal bytes get equal ETags
        e_tag = md5 if self._encryption.kind == AES256 else self._wrapping.hide_etag(md5)
        os.pwrite(self.fd, self._build_header(bytes.fromhex(e_tag)), 0)
        stored = self._header + encrypted_format.framed_size(self._size)
        return e_tag, self._encryption.encryption_info(stored, self._header)

    def digest(self, algorithm: str) -> tuple[str, str]:
        """Return the hex MD5 and a base64 checksum of the plain bytes written so far."""
        md5, value = hashlib.md5(usedforsecurity=False), checksums.new(algorithm)
        pieces = _decrypt_frames(self.fd, self._header, self._cipher, 0, self._frames, self._size)
        for piece in (*pieces, self._unwritten):
            md5.update(piece)
            value.update(piece)
        return md5.hexdigest(), checksums.encode(value.digest())

    def _frame(self, piece: bytes) -> bytes:
        frame = self._cipher.encrypt(encrypted_format.nonce(self._frames), piece, None)
        self._frames += 1
        return frame

    def _build_header(self, e_tag: bytes) -> bytes:
        wrapping, key = self._wrapping, self._data_key
        return encrypted_format.build(WHOLE, self._size, e_tag, self._fields, wrapping, key)


def _split_frames(data: memoryview) -> Iterator[bytes]:
    for start in range(0, len(data), FRAME):
        yield bytes(data[start : start + FRAME])


def begin(
    folder: BucketFolder, encryption: EncryptionKeySpec | None, key: str, part: str = ""
) -> TempFile:
    """Return a temporary file, encrypted if there is a key spec."""
    return EncryptedTempFile(folder, encryption, key, part) if encryption else TempFile(folder)


class EncryptedReader:
    """The plain bytes of an encrypted object. Making it verifies the header and the lengths.

    Raises ObjectDamaged before it would return a byte that differs from what was written, and what
    `unlock` raises.
    """

    def __init__(self, obj: Object, info: EncryptionInfo, descriptor: int, unlock: Unlock) -> None:
        self._name = f"{obj.bucket}/{obj.key}"
        self._sealed, self._descriptor, self._unlock = info, descriptor, unlock
        self._numbers: list[int] | None = None
        self._upload = ""
        head = self._read(0)
        self._sizes = obj.parts if head.form == JOINED else (obj.size,)
        if head.form == JOINED:
            self._check_joined_header(head, obj)
        self._starts = [0, *accumulate(self._sizes)]
        self._check_length(head, obj)
        self._bases = _bases(info, self._sizes)
        self._open = 0, self._make_cipher(0, head if head.form == WHOLE else None)

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        """Yield `length` plain bytes from `start`, each chunk verified before."""
        end = min(start + length, self._starts[-1])
        while start < end:
            number = bisect_right(self._starts, start) - 1
            part_end = min(end, self._starts[number + 1])
            begun = self._starts[number]
            yield from self._part(number, start - begun, part_end - begun)
            start = part_end

    def _part(self, number: int, start: int, end: int) -> Iterator[bytes]:
        cipher, base = self._cipher(number), self._bases[number]
        first, size = start // FRAME, self._sizes[number]
        position = first * FRAME
        for piece in self._decrypt(base, cipher, first, -(-end // FRAME), size):
            yield piece[max(start - position, 0) : end - position]
            position += len(piece)

    def _decrypt(
        self, base: int, cipher: AESGCM, first: int, last: int, size: int
    ) -> Iterator[bytes]:
        try:
            yield from _decrypt_frames(self._descriptor, base, cipher, first, last, size)
        except InvalidTag:
            raise self._damage("its content was changed") from None
        except EOFError:
            raise self._damage("it was cut short") from None

    def _cipher(self, number: int) -> AESGCM:
        if self._open[0] != number:
            self._open = number, self._make_cipher(number)
        return self._open[1]

    def _make_cipher(self, number: int, header: Header | None = None) -> AESGCM:
        header = header or self._read(self._bases[number] - self._header_length())
        self._check_part(header, number)
        return AESGCM(self._unlock(header))

    def _header_length(self) -> int:
        return self._sealed.part_header or self._sealed.header

    def _read(self, offset: int) -> Header:
        header = encrypted_format.read(self._descriptor, offset)
        if header is None:
            raise self._damage("a header is not there")
        return header

    def _check_part(self, header: Header, number: int) -> None:
        expectation = (WHOLE, self._sizes[number], self._header_length())
        if (header.form, header.size, header.length) != expectation:
            raise self._damage("a header is of another file")
        if self._sealed.part_header:
            part_number = self._numbers[number] if self._numbers else number + 1
            if header.fields.get("part") != part_name(self._upload, part_number):
                raise self._damage("its parts are not in their places")
        elif "part" in header.fields:
            raise self._damage("it is a part alone")

    def _check_joined_header(self, head: Header, obj: Object) -> None:
        self._unlock(head)
        fields = head.fields
        if fields.get("sizes") != encrypted_format.sizes_digest(obj.parts):
            raise self._damage("its parts are not those that it was made of")
        self._upload, self._numbers = str(fields.get("upload")), fields.get("numbers")

    def _check_length(self, head: Header, obj: Object) -> None:
        joined = head.form == JOINED
        expected = head.length + sum(
            encrypted_format.framed_size(size) + (self._sealed.part_header if joined else 0)
            for size in self._sizes
        )
        stored = os.fstat(self._descriptor).st_size
        if head.size != obj.size or self._starts[-1] != obj.size:
            raise self._damage("its header is of another file")
        if stored != expected or bool(self._sealed.part_header) != joined:
            reason = f"its file has {stored} bytes where {expected} are needed"
            raise self._damage(reason)

    def _damage(self, reason: str) -> ObjectDamaged:
        return ObjectDamaged(what=self._name, reason=reason)


def _bases(info: EncryptionInfo, sizes: tuple[int, ...]) -> list[int]:
    """Return where the frames of each part begin."""
    steps = (encrypted_format.framed_size(size) + info.part_header for size in sizes)
    return list(accumulate(steps, initial=info.header + info.part_header))[: len(sizes)]


def _decrypt_frames(
    descriptor: int, base: int, cipher: AESGCM, first: int, last: int, size: int
) -> Iterator[bytes]:
    """Yield frames `first` to before `last` of a content of `size` bytes, in batches.

    Raises InvalidTag for a frame that was changed, EOFError for one that is missing.
    """
    for batch in range(first, last, BATCH):
        end = min(batch + BATCH, last)
        count = min(end * (FRAME + TAG), encrypted_format.framed_size(size)) - batch * (FRAME + TAG)
        raw = os.pread(descriptor, count, base + batch * (FRAME + TAG))
        if len(raw) < count:
            raise EOFError
        yield b"".join(
            cipher.decrypt(encrypted_format.nonce(number), raw[at : at + FRAME + TAG], None)
            for number, at in zip(range(batch, end), range(0, count, FRAME + TAG), strict=True)
        )


# --- objects made of parts ---------------------------------------------------------------------


def part_name(upload_id: str, number: int) -> str:
    """Return the name of a part in its header; all names are equally long."""
    return f"{upload_id}/{number:05}"


def build_joined_header(
    seal: tuple[Wrapping, str],
    encryption: EncryptionRecord,
    upload_id: str,
    e_tag: str,
    numbers: list[int],
    sizes: tuple[int, ...],
) -> bytes:
    """Return the header of an object made of parts, which comes before them."""
    wrapping, mark = seal
    kind, name, bucket_key = encryption["kind"], encryption["name"], encryption["bucket_key"]
    public = {"kind": kind, "name": name, "bucket_key": bucket_key}
    plain = numbers == list(range(1, len(numbers) + 1))
    fields = {
        **{key: value for key, value in public.items() if value},
        "mark": mark,
        "salt": encrypted_format.new_salt(),
        "upload": upload_id,
        "e_tag": e_tag,
        "parts": len(sizes),
        "sizes": encrypted_format.sizes_digest(sizes),
        **({} if plain else {"numbers": numbers}),
    }
    nothing = bytes(KEY_BYTES)
    return encrypted_format.build(
        JOINED, sum(sizes), encrypted_format.NO_TAG, fields, wrapping, nothing
    )


def recover(descriptor: int, obj: Object) -> Object | None:
    """Return an object whose attributes were lost, from the header of its file; None if it is
    plain.

    The header is verified when the object is read; one that was cut short can't be.
    """
    stored, start = os.fstat(descriptor).st_size, os.pread(descriptor, len(MAGIC), 0)
    cut = obj.sealed is not None and MAGIC.startswith(start)
    if start != MAGIC and not cut:
        return None
    head = encrypted_format.read(descriptor)
    if head is None:
        known = obj.sealed or EncryptionInfo(AES256, stored, 0)
        e_tag = hashlib.md5(start, usedforsecurity=False).hexdigest()
        return replace(obj, e_tag=e_tag, sealed=replace(known, stored=stored))
    fields = head.fields
    kind, name = str(fields.get("kind")), str(fields.get("name", ""))
    sizes, part_header = _read_parts(descriptor, head) if head.form == JOINED else ((), 0)
    e_tag = str(fields.get("e_tag")) if head.form == JOINED else head.e_tag.hex()
    info = EncryptionInfo(
        kind, stored, head.length, part_header, name, bool(fields.get("bucket_key"))
    )
    return replace(
        obj,
        size=head.size,
        e_tag=e_tag,
        parts=sizes,
        upload_id=str(fields.get("upload", "")),
        sealed=info,
    )


def _read_parts(descriptor: int, head: Header) -> tuple[tuple[int, ...], int]:
    sizes, offset, length = [], head.length, 0
    while (part := encrypted_format.read(descriptor, offset)) is not None and part.form == WHOLE:
        sizes.append(part.size)
        offset, length = offset + part.stored, part.length
    return tuple(sizes), length
