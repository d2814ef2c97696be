"""The clients of a cloud whose power will be cut: the kill loop's, and those that write rows."""

import random
import threading
import time
from functools import partial
from typing import Any

from tests.live.kills.clients import Client
from tests.live.kills.history import Write
from tests.live.kills.world import BUCKETS, VERSIONED, Place
from tests.live.process import Running
from tests.power.plan import Plan
from tests.power.rows import KEEPER, KINDS, THERE, Kind
from tests.power.together import TogetherClient
from tests.power.world import NewVersion, PowerWorld

WRITER = ["put", "put", "put", "copy", "delete", "tag", "share"]
CREW = [WRITER, [*WRITER, "upload"], ["version", "version", "mark", "unversion"]]
LONG_TAGS = 0.3  # the share of tags that are long
LONG = [{"Key": "\u00fc" * 120 + str(each), "Value": "\u00e4" * 250} for each in range(9)]
REST = 0.5  # seconds
REMOVES = 0.4  # the share of requests that take away what is there
PARTITION = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") * 2
DISK_IMAGE = bytes(446) + PARTITION + bytes(48) + b"\x55\xaa" + bytes(1 << 20)
IMAGES = "images"


def prepare(cloud: Running) -> str:
    """Make what the clients take for granted; the id of an image to run."""
    s3, iam, ec2 = (cloud.client(each) for each in ("s3", "iam", "ec2"))
    for bucket in (*BUCKETS, VERSIONED, IMAGES):
        s3.create_bucket(Bucket=bucket)
    status = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration=status)
    iam.create_user(UserName=KEEPER)
    s3.put_object(Bucket=IMAGES, Key="disk.img", Body=DISK_IMAGE)
    image_id = str(ec2.register_image(ImageLocation=f"{IMAGES}/disk.img", Name="disk")["ImageId"])
    while ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"] == "pending":
        time.sleep(0.05)
    for each in (s3, iam, ec2):
        each.close()
    return image_id


class PowerClient(Client):
    """One of the kill loop's clients, whose versions tell when they were asked for. Some of its
    tags are so long that ext4 has no place for them beside the file."""

    world: PowerWorld

    def tag(self, place: Place) -> None:
        label = self.world.label("tag")
        long = LONG if self.chance.random() < LONG_TAGS else []
        tags = {"TagSet": [{"Key": "own", "Value": label}, *long]}
        ask = partial(self.s3.put_object_tagging, Tagging=tags)
        self._mark("tags", place, label, ask)

    def version(self, place: Place) -> None:
        label = self.world.label("version")
        self._ask_version(label, place[1], self.s3.put_object, **self._bodily(label))

    def mark(self, place: Place) -> None:
        self._ask_version(self.world.label("marker"), place[1], self.s3.delete_object)

    def rest(self, _: Place) -> None:
        time.sleep(REST)

    def _ask_version(self, label: str, key: str, request: Any, **members: Any) -> None:
        asked = NewVersion(label, key, Write(label, time.monotonic()))
        self.world.new_versions.append(asked)
        made = request(Bucket=VERSIONED, Key=key, **members)
        asked.write.ended, asked.version_id = time.monotonic(), made["VersionId"]
        self.world.unnamed[label] = key
        self._keep_version(key, made["VersionId"], label)


class RowClient(threading.Thread):
    """Writes the rows of some kinds, and no other client does."""

    def __init__(self, world: PowerWorld, kinds: list[Kind], seed: str) -> None:
        super().__init__(daemon=True)
        self.world, self.kinds = world, kinds
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self._there: dict[str, set[str]] = {each.title: set() for each in kinds}
        self._numbers = dict.fromkeys(self._there, 0)

    def run(self) -> None:
        while not self.over.is_set():
            kind = self.chance.choice(self.kinds)
            try:
                self._step(kind, self._there[kind.title])
            except Exception as error:  # a client that ends unseen would prove nothing
                self.world.problem(f"{kind.title}: {error!r}")

    def _step(self, kind: Kind, there: set[str]) -> None:
        name, label = self._choose(kind, there), self.world.label("row")
        value = label if kind.labelled else THERE
        ask = None
        if name not in there or (not kind.most and self.chance.random() > REMOVES):
            ask = kind.write(name, label, name in there)
        if ask is None:
            ask, value = kind.remove(name), kind.removed
        register = self.world.row(kind.title, name)
        if self.world.write(kind.title, register, value, ask) is not None:
            (there.discard if value == kind.removed else there.add)(name)

    def _choose(self, kind: Kind, there: set[str]) -> str:
        if not kind.most:
            return self.chance.choice(kind.names)
        if len(there) == kind.most or (there and self.chance.random() < REMOVES):
            return self.chance.choice(sorted(there))
        self._numbers[kind.title] += 1
        return f"{kind.title}-{self._numbers[kind.title]}"


def make_kinds(cloud: Running) -> list[Kind]:
    """Every kind of rows, of this cloud."""
    return [each(cloud) for each in KINDS]


def work(world: PowerWorld, cloud: Running, kinds: list[Kind], plan: Plan) -> None:
    """Let all clients work as long as is planned, and wait for the last answer of each."""
    ours = [cloud.client("s3", read_timeout=60) for _ in CREW]
    crew: list[PowerClient | RowClient | TogetherClient] = [
        PowerClient(world, s3, f"{plan.seed}.{number}", steps + ["rest"] * plan.rests)
        for number, (s3, steps) in enumerate(zip(ours, CREW, strict=True))
    ]
    halves = [kinds[each::2] for each in (0, 1)] if kinds else []
    crew += [RowClient(world, half, f"{plan.seed}.rows{at}") for at, half in enumerate(halves)]
    if plan.together:
        crew.append(TogetherClient(world, cloud, f"{plan.seed}.together"))
        crew += [
            PowerClient(world, s3, f"{plan.seed}.tags{number}", ["tag"])
            for number, s3 in enumerate(ours[:2])
        ]
    for client in crew:
        client.start()
    began = time.monotonic()
    while world.total() < plan.requests or time.monotonic() - began < plan.seconds:
        time.sleep(0.02)
        if world.problems:
            break
    for client in crew:
        client.over.set()
    for client in crew:
        client.join(60)
        if client.is_alive():
            world.problem("a client waits for a minute for its answer")
    for s3 in ours:
        s3.close()
