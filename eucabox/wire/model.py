"""The services' shapes: botocore's models with our extras merged in; never touches a value."""

import gzip
import json
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore

from eucabox.wire.shapes import Definitions, Document, Shape, find_shape, pack, unpack

MODELS = Path(botocore.__file__).parent / "data"
EXTRAS = Path(__file__).parent / "extras"
ANY = "*"

_loading = threading.Lock()
_services: dict[tuple[str, str], "WireModel"] = {}


class WireModel:
    """One service in one version: its operations by name, loaded once and shared by threads.

    Beside what is merged into the model, our extras list by operation: `ignored`, the harmless
    parameters that the model does not know, and `since`, the version in which a member of the
    answer came. A service that only Eucalyptus has is in our extras as a whole, as `model`.
    """

    def __init__(self, name: str, description: Document, extras: Document) -> None:
        self.name = name
        self.names = frozenset(description["operations"])  # of all operations
        self.shapes = Definitions(description["shapes"])
        self._metadata: Document = description["metadata"]
        self._definitions = Definitions(description["operations"])
        self._extras = extras
        self._operations: dict[str, Operation] = {}

    @cached_property
    def version(self) -> str:
        """The model's API version, such as 2016-11-15."""
        return str(self._metadata["apiVersion"])

    @cached_property
    def protocol(self) -> str:
        """How the service is spoken: ec2, query or rest-xml."""
        return str(self._metadata["protocol"])

    @cached_property
    def namespace(self) -> str:
        """The XML namespace of answers in the model's own version ('' for EC2)."""
        return str(self._metadata.get("xmlNamespace", ""))

    def operation(self, name: str) -> "Operation | None":
        """Return an operation, or None where the model has none of that name."""
        if name not in self.names:
            return None
        operation = self._operations.get(name)
        if operation is None:
            definition = self._definitions[name]
            made = Operation(self, name, definition, self._extras)
            operation = self._operations.setdefault(name, made)
        return operation

    def get_known(self, name: str) -> "Operation":
        """Return an operation that the model is known to have."""
        operation = self.operation(name)
        assert operation is not None, name
        return operation


class Operation:
    """One operation: its input and output shapes (None where there is none) and its HTTP trait."""

    def __init__(
        self, service: WireModel, name: str, definition: Document, extras: Document
    ) -> None:
        self.service = service
        self.name = name
        self.http: Mapping[str, Any] = definition.get("http", {})
        self.deprecated = bool(definition.get("deprecated"))
        self._definition = definition
        ignored = extras.get("ignored", {})
        self.ignored = frozenset([*ignored.get(ANY, ()), *ignored.get(name, ())])
        self.since: dict[str, str] = extras.get("since", {}).get(name, {})

    # Made anew each time: a reader or a writer is compiled of a shape once and needs it no more.

    @property
    def input(self) -> Shape | None:
        """What a request carries."""
        return self._find("input")

    @property
    def output(self) -> Shape | None:
        """What an answer carries."""
        return self._find("output")

    def _find(self, key: str) -> Shape | None:
        reference = self._definition.get(key)
        return find_shape(reference, self.service.shapes) if reference else None


def service(name: str, version: str = "") -> WireModel:
    """Return a service of the installed botocore; without a version the newest, with our extras.

    Raises FileNotFoundError for a service or a version that botocore does not have.
    """
    loaded = _services.get((name, version))
    if loaded is None:
        with _loading:
            loaded = _services.get((name, version)) or _load(name, version)
            _services[name, version] = loaded
    return loaded


def load() -> None:
    """Load what the first request of each service would otherwise wait for."""
    for name in ("s3", "sts", "ec2"):  # the largest last, for which the others would wait
        service(name)


def list_services() -> list[str]:
    """Return the names of all services that the installed botocore has."""
    return [each.name for each in MODELS.iterdir() if each.is_dir()]


def _load(name: str, version: str) -> WireModel:
    if version:
        return WireModel(name, _read(_model_file(MODELS / name, version)), {})
    file = EXTRAS / f"{name}.json"
    extras = json.loads(file.read_bytes()) if file.exists() else {}
    own = extras.pop("model", None)
    description = _pack_all(own) if own else _read(_model_file(MODELS / name, version))
    _add_extras(description, extras.pop("merge", {}))
    for shape, members in extras.get("reshaped", {}).items():
        definition = unpack(description["shapes"][shape])
        for member, other in members.items():  # clients send more than the model has
            definition["members"][member]["shape"] = other
        description["shapes"][shape] = pack(definition)
    return WireModel(name, description, extras)


def _model_file(folder: Path, version: str) -> Path:
    dated = folder / (version or max(each.name for each in folder.iterdir() if each.is_dir()))
    packed = dated / "service-2.json.gz"
    return packed if packed.exists() else dated / "service-2.json"


def _read(file: Path) -> Document:
    content = file.read_bytes()
    text = gzip.decompress(content) if file.suffix == ".gz" else content
    document: Document = json.loads(text, object_hook=_pack_definition)
    return document


def _pack_definition(node: Document) -> Document | bytes:
    """Pack each operation and each shape as soon as it is read, so that no whole model is ever in
    memory, and without its documentation, which is half of a model."""
    if isinstance(node.get("documentation"), str):
        del node["documentation"]
    is_shape = isinstance(node.get("type"), str)
    return pack(node) if is_shape or "requestUri" in node.get("http", ()) else node


def _pack_all(description: Document) -> Document:
    for kind in ("operations", "shapes"):
        description[kind] = {name: pack(each) for name, each in description[kind].items()}
    return description


def _add_extras(description: Document, extra: Document) -> None:
    for kind, definitions in extra.items():
        packed = description[kind]
        for name, more in definitions.items():
            definition = unpack(packed[name]) if name in packed else {}
            merge(definition, more)
            packed[name] = pack(definition)


def merge(base: Document, extra: Document) -> None:
    """Add to a model what it lacks, at every depth; what it has stays, as botocore may be newer."""
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base.setdefault(key, value)
