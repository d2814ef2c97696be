"""A short form of `make test-attacks`: nobody stops the service for others."""

import pytest

from tests.live.attacks import world
from tests.live.attacks.__main__ import ATTACKS
from tests.live.process import Running

SECONDS = 3.0
pytestmark = pytest.mark.alone  # an honest client's wait is measured


@pytest.fixture(name="attacked", scope="module")
def _attacked(cloud: Running) -> Running:
    world.prepare(cloud)
    return cloud


@pytest.mark.parametrize("name", ATTACKS)
def test_an_honest_client_is_served_under(attacked: Running, name: str) -> None:
    found = world.under(attacked, ATTACKS[name], SECONDS)
    assert found.holds, found
