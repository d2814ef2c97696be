"""A client that launches, stops, starts, tags and terminates instances."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from tests.live.kills.history import NOTHING
from tests.live.kills.things import Lost, Things, own_tag, whole
from tests.live.kills.worker import Worker

GUESTS, KEY = "guests", "launched"  # the group of all instances, and their key pair
IMAGES = "kill-images"
RUNNING, STOPPED, GONE = "running", "stopped", "terminated"
NOT_YET = ("IncorrectInstanceState",)
MOST = 2  # instances at a time
MIB = 1 << 20


def halting_disk(label: str) -> bytes:
    """Return a disk whose boot sector halts the processor: a guest that costs nothing."""
    entry = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") * 2
    code = bytes([0xFA, 0xF4, 0xEB, 0xFD])  # cli, hlt, again
    sector = code.ljust(446, b"\0") + entry + bytes(48) + b"\x55\xaa"
    return sector + label.encode().ljust(512, b"\0") + bytes(MIB)


def name(token: str, index: int) -> str:
    """Return the name of one instance of a launch."""
    return f"{token}.{index}"


def list_alive(things: Things) -> list[str]:
    """Return the instances that were not terminated."""
    known = things.names("instance")
    return [each for each in known if things.value("instance", each) != GONE]


def list_steps(things: Things) -> list[str]:
    """Return what can be done next with the instances that there are."""
    alive = list_alive(things)
    steps = ["launch_some"] * 2 if len(alive) < MOST else []
    steps += ["end_some", "stop_one", "mark_one"] if alive else []
    stopped = any(things.value("instance", each) == STOPPED for each in alive)
    return [*steps, "start_one", "start_one"] if stopped else steps


class Launches(Worker):
    """The only writer of instances. `images` are those that it launches."""

    def __init__(self, things: Things, seed: str, ec2: Any, images: list[str], first: str) -> None:
        super().__init__(things.world, seed)
        self.things, self.ec2, self.images, self.first = things, ec2, images, first

    def act(self) -> None:
        self.doing = self.first or self.chance.choice(list_steps(self.things))
        if not self.first:
            self.over.wait(self.chance.random() * 0.5)
        self.first = ""
        if not self.over.is_set():
            getattr(self, self.doing)(list_alive(self.things))

    def _state(self, instance: str) -> str:
        return self.things.value("instance", instance)

    def launch_some(self, alive: list[str]) -> None:
        count = self.chance.randint(1, MOST - len(alive))
        request = self._make_request(self.world.label("launch"), count)
        launch(self.things, self.ec2, request)

    def _make_request(self, token: str, count: int) -> dict[str, Any]:
        tags = [{"Key": "own", "Value": token}]
        return {
            "ImageId": self.chance.choice(self.images),
            "InstanceType": "m1.tiny",
            "MinCount": count,
            "MaxCount": count,
            "KeyName": KEY,
            "SecurityGroups": [GUESTS],
            "UserData": token,
            "ClientToken": token,
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
        }

    def end_some(self, alive: list[str]) -> None:
        chosen = self.chance.sample(alive, self.chance.randint(1, len(alive)))
        self._change("terminate", chosen, GONE, self.ec2.terminate_instances)

    def stop_one(self, alive: list[str]) -> None:
        chosen = [each for each in alive if self._state(each) == RUNNING][:1]
        if chosen:
            self._change("stop", chosen, STOPPED, self.ec2.stop_instances, Force=True)

    def start_one(self, alive: list[str]) -> None:
        chosen = [each for each in alive if self._state(each) == STOPPED][:1]
        if chosen:
            self._change("start", chosen, RUNNING, self.ec2.start_instances)

    def _change(self, what: str, chosen: list[str], value: str, send: Any, **members: bool) -> None:
        instance_ids = [self.things.ids["instance", each] for each in chosen]
        ask = lambda: send(InstanceIds=instance_ids, **members)  # noqa: E731
        values = {("instance", each): value for each in chosen}
        self.things.write(f"{what} instance", values, ask, NOT_YET)

    def mark_one(self, alive: list[str]) -> None:
        instance = self.chance.choice(alive)
        label = self.world.label("mark")
        resource = self.things.ids["instance", instance]
        tags = [{"Key": "mark", "Value": label}]
        ask = lambda: self.ec2.create_tags(Resources=[resource], Tags=tags)  # noqa: E731
        self.things.write("mark instance", {("instance mark", instance): label}, ask)


def launch(things: Things, ec2: Any, request: Mapping[str, Any]) -> None:
    """Launch, and remember a launch whose answer is lost, so that it can be asked for again."""
    token = request["ClientToken"]
    names = [name(token, index) for index in range(request["MinCount"])]
    values = {("instance", each): RUNNING for each in names}
    try:
        made = things.write("launch", values, lambda: ec2.run_instances(**request))
    except Lost:
        things.launches[token] = request
        raise
    for each in made["Instances"]:
        things.ids["instance", name(token, each["AmiLaunchIndex"])] = each["InstanceId"]


# --- what is listed ------------------------------------------------------------------------------


def listed(ec2: Any) -> Iterator[Any]:
    for reservation in ec2.describe_instances()["Reservations"]:
        yield from reservation["Instances"]


def compare(things: Things, ec2: Any) -> None:
    """Compare the instances, none of which is on its way, with what may be there."""
    found, marks = {}, {}
    for each in listed(ec2):
        known = name(own_tag(each.get("Tags", ())), each["AmiLaunchIndex"])
        found[known] = _instance(ec2, each)
        things.ids["instance", known] = each["InstanceId"]
        if found[known] != GONE:
            marks[known] = own_tag(each["Tags"], "mark")
    _forget_ended(things, found.keys())
    things.compare("instance", found)
    things.compare_groups()
    ended = [known for known in things.names("instance mark") if known not in marks]
    for known in ended:  # its tags are nothing that a client would miss
        things.registers.pop(("instance mark", known), None)
    things.compare("instance mark", {known: mark for known, mark in marks.items() if mark})


def ask_again(things: Things, ec2: Any) -> None:
    """Ask once more for each launch whose answer was lost: it is the same one."""
    for token, request in list(things.launches.items()):
        del things.launches[token]
        before = {each["InstanceId"] for each in listed(ec2) if each.get("ClientToken") == token}
        ended = [things.value("instance", each) == GONE for each in _names_of(things, token)]
        if ended and all(ended):
            continue
        launch(things, ec2, request)
        after = {each["InstanceId"] for each in listed(ec2) if each.get("ClientToken") == token}
        if len(after) != request["MinCount"] or not before <= after:
            things.world.problem(f"{token} was {before}, and asked for again is {after}")
        things.world.count("launch asked for again" if before else "launch was not done")


def _names_of(things: Things, token: str) -> list[str]:
    return [each for each in things.names("instance") if each.partition(".")[0] == token]


def _forget_ended(things: Things, found: Any) -> None:
    """An instance that ended is listed for a while only."""
    for each in things.names("instance"):
        register = things.registers["instance", each]
        if each not in found and register.find(GONE):
            register.settle(NOTHING, 0)


def _instance(ec2: Any, row: Mapping[str, Any]) -> str:
    """Return an instance's state, or what is torn of it."""
    state, token = row["State"]["Name"], row.get("ClientToken", "")
    reason = row.get("StateReason", {}).get("Code", "Client.UserInitiatedShutdown")
    if state == GONE and reason == "Client.UserInitiatedShutdown":
        return GONE
    names = {each["GroupName"] for each in row["SecurityGroups"]}
    torn = whole(token, tag=own_tag(row.get("Tags", ())), data=_user_data(ec2, row["InstanceId"]))
    if torn == token and names == {GUESTS} and row.get("KeyName") == KEY and state in _SETTLED:
        return str(state)
    return f"torn: {torn}, {state}, {row.get('StateReason')}, {names}, {row.get('KeyName')}"


_SETTLED = (RUNNING, STOPPED)


def _user_data(ec2: Any, instance_id: str) -> str:
    answer = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    return base64.b64decode(answer["UserData"].get("Value", "")).decode()
