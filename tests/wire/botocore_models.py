"""Our models as botocore has them, for its serializers and parsers, which are the judges."""

from botocore.model import ServiceModel

from eucabox.wire.model import WireModel
from eucabox.wire.shapes import Definitions, Document, unpack


def list_definitions(definitions: Definitions) -> dict[str, Document]:
    """Return all definitions by their names."""
    groups = [definitions._open(number) for number in range(len(definitions._groups))]
    return {name: unpack(packed) for group in groups for name, packed in group.items()}


def to_botocore(known: WireModel) -> ServiceModel:
    """Return a service with our extras as botocore's own classes."""
    document = {
        "metadata": known._metadata,
        "operations": list_definitions(known._definitions),
        "shapes": list_definitions(known.shapes),
    }
    return ServiceModel(document, known.name)
