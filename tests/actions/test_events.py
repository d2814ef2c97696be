"""DescribeEvents: an account's own, all for the administrator, in pages."""

from collections.abc import Iterator

import pytest

from eucabox.errors import Fault, InvalidParameterValue, NoSuchEntity
from eucabox.events import Event, EventLog
from tests.actions.people import People
from tests.actions.stand_ins import ADMIN, ALICE, BOB

SEE = {"Effect": "Allow", "Action": "bootstrap:DescribeEvents", "Resource": "*"}


@pytest.fixture(autouse=True)
def _events(people: People) -> Iterator[None]:
    log = EventLog(people.state)
    for number, root in enumerate((ALICE, BOB, ALICE, ALICE)):
        log.record(
            Event(
                time=f"2026-11-30T12:00:0{number}.000Z", account_id=root.account_id,
                user=root.label, service="ec2", action="RunInstances",
                resources=[f"i-{number}"], request_id=str(number),
            )
        )  # fmt: skip
    log.close()
    yield


def test_an_account_sees_its_own_and_the_administrator_all(people: People) -> None:
    def see(caller: object, **params: object) -> list[str]:
        events = people.do("bootstrap:DescribeEvents", caller, **params)["events"]  # type: ignore[arg-type]
        return [each["request_id"] for each in events]

    assert see(ALICE) == ["3", "2", "0"]
    assert see(ALICE, account_name="bob") == see(ALICE), "the name is the administrator's to give"
    assert see(BOB) == ["1"]
    assert see(ADMIN) == ["3", "2", "1", "0"]
    assert see(ADMIN, account_name="bob") == ["1"]
    assert see(ADMIN, resource="i-2") == see(ADMIN, since="2026-11-30T12:00:02", user="alice")[1:]
    with pytest.raises(NoSuchEntity):
        see(ADMIN, account_name="nobody")
    with pytest.raises(Fault):
        see(people.user("carol"))
    assert see(people.user("dora", SEE)) == ["3", "2", "0"]


def test_pages_go_on_where_the_last_one_ended(people: People) -> None:
    first = people.do("bootstrap:DescribeEvents", ADMIN, max_results=3)
    rest = people.do("bootstrap:DescribeEvents", ADMIN, next_token=first["next_token"])
    assert [each["request_id"] for each in rest["events"]] == ["0"]
    assert "next_token" not in rest
    (event,) = rest["events"]
    assert (event["event_name"], event["resources"], event["user"]) == (
        "RunInstances", ["i-0"], ALICE.label,
    )  # fmt: skip
    assert event["time"].isoformat() == "2026-11-30T12:00:00+00:00"


@pytest.mark.parametrize(
    "params",
    [
        {"max_results": 0}, {"max_results": 1000}, {"next_token": "x"}, {"next_token": "9" * 30},
        {"user": "x" * 1000},
    ],
    ids=str,
)  # fmt: skip
def test_bad_members_are_named(people: People, params: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterValue):
        people.do("bootstrap:DescribeEvents", ALICE, **params)
