"""Every filter that AWS documents, or that euca2ools lets a user type, is known by its name."""

import json
from pathlib import Path

import pytest

from eucabox.errors import InvalidParameterValue
from tests.actions.stand_ins import World

# Collected from the documentation of the EC2 model of botocore 1.44.5 and from euca2ools 3.4.
DOCUMENTED = json.loads((Path(__file__).parent / "filters.json").read_text())


@pytest.mark.not_fast
@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_filters_are_known(world: World, name: str) -> None:
    world.run()
    for known in [*DOCUMENTED[name], "tag:a", "tag-key", "tag-value"]:
        world.do(name, filters=[{"name": known, "values": ["*"]}])
    with pytest.raises(InvalidParameterValue, match="The filters that find something here are"):
        world.do(name, filters=[{"name": "colour", "values": ["*"]}])
