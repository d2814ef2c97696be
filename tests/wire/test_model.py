import gzip
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from eucabox.wire import model


def test_the_newest_version_is_found() -> None:
    assert model.service("ec2").version == "2016-11-15"
    assert model.service("ec2", "2015-10-01").version == "2015-10-01"
    assert model.service("s3").protocol == "rest-xml"
    assert model.service("sts").namespace == "https://sts.amazonaws.com/doc/2011-06-15/"


def test_an_operation_has_its_shapes_and_its_http_trait() -> None:
    found = model.service("s3").operation("PutObject")
    assert found is not None
    assert found.input is not None
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
    assert operation.input is not None
    value = operation.input.members["UserData"].members["Value"]
    assert value.type_name == "string", "euca2ools sends plain text where the model says base64"


def test_the_documentation_of_a_model_is_dropped() -> None:
    shape = model.service("s3").operation("PutObject")
    assert shape is not None
    assert shape.input is not None
    assert not shape.input.documentation
