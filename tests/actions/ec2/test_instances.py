"""Instances are listed, filtered, paged, rebooted and ended as rows say."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox import errors, ids
from eucabox.domains.health import Trouble
from eucabox.ec2 import instances
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World, insert


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [
        each["instance_id"]
        for reservation in answer["reservations"]
        for each in reservation["instances"]
    ]


def filtered(world: World, name: str, *values: str) -> list[str]:
    filters = [{"name": name, "values": list(values)}]
    return ids_of(world.do("DescribeInstances", filters=filters))


def test_an_account_sees_its_own_instances_only(world: World) -> None:
    mine = world.run()["instances"][0]["instance_id"]
    other = world.run(BOB)["instances"][0]["instance_id"]
    assert ids_of(world.do("DescribeInstances")) == [mine]
    with pytest.raises(errors.InstanceNotFound):
        world.do("DescribeInstances", instance_ids=[other])


def test_the_administrator_sees_all_by_the_word_verbose(world: World) -> None:
    mine = world.run(ADMIN)["instances"][0]["instance_id"]
    other = world.run()["instances"][0]["instance_id"]
    assert ids_of(world.do("DescribeInstances", ADMIN)) == [mine]
    both = world.do("DescribeInstances", ADMIN, instance_ids=["verbose"])
    assert sorted(ids_of(both)) == sorted([mine, other])
    assert ids_of(world.do("DescribeInstances", ADMIN, instance_ids=[other])) == [other]
    assert ids_of(world.do("DescribeInstances", ALICE, instance_ids=["verbose"])) == [other]


@pytest.mark.parametrize("bad", ["i-xyz", "emi-12345678", "", "i-1234567", "I-12345678", "i-" * 99])
def test_a_malformed_id_is_named(world: World, bad: str) -> None:
    with pytest.raises(errors.InstanceIdMalformed):
        world.do("DescribeInstances", instance_ids=[bad])


def test_what_clients_read_is_there(world: World) -> None:
    world.run(key_name=world.do("CreateKeyPair", key_name="k", key_type="ed25519")["key_name"])
    (reservation,) = world.do("DescribeInstances")["reservations"]
    assert reservation["owner_id"] == reservation["requester_id"] == ALICE.account_id
    assert [group["group_name"] for group in reservation["groups"]] == ["default"]
    (instance,) = reservation["instances"]
    assert instance["state"] == {"code": 0, "name": "pending"}
    assert instance["key_name"] == "k"
    assert instance["monitoring"] == {"state": "disabled"}
    assert instance["private_ip_address"] == instance["public_ip_address"] == "172.30.64.4"
    assert instance["public_dns_name"] == "172.30.64.4"
    assert instance["root_device_type"] == "instance-store"
    assert instance["security_groups"] == reservation["groups"]
    assert instance["launch_time"].tzinfo is not None
    assert instance["placement"]["availability_zone"] == "eucabox-1a"
    assert instance["block_device_mappings"] == []


def test_filters_find_by_rows_groups_and_tags(world: World) -> None:
    group = world.do("CreateSecurityGroup", group_name="web", description="d")["group_id"]
    web = world.run(
        security_groups=["web"],
        monitoring={"enabled": True},
        tag_specifications=[
            {"resource_type": "instance", "tags": [{"key": "Name", "value": "front"}]}
        ],
    )["instances"][0]["instance_id"]
    plain = world.run(instance_type="m1.small")["instances"][0]["instance_id"]
    world.set_state(web, "running")
    assert filtered(world, "instance-state-name", "running", "stopped") == [web]
    assert filtered(world, "instance-state-code", "0") == [plain]
    assert filtered(world, "group-name", "we?") == [web]
    assert filtered(world, "instance.group-id", group) == [web]
    assert filtered(world, "tag:Name", "f*t") == [web]
    assert filtered(world, "tag-key", "Name") == [web]
    assert filtered(world, "monitoring-state", "enabled") == [web]
    assert filtered(world, "instance-type", "m1.s*") == [plain]
    assert filtered(world, "block-device-mapping.volume-id", "*") == []
    with pytest.raises(errors.InvalidParameterValue, match="no-such"):
        filtered(world, "no-such", "x")


def test_pages_neither_repeat_nor_lose(world: World) -> None:
    world.run(min_count=7, max_count=7)
    seen, token = [], None
    while True:
        answer = world.do("DescribeInstances", max_results=5, next_token=token)
        seen += ids_of(answer)
        token = answer["next_token"]
        if not token:
            break
    assert seen == ids_of(world.do("DescribeInstances"))
    assert len(set(seen)) == 7


def look(world: World) -> dict[str, Any]:
    (reservation,) = world.do("DescribeInstances")["reservations"]
    (instance,) = reservation["instances"]
    assert isinstance(instance, dict)
    return instance


def test_an_instance_looks_the_same_until_something_of_it_changes(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    looks = [look(world), look(world)]
    assert looks[0] is looks[1]
    world.do("CreateTags", resources=[instance_id], tags=[{"key": "Name", "value": "front"}])
    assert look(world)["tags"] == [{"key": "Name", "value": "front"}]
    world.set_state(instance_id, "running")
    assert look(world)["state"]["name"] == "running"
    world.node.troubles[instance_id] = Trouble("the disk is full", "2026-01-01T00:00:00Z")
    assert look(world)["state_reason"]["message"] == "Server.InternalError: the disk is full"
    world.node.troubles.clear()
    assert look(world)["state_reason"] is None
    assert looks[0] == looks[1] != look(world)


def test_no_more_looks_are_kept_than_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "MOST_SHOWN", 3)
    world.run(max_count=5)
    for _ in range(2):
        assert len(ids_of(world.do("DescribeInstances"))) == 5
        assert len(instances._shown) <= 3


def test_pages_of_named_instances_are_refused(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    with pytest.raises(errors.InvalidParameterCombination):
        world.do("DescribeInstances", instance_ids=[instance_id], max_results=5)


def test_terminate_is_told_at_once_and_may_be_repeated(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    woken = world.node.woken
    first = world.do("TerminateInstances", instance_ids=[instance_id, instance_id])
    (change,) = first["terminating_instances"]
    assert change["previous_state"]["name"] == "pending"
    assert change["current_state"] == {"code": 32, "name": "shutting-down"}
    assert world.node.woken > woken
    world.set_state(instance_id, "terminated")
    (change,) = world.do("TerminateInstances", instance_ids=[instance_id])["terminating_instances"]
    assert change["current_state"] == change["previous_state"] == {"code": 48, "name": "terminated"}
    (shown,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    assert shown["state_reason"]["code"] == "Client.UserInitiatedShutdown"
    assert shown["private_ip_address"] is None


def test_nothing_ends_when_one_id_is_wrong(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    with pytest.raises(errors.InstanceNotFound):
        world.do("TerminateInstances", instance_ids=[instance_id, "i-00000000000000000"])
    assert filtered(world, "instance-state-name", "pending") == [instance_id]


def test_a_protected_instance_ends_after_its_protection(world: World) -> None:
    instance_id = world.run(disable_api_termination=True)["instances"][0]["instance_id"]
    with pytest.raises(errors.TerminationProtected) as caught:
        world.do("TerminateInstances", instance_ids=[instance_id])
    assert caught.value.code == "OperationNotPermitted"
    world.do(
        "ModifyInstanceAttribute",
        instance_id=instance_id,
        disable_api_termination={"value": False},
    )
    world.do("TerminateInstances", instance_ids=[instance_id])


def test_the_administrator_may_end_any_instance(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    world.do("TerminateInstances", ADMIN, instance_ids=[instance_id])
    with pytest.raises(errors.InstanceNotFound):
        world.do("TerminateInstances", BOB, instance_ids=[instance_id])


def test_reboot_asks_for_every_instance_of_the_list(world: World) -> None:
    many = [each["instance_id"] for each in world.run(min_count=3, max_count=3)["instances"]]
    with pytest.raises(errors.IncorrectInstanceState):
        world.do("RebootInstances", instance_ids=many)
    for instance_id in many:
        world.set_state(instance_id, "running")
    world.do("RebootInstances", instance_ids=many)
    wanted = world.state.query("select wanted from instances")
    assert [row["wanted"] for row in wanted] == ["reboot"] * 3


def test_status_shows_running_instances_unless_all_are_asked(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    assert world.do("DescribeInstanceStatus")["instance_statuses"] == []
    (status,) = world.do("DescribeInstanceStatus", include_all_instances=True)["instance_statuses"]
    assert status["instance_status"]["status"] == "not-applicable"
    world.set_state(instance_id, "running")
    (status,) = world.do("DescribeInstanceStatus")["instance_statuses"]
    passed = {"status": "ok", "details": [{"name": "reachability", "status": "passed"}]}
    assert status["system_status"] == passed
    assert status["instance_status"]["status"] == "initializing", "nobody heard of the guest yet"
    world.network.heard.add(instance_id)
    (status,) = world.do("DescribeInstanceStatus")["instance_statuses"]
    assert status["instance_status"] == passed


def test_a_guest_that_is_never_heard_is_impaired(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    world.set_state(instance_id, "running")
    long_ago = ids.time_text(datetime.now(UTC) - timedelta(minutes=6))
    world.state.update(
        "instances", {"instance_id": instance_id}, state_time=long_ago, state_clock=""
    )
    silent = [{"name": "instance-status.reachability", "values": ["failed"]}]
    (status,) = world.do("DescribeInstanceStatus", filters=silent)["instance_statuses"]
    assert status["instance_status"]["status"] == "impaired"
    assert status["system_status"]["status"] == "ok"


@pytest.mark.not_fast
def test_a_thousand_instances_are_listed_by_few_queries(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, 1000)
    queries: list[str] = []
    query = world.state.query

    def counted(sql: str, *params: Any, at_once: bool = False) -> Any:
        queries.append(sql)
        return query(sql, *params, at_once=at_once)

    monkeypatch.setattr(world.state, "query", counted)
    times = []
    for _ in range(5):
        queries.clear()
        began = time.thread_time()
        assert len(ids_of(world.do("DescribeInstances"))) == 1000
        times.append(time.thread_time() - began)
    assert len(queries) == 3
    assert min(times) < 0.25, "five times the CPU that it takes on an idle machine"


def fill(world: World, count: int) -> None:
    """Write rows as RunInstances would, each with a group and two tags."""
    template = world.run()["instances"][0]["instance_id"]
    row = world.state.one("select * from instances where instance_id = ?", (template,))
    group = world.state.one("select group_id from security_groups")
    assert row is not None
    assert group is not None
    with world.state.transaction() as database:
        for number in range(count - 1):
            own: dict[str, Any] = {"instance_id": ids.new("i"), "domain_uuid": ids.domain_uuid()}
            own["ami_launch_index"] = number + 1
            insert(world.state, "instances", {**row, **own})
            insert(world.state, "instance_groups", {"instance_id": own["instance_id"], **group})
            for key in ("Name", "role"):
                database.conn.execute(
                    "insert into tags values (?, ?, 'instance', ?, 'v')",
                    (own["instance_id"], ALICE.account_id, key),
                )


def test_an_instance_shows_what_its_filters_know(world: World) -> None:
    plain = world.run()["instances"][0]
    assert plain["platform_details"] == "Linux/UNIX"
    assert (plain["boot_mode"], plain["current_instance_boot_mode"]) == (None, "legacy-bios")
    assert plain["enclave_options"] == {"enabled": False}
    assert plain["hibernation_options"] == {"configured": False}
    assert plain["maintenance_options"] == {"auto_recovery": "disabled"}
    assert plain["private_dns_name_options"]["hostname_type"] == "ip-name"
    assert plain["usage_operation"] == "RunInstances"
    assert plain["cpu_options"] == {"core_count": 1, "threads_per_core": 1}
    uefi = world.image(settings='{"boot_mode": "uefi-preferred"}', platform="windows")
    other = world.run(image_id=uefi)["instances"][0]
    assert (other["platform"], other["platform_details"]) == ("windows", "Windows")
    assert (other["boot_mode"], other["current_instance_boot_mode"]) == ("uefi-preferred", "uefi")
    only = [{"name": "boot-mode", "values": ["uefi*"]}]
    (reservation,) = world.do("DescribeInstances", filters=only)["reservations"]
    assert reservation["instances"][0]["instance_id"] == other["instance_id"]


def test_a_guest_in_trouble_is_impaired_and_says_why_and_since_when(world: World) -> None:
    sick, well = (world.run()["instances"][0]["instance_id"] for _ in range(2))
    for each in (sick, well):
        world.set_state(each, "running")
        world.network.heard.add(each)
    world.node.troubles[sick] = Trouble("The host's disk is full", "2026-11-23T01:02:03.000Z")
    shown = world.do("DescribeInstanceStatus")["instance_statuses"]
    status = next(each for each in shown if each["instance_id"] == sick)
    for check in ("system_status", "instance_status"):
        assert status[check]["status"] == "impaired"
        assert status[check]["details"][0]["impaired_since"].minute == 2
    assert [each["description"] for each in status["events"]] == ["The host's disk is full"]
    assert next(each for each in shown if each["instance_id"] == well)["events"] == []
    for filters, found in (
        ([{"name": "event.description", "values": ["*disk is full"]}], [sick]),
        ([{"name": "event.code", "values": ["system-maintenance"]}], [sick]),
        ([{"name": "event.code", "values": ["system-reboot"]}], []),
        ([{"name": "system-status.status", "values": ["impaired"]}], [sick]),
        ([{"name": "system-status.status", "values": ["ok"]}], [well]),
    ):
        rows = world.do("DescribeInstanceStatus", filters=filters)["instance_statuses"]
        assert [row["instance_id"] for row in rows] == found
    reason = described(world, sick)["state_reason"]
    assert reason["message"] == "Server.InternalError: The host's disk is full"
    assert described(world, well)["state_reason"] is None


def test_a_launch_in_the_queue_says_what_it_waits_for(world: World) -> None:
    first, second = (world.run()["instances"][0]["instance_id"] for _ in range(2))
    world.node.queued[second] = "Waits for one other launch"
    waits = {"code": "pending", "message": "pending: Waits for one other launch"}
    assert described(world, second)["state_reason"] == waits
    assert described(world, first)["state_reason"] is None
    queued = [{"name": "state-reason-code", "values": ["pending"]}]
    (reservation,) = world.do("DescribeInstances", filters=queued)["reservations"]
    assert [each["instance_id"] for each in reservation["instances"]] == [second]


def described(world: World, instance_id: str) -> dict[str, Any]:
    (reservation,) = world.do("DescribeInstances", instance_ids=[instance_id])["reservations"]
    (instance,) = reservation["instances"]
    found: dict[str, Any] = instance
    return found
