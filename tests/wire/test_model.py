import gzip
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from eucabox.wire import model
from eucabox.wire.shapes import ListShape, MapShape, StructureShape
from tests.wire.botocore_models import list_definitions, to_botocore


@pytest.mark.not_fast
def test_the_newest_version_is_found() -> None:
    assert model.service("ec2").version == "2016-11-15"
    assert model.service("ec2", "2015-10-01").version == "2015-10-01"
    assert model.service("s3").protocol == "rest-xml"
    assert model.service("sts").namespace == "https://sts.amazonaws.com/doc/2011-06-15/"


def test_an_operation_has_its_shapes_and_its_http_trait() -> None:
    found = model.service("s3").operation("PutObject")
    assert found is not None
    assert isinstance(found.input, StructureShape)
    assert "Bucket" in found.input.members
    assert found.http["method"] == "PUT"
    assert model.service("ec2").operation("MakeCoffee") is None


def test_a_service_is_loaded_once_by_many_threads() -> None:
    seen: list[model.WireModel] = []
    threads = [threading.Thread(target=lambda: seen.append(model.service("sts"))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each) for each in seen}) == 1


def test_our_extras_are_in_the_newest_model() -> None:
    found = model.service("ec2").operation("DescribeInstanceTypes")
    assert found is not None
    assert "InstanceTypeDetails" in found.output.members  # type: ignore[union-attr]
    assert "Availability" in found.ignored
    register = model.service("ec2").operation("RegisterImage")
    assert register is not None
    assert "Platform" in register.input.members  # type: ignore[union-attr]


@pytest.mark.parametrize("file", sorted(model.EXTRAS.glob("*.json")), ids=lambda file: file.stem)
def test_extras_only_name_what_exists(file: Path) -> None:
    extras = json.loads(file.read_text())
    service = model.service(file.stem)
    assert set(extras) <= {"version", "model", "merge", "reshaped", "ignored", "since"}
    for name in [*extras.get("ignored", {}), *extras.get("since", {})]:
        assert name == model.ANY or service.operation(name)
    for name in service.names:
        operation = service.operation(name)
        assert operation is not None
        _ = operation.input, operation.output


def test_merging_adds_and_never_replaces() -> None:
    base: dict[str, Any] = {"shapes": {"A": {"type": "structure", "members": {"X": 1}}}}
    model.merge(base, {"shapes": {"A": {"members": {"X": 2, "Y": 3}}, "B": {"type": "string"}}})
    assert base == {
        "shapes": {
            "A": {"type": "structure", "members": {"X": 1, "Y": 3}},
            "B": {"type": "string"},
        }
    }


@pytest.mark.parametrize("packed", [True, False])
def test_models_are_read_packed_and_plain(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "metadata": {"apiVersion": "2001-01-01", "protocol": "query", "serviceId": "t"},
        "operations": {"Do": {"name": "Do", "http": {"method": "POST", "requestUri": "/"}}},
        "shapes": {},
    }
    folder = tmp_path / "tea" / "2001-01-01"
    folder.mkdir(parents=True)
    text = json.dumps(content).encode()
    name = "service-2.json.gz" if packed else "service-2.json"
    (folder / name).write_bytes(gzip.compress(text) if packed else text)
    monkeypatch.setattr(model, "MODELS", tmp_path)
    monkeypatch.setattr(model, "_services", {})
    found = model.service("tea").operation("Do")
    assert found is not None
    assert found.input is None


def test_a_service_that_botocore_lacks_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        model.service("no-such-service")


def test_user_data_is_read_as_it_is_sent() -> None:
    operation = model.service("ec2").operation("ModifyInstanceAttribute")
    assert operation is not None
    assert isinstance(operation.input, StructureShape)
    user_data = operation.input.members["UserData"]
    assert isinstance(user_data, StructureShape)
    value = user_data.members["Value"]
    assert value.type_name == "string", "euca2ools sends plain text where the model says base64"


def test_the_documentation_of_a_model_is_dropped() -> None:
    service = model.service("s3")
    for definition in [
        *list_definitions(service.shapes).values(),
        *list_definitions(service._definitions).values(),
    ]:
        assert "documentation" not in definition
        assert not any("documentation" in each for each in definition.get("members", {}).values())


@pytest.mark.parametrize("name", ["ec2", "iam", "s3", "s3control", "sts"])
def test_shapes_are_those_that_botocore_makes(name: str) -> None:
    known = model.service(name)
    theirs = to_botocore(known)
    for operation_name in known.names:
        operation, other = known.get_known(operation_name), theirs.operation_model(operation_name)
        assert (operation.http, operation.deprecated) == (other.http, bool(other.deprecated))
        _compare(operation.input, other.input_shape)
        _compare(operation.output, other.output_shape)


def _compare(ours: Any, theirs: Any, above: tuple[str, ...] = ()) -> None:
    if ours is None or theirs is None or ours.name in above:  # a shape may have itself inside
        assert (ours is None) == (theirs is None)
        return
    above = (*above, ours.name)
    assert (ours.name, ours.type_name) == (theirs.name, theirs.type_name)
    assert ours.serialization.items() <= theirs.serialization.items()
    assert ours.metadata.items() <= theirs.metadata.items()
    assert type(ours).__name__ == type(theirs).__name__.replace("StringShape", "Shape")
    if isinstance(ours, StructureShape):
        assert list(ours.members) == list(theirs.members)
        assert ours.required_members == theirs.required_members
        for name, member in ours.members.items():
            _compare(member, theirs.members[name], above)
    elif isinstance(ours, ListShape):
        _compare(ours.member, theirs.member, above)
    elif isinstance(ours, MapShape):
        _compare(ours.key, theirs.key, above)
        _compare(ours.value, theirs.value, above)
