"""The shapes of a service's model, made of their definitions as they are looked at; botocore's own
classes of the same names would load its HTTP client."""

import marshal
import zlib
from bisect import bisect
from functools import cached_property, lru_cache
from typing import Any

Document = dict[str, Any]  # in the JSON of botocore's models

GROUP = 64  # definitions that are compressed together
MOST_OPEN = 8  # groups; the shapes of an operation stand beside each other
SERIALIZATION = (
    *("location", "locationName", "queryName", "flattened", "payload", "eventstream"),
    *("timestampFormat", "xmlNamespace", "resultWrapper", "xmlAttribute"),
)
METADATA = ("required", "sensitive", "enum")


def pack(definition: Document) -> bytes:
    """Pack a definition into a fifth of the memory: of thousands few are ever looked at."""
    return marshal.dumps(definition)


def unpack(packed: bytes) -> Document:
    """Return the definition that was packed."""
    definition: Document = marshal.loads(packed)  # noqa: S302  # `pack` made it
    return definition


class Definitions:
    """What a service defines by names, compressed: of thousands few are ever looked at."""

    def __init__(self, packed: dict[str, bytes]) -> None:
        names = sorted(packed)
        starts = range(0, len(names), GROUP)
        groups = [names[start : start + GROUP] for start in starts]
        self._firsts = [group[0] for group in groups]
        self._groups = [
            zlib.compress(pack({name: packed[name] for name in group}), zlib.Z_BEST_SPEED)
            for group in groups
        ]
        self._open = lru_cache(MOST_OPEN)(lambda n: unpack(zlib.decompress(self._groups[n])))

    def __getitem__(self, name: str) -> Document:
        group = self._open(bisect(self._firsts, name) - 1)
        return unpack(group[name])


def find_shape(reference: Document, shapes: Definitions) -> "Shape":
    """Return the shape that a reference names, with the reference's own traits."""
    name = reference["shape"]
    definition = {**shapes[name], **reference}
    return KINDS.get(definition["type"], Shape)(name, definition, shapes)


class Shape:
    """What a value is: its type, how it travels (`serialization`, in which locationName is `name`)
    and what else is known of it."""

    def __init__(self, name: str, definition: Document, shapes: Definitions) -> None:
        self.name = name
        self.type_name: str = definition["type"]
        self._definition = definition
        self._shapes = shapes

    @cached_property
    def serialization(self) -> Document:
        """The traits that say how a value travels."""
        traits = _pick_traits(self._definition, SERIALIZATION)
        if "locationName" in traits:
            traits["name"] = traits.pop("locationName")
        return traits

    @cached_property
    def metadata(self) -> Document:
        """The traits that say what a value may be."""
        return _pick_traits(self._definition, METADATA)

    def _find(self, key: str) -> "Shape":
        return find_shape(self._definition[key], self._shapes)


class StructureShape(Shape):
    """A value with members."""

    @cached_property
    def members(self) -> dict[str, Shape]:
        """The members' shapes by their names."""
        references: dict[str, Document] = self._definition.get("members", {})
        return {name: find_shape(each, self._shapes) for name, each in references.items()}

    @property
    def required_members(self) -> list[str]:
        """The names of members that must be there."""
        names: list[str] = self.metadata.get("required", [])
        return names


class ListShape(Shape):
    """A value with entries, all of one shape."""

    @cached_property
    def member(self) -> Shape:
        """The shape of an entry."""
        return self._find("member")


class MapShape(Shape):
    """A value with keys and values."""

    @cached_property
    def key(self) -> Shape:
        """The shape of a key."""
        return self._find("key")

    @cached_property
    def value(self) -> Shape:
        """The shape of a value."""
        return self._find("value")


KINDS: dict[str, type[Shape]] = {"structure": StructureShape, "list": ListShape, "map": MapShape}


def _pick_traits(definition: Document, names: tuple[str, ...]) -> Document:
    return {name: definition[name] for name in names if name in definition}
