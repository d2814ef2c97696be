"""multipart/form-data as a stream: fields first, then a file; never holds the file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from eucabox import ascii_text
from eucabox.errors import (
    FormFieldsTooLarge,
    FormFileTooLarge,
    FormFileTooSmall,
    MalformedForm,
    OneFileWanted,
)
from eucabox.wire.request import BodyReader

MOST_FIELDS = 20 * 1024  # bytes before the file, as at S3; and as many after it
PIECE = 1 << 16
FILE = "file"
BOUNDARY = re.compile(
    r""";\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.ASCII | re.IGNORECASE
)
PARAMETER = re.compile(r""";\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""", re.ASCII)
EXTENDED = "filename*"  # and its value: charset'language'percent-encoded


@dataclass(frozen=True)
class FormPart:
    """The head of a part: its name in lower case, and the file's own name without folders."""

    name: str
    file_name: str


def parse_boundary(content_type: str) -> bytes:
    """The boundary that a Content-Type names; raises MalformedForm without one."""
    match = BOUNDARY.search(content_type)
    if not match:
        raise MalformedForm(reason="its Content-Type names no boundary.")
    return (match[1] or match[2]).encode("latin-1", "replace")


class Form:
    """A form that is being read. `sizes` are the least and the most bytes of the file."""

    def __init__(self, stream: BodyReader, boundary: bytes) -> None:
        self._stream = stream
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # so that the first boundary looks like the others
        self._budget = MOST_FIELDS
        self._count = 0
        self._done = False
        self.sizes: tuple[int, int] | None = None

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields before the file, names in lower case, then (FILE, its own name).

        Raises OneFileWanted if there is no file, FormFieldsTooLarge, MalformedForm.
        """
        self._skip_preamble()
        while (part := self._read_head()) is not None:
            if part.name == FILE:
                yield FILE, part.file_name
                return
            yield part.name, self._read_field()
        raise OneFileWanted(ArgumentName=FILE, ArgumentValue="0")

    def read(self, size: int, /) -> bytes:
        """Read the file; b"" at its end, when the rest of the form was found in order."""
        piece = b"" if self._done else self._read_content(size)
        self._count += len(piece)
        least, most = self.sizes or (0, self._count)
        if self._count > most:
            raise FormFileTooLarge(ProposedSize=self._count, MaxSizeAllowed=most)
        if not piece and not self._done:
            if self._count < least:
                raise FormFileTooSmall(ProposedSize=self._count, MinSizeAllowed=least)
            self._finish()
        return piece

    def _skip_preamble(self) -> None:
        while piece := self._read_content(PIECE):
            self._spend(len(piece))

    def _read_content(self, size: int) -> bytes:
        """Read at most `size` bytes of what precedes the next boundary; b"" if it comes next."""
        while True:
            at = self._buffer.find(self._delimiter)
            safe = at if at >= 0 else len(self._buffer) - len(self._delimiter) + 1
            if at == 0:
                return b""
            if safe > 0:
                count = min(size, safe)
                piece, self._buffer = self._buffer[:count], self._buffer[count:]
                return piece
            self._fill(max(size, PIECE))

    def _fill(self, size: int) -> None:
        piece = self._stream.read(size)
        if not piece:
            raise MalformedForm(reason="it ends without its last boundary.")
        self._buffer += piece

    def _read_head(self) -> FormPart | None:
        """Read a boundary and the head of the part behind it; None at the last boundary."""
        self._buffer = self._buffer[len(self._delimiter) :]
        while len(self._buffer) < 2:
            self._fill(PIECE)
        if self._buffer.startswith(b"--"):
            return None
        disposition = ""
        if ascii_text.strip(self._read_line()):
            raise MalformedForm(reason="a boundary does not end its line.")
        while line := self._read_line():
            name, _, value = line.partition(":")
            if ascii_text.lower(ascii_text.strip(name)) == "content-disposition":
                disposition = value
        parameters = _parse_parameters(disposition)
        if "name" not in parameters:
            raise MalformedForm(reason="a part has no name in its Content-Disposition.")
        return FormPart(ascii_text.lower(parameters["name"]), _file_name(parameters))

    def _read_line(self) -> str:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._check_budget(len(self._buffer))
            self._fill(PIECE)
        self._spend(end + 2)
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line.decode("utf-8", "replace")

    def _read_field(self) -> str:
        value = bytearray()
        while piece := self._read_content(PIECE):
            self._spend(len(piece))
            value += piece
        return value.decode("utf-8", "surrogateescape")

    def _spend(self, count: int) -> None:
        self._budget -= count
        self._check_budget(0)

    def _check_budget(self, count: int) -> None:
        if self._budget < count:
            raise FormFieldsTooLarge(limit=MOST_FIELDS)

    def _finish(self) -> None:
        """Read on to the end of the body: fields after the file mean nothing, a file is wrong."""
        self._done = True
        self._budget = MOST_FIELDS
        while (part := self._read_head()) is not None:
            if part.name == FILE:
                raise OneFileWanted(ArgumentName=FILE, ArgumentValue="2")
            self._read_field()
        while piece := self._stream.read(PIECE):
            self._spend(len(piece))


def _parse_parameters(disposition: str) -> dict[str, str]:
    """Read the parameters of a Content-Disposition; of a repeated one the first stays."""
    parameters: dict[str, str] = {}
    for name, quoted, bare in PARAMETER.findall(disposition):
        parameters.setdefault(ascii_text.lower(name), quoted.replace('\\"', '"') or bare)
    return parameters


def _file_name(parameters: Mapping[str, str]) -> str:
    _, apostrophe, encoded = parameters.get(EXTENDED, "").rpartition("'")
    whole = unquote(encoded) if apostrophe else parameters.get("filename", "")
    return whole.replace("\\", "/").rpartition("/")[2]
