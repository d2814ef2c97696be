"""The services' shapes: botocore's models with our extras merged in; never touches a value."""

import gzip
import json
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore
from botocore.model import OperationModel, ServiceModel, Shape

Document = dict[str, Any]  # in the JSON of botocore's models
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
        self._model = ServiceModel(description, name)
        self._extras = extras
        self._operations: dict[str, Operation] = {}

    @cached_property
    def version(self) -> str:
        """The model's API version, such as 2016-11-15."""
        return str(self._model.metadata["apiVersion"])

    @cached_property
    def protocol(self) -> str:
        """How the service is spoken: ec2, query or rest-xml."""
        return str(self._model.metadata["protocol"])

    @cached_property
    def namespace(self) -> str:
        """The XML namespace of answers in the model's own version ('' for EC2)."""
        return str(self._model.metadata.get("xmlNamespace", ""))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all operations."""
        return frozenset(self._model.operation_names)

    def operation(self, name: str) -> "Operation | None":
        """Return an operation, or None where the model has none of that name."""
        if name not in self.names:
            return None
        operation = self._operations.get(name)
        if operation is None:
            model = self._model.operation_model(name)
            operation = self._operations.setdefault(name, Operation(self, model, self._extras))
        return operation

    def get_known(self, name: str) -> "Operation":
        """Return an operation that the model is known to have."""
        operation = self.operation(name)
        assert operation is not None, name
        return operation


class Operation:
    """One operation: its input and output shapes (None where there is none) and its HTTP trait."""

    def __init__(self, service: WireModel, model: OperationModel, extras: Document) -> None:
        self.service = service
        self.model = model
        self.name = str(model.name)
        ignored = extras.get("ignored", {})
        self.ignored = frozenset([*ignored.get(ANY, ()), *ignored.get(self.name, ())])
        self.since: dict[str, str] = extras.get("since", {}).get(self.name, {})

    @cached_property
    def input(self) -> Shape | None:
        """What a request carries."""
        return self.model.input_shape

    @cached_property
    def output(self) -> Shape | None:
        """What an answer carries."""
        return self.model.output_shape

    @cached_property
    def http(self) -> Mapping[str, Any]:
        """The method, the URI template and, for some, the status of a REST operation."""
        return dict(self.model.http)


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


def _load(name: str, version: str) -> WireModel:
    if version:
        return WireModel(name, _read(_model_file(MODELS / name, version)), {})
    file = EXTRAS / f"{name}.json"
    extras = _read(file) if file.exists() else {}
    description = extras.get("model") or _read(_model_file(MODELS / name, version))
    merge(description, extras.get("merge", {}))
    for shape, members in extras.get("reshaped", {}).items():
        for member, other in members.items():  # clients send more than the model has
            description["shapes"][shape]["members"][member]["shape"] = other
    return WireModel(name, description, extras)


def _model_file(folder: Path, version: str) -> Path:
    dated = folder / (version or max(each.name for each in folder.iterdir() if each.is_dir()))
    packed = dated / "service-2.json.gz"
    return packed if packed.exists() else dated / "service-2.json"


def _read(file: Path) -> Document:
    content = file.read_bytes()
    text = gzip.decompress(content) if file.suffix == ".gz" else content
    document: Document = json.loads(text, object_hook=_drop_documentation)
    return document


def _drop_documentation(node: Document) -> Document:
    """Drop the documentation: it is half of a model."""
    if isinstance(node.get("documentation"), str):
        del node["documentation"]
    return node


def merge(base: Document, extra: Document) -> None:
    """Add to a model what it lacks, at every depth; what it has stays, as botocore may be newer."""
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base.setdefault(key, value)
