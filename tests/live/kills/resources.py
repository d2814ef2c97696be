"""A client that makes, changes and deletes key pairs, security groups and images."""

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

from tests.live.kills.history import NOTHING
from tests.live.kills.launches import GUESTS, IMAGES, halting_disk
from tests.live.kills.things import Things, own_tag, whole
from tests.live.kills.worker import Worker

PORTS = range(2000, 2008)


def public_key(label: str) -> str:
    """Return an ed25519 key as OpenSSH writes it; of which private one nobody knows."""
    kind, digest = b"ssh-ed25519", hashlib.sha256(label.encode()).digest()
    fields = b"".join(len(each).to_bytes(4) + each for each in (kind, digest))
    return f"ssh-ed25519 {base64.b64encode(fields).decode()}"


def specify(kind: str, label: str) -> list[dict[str, object]]:
    """Return a request's tags: the label."""
    return [{"ResourceType": kind, "Tags": [{"Key": "own", "Value": label}]}]


def ports_of(value: str) -> list[int]:
    """Return which ports a group's value opens."""
    return [int(port) for port in value.partition(":")[2].split(",") if port]


def group_value(label: str, ports: list[int]) -> str:
    return f"{label}:{','.join(map(str, sorted(ports)))}"


class Resources(Worker):
    """The only writer of key pairs, groups and images."""

    def __init__(self, things: Things, seed: str, ec2: Any, s3: Any) -> None:
        super().__init__(things.world, seed)
        self.things, self.ec2, self.s3 = things, ec2, s3

    def act(self) -> None:
        kinds = ("key_pair", "group", "group", "image", "mark")
        self.doing = self.chance.choice(kinds)
        getattr(self, self.doing)()

    def key_pair(self) -> None:
        name = self.chance.choice(["k0", "k1", "k2"])
        named = ("key pair", name)
        if self.things.value(*named):
            ask = lambda: self.ec2.delete_key_pair(KeyName=name)  # noqa: E731
            self.things.write("delete key pair", {named: NOTHING}, ask)
            return
        makes = self.chance.random() < 0.3
        label = self.world.label("made" if makes else "imported")
        members = {"KeyName": name, "TagSpecifications": specify("key-pair", label)}
        if makes:
            ask = lambda: self.ec2.create_key_pair(KeyType="ed25519", **members)  # noqa: E731
        else:
            key = public_key(label).encode()
            ask = lambda: self.ec2.import_key_pair(PublicKeyMaterial=key, **members)  # noqa: E731
        self.things.write("key pair", {named: label}, ask)

    # --- security groups ------------------------------------------------------------------------

    def group(self) -> None:
        name = self.chance.choice(["g0", "g1", GUESTS, GUESTS])
        named = ("group", name)
        value = self.things.value(*named)
        if not value:
            label = self.world.label("group")
            members = {"GroupName": name, "Description": label}
            tags = specify("security-group", label)
            ask = lambda: self.ec2.create_security_group(**members, TagSpecifications=tags)  # noqa: E731
            answer = self.things.write("group", {named: f"{label}:"}, ask)
            self.things.ids[named] = answer["GroupId"]
        elif name != GUESTS and self.chance.random() < 0.3:
            group_id = self.things.ids[named]
            ask = lambda: self.ec2.delete_security_group(GroupId=group_id)  # noqa: E731
            self.things.write("delete group", {named: NOTHING}, ask)
        else:
            self._change_rules(name, value)

    def _change_rules(self, name: str, value: str) -> None:
        """Open two ports at once, or close as many as that."""
        label, now = value.partition(":")[0], ports_of(value)
        closed = [port for port in PORTS if port not in now]
        opens = len(now) < 2 or (len(closed) > 1 and self.chance.random() < 0.5)
        ports = self.chance.sample(closed if opens else now, 2)
        rules = [
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port,
             "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            for port in ports
        ]  # fmt: skip
        verb = "authorize" if opens else "revoke"
        send = getattr(self.ec2, f"{verb}_security_group_ingress")
        members = {"GroupId": self.things.ids["group", name], "IpPermissions": rules}
        new = [*now, *ports] if opens else [port for port in now if port not in ports]
        ask = lambda: send(**members)  # noqa: E731
        self.things.write(verb, {("group", name): group_value(label, new)}, ask)

    # --- images ---------------------------------------------------------------------------------

    def image(self) -> None:
        name = self.chance.choice(["image0", "image1"])
        named = ("image", name)
        if self.things.value(*named):
            image_id = self.things.ids[named]
            ask = lambda: self.ec2.deregister_image(ImageId=image_id)  # noqa: E731
            self.things.write("deregister image", {named: NOTHING}, ask)
            return
        label = self.world.label("image")
        self.s3.put_object(Bucket=IMAGES, Key=f"{name}.img", Body=halting_disk(label))
        members = {"Name": name, "Description": label, "VirtualizationType": "hvm",
                   "TagSpecifications": specify("image", label)}  # fmt: skip
        place = f"{IMAGES}/{name}.img"
        ask = lambda: self.ec2.register_image(ImageLocation=place, **members)  # noqa: E731
        self.things.ids[named] = self.things.write("register image", {named: label}, ask)["ImageId"]

    # --- tags -----------------------------------------------------------------------------------

    def mark(self) -> None:
        """Tag the guests' group, or take the tag away."""
        group_id = self.things.ids.get(("group", GUESTS))
        if not group_id:
            return
        label = self.world.label("mark") if self.chance.random() < 0.7 else NOTHING
        send = self.ec2.create_tags if label else self.ec2.delete_tags
        tags = [{"Key": "mark", "Value": label} if label else {"Key": "mark"}]
        ask = lambda: send(Resources=[group_id], Tags=tags)  # noqa: E731
        self.things.write("mark" if label else "unmark", {("mark", GUESTS): label}, ask)


# --- what is listed ------------------------------------------------------------------------------


def compare(things: Things, ec2: Any) -> None:
    """Compare all that is listed with what may be there."""
    pairs = ec2.describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    things.compare("key pair", {each["KeyName"]: _key_pair(each) for each in pairs})
    groups = ec2.describe_security_groups()["SecurityGroups"]
    own = {each["GroupName"]: each for each in groups if each["GroupName"] != "default"}
    things.compare("group", {name: _group(each) for name, each in own.items()})
    marks = {name: own_tag(each.get("Tags", ()), "mark") for name, each in own.items()}
    things.compare("mark", {name: mark for name, mark in marks.items() if mark})
    images = ec2.describe_images(Owners=["self"])["Images"]
    pool = {each["Name"]: each for each in images if each["Name"].startswith("image")}
    things.compare("image", {name: _image(each) for name, each in pool.items()})
    things.ids |= {("group", name): each["GroupId"] for name, each in own.items()}
    things.ids |= {("image", name): each["ImageId"] for name, each in pool.items()}


def _key_pair(listed: Mapping[str, Any]) -> str:
    label = own_tag(listed.get("Tags", ()))
    if label.startswith("made"):
        return label
    found = listed["PublicKey"].rpartition(" ")[0]
    return label if found == public_key(label) else f"torn: {label!r} with {found}"


def _group(listed: Mapping[str, Any]) -> str:
    label = whole(own_tag(listed.get("Tags", ())), description=listed["Description"])
    return group_value(label, [each["FromPort"] for each in listed["IpPermissions"]])


def _image(listed: Mapping[str, Any]) -> str:
    label = whole(own_tag(listed.get("Tags", ())), description=listed.get("Description", ""))
    good = listed["State"] == "available"
    return label if good else f"torn: {label!r} is {listed['State']}: {listed.get('StateReason')}"


def settle_images(ec2: Any, patience: float) -> None:
    """Wait until no image is pending."""
    deadline = time.monotonic() + patience
    pending = [{"Name": "state", "Values": ["pending"]}]
    while ec2.describe_images(Filters=pending)["Images"]:
        if time.monotonic() > deadline:
            return  # the comparison tells of it
        time.sleep(0.05)
