"""The page of events, and what an instance's page draws: what each visitor sees of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox import ids
from eucabox.console.site import Console
from eucabox.domains.usage_sampler import UsageSample
from eucabox.events import Event, EventLog
from eucabox.iam.caller import Caller
from eucabox.state import State
from tests.console.conftest import Visit
from tests.domains.rows import add_instance

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(name="alice_visit")
def _alice_visit(console: Console, alice: Caller) -> Visit:
    visit = Visit(console)
    assert visit.sign_in("alice").status_code == 303
    return visit


@pytest.fixture(autouse=True)
def _events(console: Console, state: State, alice: Caller) -> Iterator[None]:
    log = EventLog(state)
    for number in range(120):
        log.record(event(alice.account_id, alice.label, str(number), resources=[f"i-{number}"]))
    log.record(
        event(alice.account_id, alice.label, "bad", outcome="AccessDenied", reason=HOSTILE,
              resources=[HOSTILE])
    )  # fmt: skip
    log.record(event("", "-", "of nobody", resources=["secret"]))
    log.close()
    yield


def event(account_id: str, user: str, request_id: str, **members: Any) -> Event:
    known = {"time": ids.now(), "service": "ec2", "action": "RunInstances"}
    return Event(
        account_id=account_id, user=user, request_id=request_id, **{**known, **members}
    )  # fmt: skip


@pytest.mark.not_fast
def test_an_account_sees_its_own_in_pages_and_the_administrator_all(
    alice_visit: Visit, admin_visit: Visit
) -> None:
    page = alice_visit.get("/events").text
    assert "i-119" in page and "i-10<" not in page and "secret" not in page
    assert 'data-from="/events/list" data-topics="events"' in page
    assert HOSTILE not in page and "&lt;script&gt;" in page
    assert 'name="account_name"' not in page
    older = page.partition(">Older<")[0].rpartition('href="')[2].partition('"')[0]
    second = alice_visit.get(older.replace("&amp;", "&")).text
    assert "i-70" in second and "i-119" not in second
    assert "data-from" not in second.partition('<main id="main">')[2], "an old page does not change"
    theirs = admin_visit.get("/events").text
    assert "secret" in theirs and "i-119" in theirs and 'name="account_name"' in theirs


@pytest.mark.not_fast
def test_filters_choose_and_stay_in_the_part_that_follows(alice_visit: Visit) -> None:
    page = alice_visit.get("/events?outcome=refused&account_name=eucalyptus").text
    assert "AccessDenied" in page and "i-119" not in page
    assert 'data-from="/events/list?outcome=refused"' in page
    part = alice_visit.get("/events/list?resource=i-7").text
    assert part.lstrip().startswith('<div id="events"') and "i-7<" in part and "i-8<" not in part
    assert "No event fits these fields." in alice_visit.get("/events?user=nobody").text
    assert alice_visit.get("/events?user=" + "x" * 300).status_code == 400
    assert alice_visit.get("/events?next_token=x").status_code == 400


@pytest.mark.not_fast
def test_an_account_that_is_not_there_is_said_beside_the_form(admin_visit: Visit) -> None:
    page = admin_visit.get("/events?account_name=nobody")
    assert page.status_code == 200
    assert "cannot be found" in page.text


@pytest.mark.not_fast
@pytest.mark.parametrize("since", ["zz", "2026-13-40", "0001-01-01T00:00%2B23:00", "9" * 30])
def test_a_time_that_is_none_is_said_beside_the_form(admin_visit: Visit, since: str) -> None:
    page = admin_visit.get(f"/events?since={since}")
    assert page.status_code == 200
    assert "Give an age such as 90s" in page.text


@pytest.mark.parametrize("since", ["2000", "2000-01", "2000-01-01", "3d", "2000-01-01T00:00:00Z"])
def test_times_and_ages_choose_events(alice_visit: Visit, since: str) -> None:
    page = alice_visit.get(f"/events?since={since}").text
    assert "No event fits" not in page


def test_the_usage_of_an_instance_is_drawn_for_its_owner_alone(
    console: Console, alice_visit: Visit, admin_visit: Visit, alice: Caller, state: State
) -> None:
    instance_id = add_instance(state, account_id=alice.account_id, state="running", vcpus=2)
    began = datetime(2026, 11, 30, 12, tzinfo=UTC)
    samples = [
        UsageSample(
            began + timedelta(seconds=20 * number), 0.5, 64 * 2**20, None, None, 2048.0, 0.0
        )
        for number in range(3)
    ]
    usage = SimpleNamespace(list_samples=lambda which, most: samples[-most:])
    lacking = SimpleNamespace(block_statistics="libvirt counts none")
    console.cloud.node = SimpleNamespace(usage=usage, capabilities=lacking)  # type: ignore[assignment]
    part = alice_visit.get(f"/instances/{instance_id}/usage").text
    assert part.count("<polyline") == 4, "CPU, memory, and the network in and out"
    assert "25 %" in part and "64 MiB" in part and "2.0 KiB/s" in part
    assert "Disk: libvirt counts none." in part
    assert 'points="237.3,35.0 238.7,35.0 240.0,35.0"' in part, "a quarter of the way up"
    assert 'data-topics="usage"' in part
    assert "style=" not in part
    samples.clear()
    assert "No samples yet" in alice_visit.get(f"/instances/{instance_id}/usage").text
    strange = alice_visit.get(f"/instances/{ids.new('i')}/usage")
    assert strange.status_code == 400 or strange.status_code == 404
