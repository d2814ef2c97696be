"""EC2 and IAM under kills: their clients, and what must hold of them after a restart."""

import random
import time
from dataclasses import replace

from botocore.exceptions import ClientError

from eucabox.errors import ProgramFailed
from eucabox.image.tiny_guest import build_tiny
from tests.live import guests
from tests.live.conftest import GUEST
from tests.live.kills import launches, people, resources, rows
from tests.live.kills.host import Host
from tests.live.kills.launches import GUESTS, IMAGES, KEY, halting_disk
from tests.live.kills.things import Things
from tests.live.kills.worker import Worker
from tests.live.kills.world import World
from tests.live.process import Running

PATIENCE = 60.0  # seconds for what is on its way to arrive
TIDY = 60.0  # seconds for the rest that the node does behind an instance's state
WITH_RULES = 0.3  # the share of kills after which the packet rules are looked at
ON_ITS_WAY = ("pending", "shutting-down", "stopping")


class Cloud:
    """What the clients of EC2 and IAM share."""

    def __init__(self, cloud: Running, world: World, images: list[str]) -> None:
        self.cloud, self.world, self.things = cloud, world, Things(world)
        services = ("ec2", "iam", "s3", "ec2")
        self.hands = [cloud.client(each, read_timeout=20) for each in services]
        self.ec2, self.iam = cloud.client("ec2"), cloud.client("iam")
        self.host = Host(cloud)
        self.images = images
        self.ec2.import_key_pair(
            KeyName=KEY,
            PublicKeyMaterial=resources.public_key(KEY).encode(),
            TagSpecifications=resources.specify("key-pair", KEY),
        )
        self.things.learn("key pair", KEY, KEY)
        made = self.ec2.create_security_group(GroupName=GUESTS, Description=GUESTS,
            TagSpecifications=resources.specify("security-group", GUESTS))  # fmt: skip
        self.things.learn("group", GUESTS, f"{GUESTS}:")
        self.things.ids["group", GUESTS] = made["GroupId"]

    def choose(self, chance: random.Random) -> str:
        """Return what the client of instances does first in the next round."""
        return chance.choice(launches.list_steps(self.things))

    def crew(self, seed: str, first: str) -> list[Worker]:
        """Return a client of each kind."""
        ec2, iam, s3, instances = self.hands
        return [
            resources.Resources(self.things, f"{seed}.resources", ec2, s3),
            people.People(self.things, f"{seed}.people", iam),
            launches.Launches(self.things, f"{seed}.launches", instances, self.images, first),
        ]

    def check(self, chance: random.Random) -> None:
        """Look at everything when nobody writes."""
        with self.world.timed("looking at images, groups, keys and people"):
            resources.settle_images(self.ec2, PATIENCE)
            people.compare(self.things, self.iam)
            resources.compare(self.things, self.ec2)
            self._try_keys(chance)
        with self.world.timed("until instances settle"):
            self._settle()
        with self.world.timed("looking at instances"):
            launches.compare(self.things, self.ec2)
        with self.world.timed("looking at the host"):
            self._tidy(rules=chance.random() < WITH_RULES)
        if self.things.launches:
            launches.ask_again(self.things, self.ec2)

    def _settle(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = [each for each in self.host.instances() if each.state in ON_ITS_WAY]
            if not found:
                return
            time.sleep(0.2)
        self.world.problem(f"after {PATIENCE} s there are {found}")

    def _tidy(self, rules: bool) -> None:
        """Whatever is on the host belongs to a row, and each row has its parts."""
        deadline = time.monotonic() + TIDY
        while found := self._look_around(rules):
            if time.monotonic() > deadline:
                for each in found:
                    self.world.problem(each)
                return
            time.sleep(0.2)

    def _look_around(self, rules: bool) -> list[str]:
        try:
            return self.host.differences(self.things, rules) + rows.differences(self.host)
        except ProgramFailed as failed:  # nft begins anew whenever another cloud changes its rules
            return [failed.message]

    def _try_keys(self, chance: random.Random) -> None:
        """A key that is there signs, one that was deleted does not."""
        if not self.things.secrets or chance.random() > 0.2:
            return
        key, secret = chance.choice(list(self.things.secrets.items()))
        there = bool(self.things.value("key", key))
        settings = {"AWS_ACCESS_KEY": key, "AWS_SECRET_KEY": secret}
        sts = replace(self.cloud, settings=settings).client("sts")
        try:
            sts.get_caller_identity()
            signs = True
        except ClientError as refused:
            signs = refused.response["Error"]["Code"] != "InvalidClientTokenId"
        sts.close()
        if signs != there:
            self.world.problem(f"{key} is {'there' if there else 'deleted'}, signs: {signs}")
        self.world.count("key tried")

    def close(self) -> None:
        for each in (*self.hands, self.ec2, self.iam, self.host):
            each.close()


def register_images(cloud: Running, tiny: bool) -> list[str]:
    """Register what is launched: a disk that halts and, if it is to be, the tiny guest."""
    s3, ec2 = cloud.client("s3"), cloud.client("ec2")
    s3.create_bucket(Bucket=IMAGES)
    s3.put_object(Bucket=IMAGES, Key="halting.img", Body=halting_disk("halting"))
    halting = ec2.register_image(
        ImageLocation=f"{IMAGES}/halting.img", Name="halting", VirtualizationType="hvm"
    )["ImageId"]
    images = [halting] * 4 + [guests.install(cloud, build_tiny(GUEST))] if tiny else [halting]
    resources.settle_images(ec2, PATIENCE)
    s3.close()
    ec2.close()
    return images
