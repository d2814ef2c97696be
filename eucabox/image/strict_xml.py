"""A small, strict XML tree with byte positions; never expands an entity or fetches anything."""

from dataclasses import dataclass, field
from xml.parsers import expat

DEPTH = 16
MOST_TAGS = 400_000  # that begin or end an element; a manifest of 50,000 parts has 300,000
MOST_ATTRIBUTES = 400_000


class XmlError(Exception):
    """The text is no XML that we accept; the argument says why."""


@dataclass(slots=True)
class Element:
    """An element, and where it stands in the bytes it was read from."""

    tag: str
    attributes: dict[str, str]
    start: int
    end: int = 0
    pieces: list[str] = field(default_factory=list)
    children: list["Element"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text between its tags, without that of its children."""
        return "".join(self.pieces)

    def all(self, tag: str) -> list["Element"]:
        """Return the children of that name."""
        return [child for child in self.children if child.tag == tag]

    def find(self, *path: str) -> "Element | None":
        """Return the one element at a path of names, or None; XmlError where there are two."""
        element = self
        for tag in path:
            matches = element.all(tag)
            if len(matches) > 1:
                raise XmlError(f"it has {len(matches)} elements {tag} where one belongs")
            if not matches:
                return None
            element = matches[0]
        return element


def parse(raw: bytes) -> Element:
    """Read a document into its root element; raises XmlError."""
    for mark, most in ((b"<", MOST_TAGS), (b"=", MOST_ATTRIBUTES)):
        if raw.count(mark) > most:
            raise XmlError(f"it has more than {most} times the character {mark.decode()}")
    reader = _TreeBuilder(raw)
    parser = reader.parser
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as problem:
        raise XmlError(f"it is not well-formed XML ({problem})") from None
    except (LookupError, ValueError):  # ... or one of several bytes a character
        raise XmlError("it is in an encoding that is not known here; write it in UTF-8") from None
    return reader.root.children[0]


class _TreeBuilder:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.root = Element("", {}, 0)
        self.open = [self.root]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) > DEPTH:
            raise XmlError(f"its elements lie deeper than {DEPTH} levels")
        element = Element(tag, attributes, self.parser.CurrentByteIndex)
        self.open[-1].children.append(element)
        self.open.append(element)

    def _end(self, tag: str) -> None:
        element = self.open.pop()
        element.end = self.raw.find(b">", self.parser.CurrentByteIndex) + 1

    def _text(self, text: str) -> None:
        if len(self.open) > 1:
            self.open[-1].pieces.append(text)

    def _doctype(self, *declaration: object) -> None:
        raise XmlError("it has a document type declaration, which manifests never have")
