"""Values that fill every member of a shape, botocore's or ours, in its names and in ours."""

from datetime import UTC, datetime
from typing import Any

from botocore import xform_name

SCALARS: dict[str, Any] = {
    "string": "a <b> & \"c\" '\u00e9' \U0001f600",
    "character": "x",
    "boolean": True,
    "integer": 42,
    "long": 2**40,
    "float": 1.5,
    "double": 2.25,
    "timestamp": datetime(2026, 1, 31, 12, 30, 45, tzinfo=UTC),
    "blob": b"\x00\x01blob\xff",
}


def fill(shape: Any, skip: frozenset[str] = frozenset()) -> Any:
    """Fill a shape; members with a location in `skip` are left out."""
    if shape.type_name == "structure":
        return {
            name: fill(member, skip)
            for name, member in shape.members.items()
            if member.serialization.get("location") not in skip
        }
    if shape.type_name == "list":
        return [fill(shape.member, skip), fill(shape.member, skip)]
    if shape.type_name == "map":
        return {"one": fill(shape.value, skip), "two": fill(shape.value, skip)}
    if shape.name == "policyDocumentType":
        return "document"  # which travels encoded, and botocore's parser alone does not decode it
    return SCALARS[shape.type_name]


def ours(shape: Any, value: Any) -> Any:
    """The same value with snake_case names at every depth."""
    if shape.type_name == "structure":
        return {xform_name(name): ours(shape.members[name], each) for name, each in value.items()}
    if shape.type_name == "list":
        return [ours(shape.member, each) for each in value]
    if shape.type_name == "map":
        return {name: ours(shape.value, each) for name, each in value.items()}
    return value
