"""A client that makes, changes and deletes users, their keys, groups and policies."""

import json
from collections.abc import Callable
from typing import Any

from tests.live.kills.history import NOTHING
from tests.live.kills.things import Things, own_tag, whole
from tests.live.kills.worker import Worker

USERS, TEAMS, POLICIES, INLINE = ("u0", "u1"), ("t0", "t1"), ("p0", "p1"), ("i0", "i1")
THERE = "there"
MOST_KEYS = 2


def document(label: str) -> str:
    """Return a policy that has the label in it. A managed one is longer than a page of the
    database; of inline ones a user may have 2,048 bytes together."""
    count = 10 if label.startswith("inline") else 150
    resources = [f"arn:aws:s3:::{label}/{number}" for number in range(count)]
    statement = {"Sid": label, "Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def label_of(policy: Any) -> str:
    """Return whose document this is, or that it is torn."""
    label = str(policy["Statement"][0].get("Sid", ""))
    return label if policy == json.loads(document(label)) else f"torn: {policy}"


class People(Worker):
    """The only writer of IAM. A user is deleted when all that it has is deleted."""

    def __init__(self, things: Things, seed: str, iam: Any) -> None:
        super().__init__(things.world, seed)
        self.things, self.iam = things, iam

    def act(self) -> None:
        self.doing = self.chance.choice(["user", "key", "key", "inline", "policy", "team", "member",
                                         "attach"])  # fmt: skip
        getattr(self, self.doing)()

    def _write(self, what: str, kind: str, name: str, value: str, ask: Callable[[], Any]) -> Any:
        return self.things.write(what, {(kind, name): value}, ask)

    def _pick_user(self) -> str:
        return self.chance.choice([*self.things.names("user"), NOTHING])

    def _has(self, user: str) -> bool:
        """Tell whether a user has something yet."""
        kinds = ("inline", "attached", "member")
        held = [name for kind in kinds for name in self.things.names(kind)]
        keys = [key for key in self.things.names("key") if self.things.value("key", key) == user]
        return bool(keys) or any(user in name.split() for name in held)

    def user(self) -> None:
        name = self.chance.choice(USERS)
        if not self.things.value("user", name):
            label = self.world.label("user")
            tags = [{"Key": "own", "Value": label}]
            members = {"UserName": name, "Path": f"/{label}/", "Tags": tags}
            self._write("user", "user", name, label, lambda: self.iam.create_user(**members))
        elif not self._has(name):
            ask = lambda: self.iam.delete_user(UserName=name)  # noqa: E731
            self._write("delete user", "user", name, NOTHING, ask)

    def key(self) -> None:
        user = self._pick_user()
        keys = [key for key in self.things.names("key") if self.things.value("key", key) == user]
        if keys and self.chance.random() < 0.6:
            key = self.chance.choice(keys)
            ask = lambda: self.iam.delete_access_key(UserName=user, AccessKeyId=key)  # noqa: E731
            self._write("delete access key", "key", key, NOTHING, ask)
        elif user and len(keys) < MOST_KEYS:
            self.things.unanswered.append(user)
            made = self.iam.create_access_key(UserName=user)["AccessKey"]
            self.things.unanswered.remove(user)
            self.things.secrets[made["AccessKeyId"]] = made["SecretAccessKey"]
            self.things.learn("key", made["AccessKeyId"], user)
            self.world.count("access key")

    def inline(self) -> None:
        user, policy = self._pick_user(), self.chance.choice(INLINE)
        if not user:
            return
        name, names = f"{user} {policy}", {"UserName": user, "PolicyName": policy}
        if self.things.value("inline", name) and self.chance.random() < 0.6:
            ask = lambda: self.iam.delete_user_policy(**names)  # noqa: E731
            self._write("delete inline policy", "inline", name, NOTHING, ask)
            return
        label = self.world.label("inline")
        ask = lambda: self.iam.put_user_policy(PolicyDocument=document(label), **names)  # noqa: E731
        self._write("inline policy", "inline", name, label, ask)

    def policy(self) -> None:
        name = self.chance.choice(POLICIES)
        if not self.things.value("policy", name):
            label = self.world.label("policy")
            tags = [{"Key": "own", "Value": label}]
            members = {"PolicyName": name, "Description": label, "Tags": tags}
            ask = lambda: self.iam.create_policy(PolicyDocument=document(label), **members)  # noqa: E731
            made = self._write("policy", "policy", name, label, ask)
            self.things.ids["policy", name] = made["Policy"]["Arn"]
        elif not any(name in each.split() for each in self.things.names("attached")):
            arn = self.things.ids["policy", name]
            ask = lambda: self.iam.delete_policy(PolicyArn=arn)  # noqa: E731
            self._write("delete policy", "policy", name, NOTHING, ask)

    def attach(self) -> None:
        user, policy = self._pick_user(), self.chance.choice(POLICIES)
        if user and self.things.value("policy", policy):
            members = {"UserName": user, "PolicyArn": self.things.ids["policy", policy]}
            sends = self.iam.attach_user_policy, self.iam.detach_user_policy
            self._turn("attached", f"{user} {policy}", ("attach", "detach"), sends, members)

    def team(self) -> None:
        name = self.chance.choice(TEAMS)
        if not self.things.value("team", name):
            label = self.world.label("team")
            members = {"GroupName": name, "Path": f"/{label}/"}
            self._write("team", "team", name, label, lambda: self.iam.create_group(**members))
        elif not any(name in each.split() for each in self.things.names("member")):
            ask = lambda: self.iam.delete_group(GroupName=name)  # noqa: E731
            self._write("delete team", "team", name, NOTHING, ask)

    def member(self) -> None:
        user, team = self._pick_user(), self.chance.choice(TEAMS)
        if user and self.things.value("team", team):
            members = {"UserName": user, "GroupName": team}
            sends = self.iam.add_user_to_group, self.iam.remove_user_from_group
            self._turn("member", f"{user} {team}", ("join", "leave"), sends, members)

    def _turn(
        self, kind: str, name: str, words: tuple[str, str], sends: Any, members: dict[str, str]
    ) -> None:
        """Have something be where it is not, and no more where it is."""
        there = bool(self.things.value(kind, name))
        ask = lambda: sends[there](**members)  # noqa: E731
        self._write(words[there], kind, name, NOTHING if there else THERE, ask)


# --- what is listed ------------------------------------------------------------------------------


def compare(things: Things, iam: Any) -> None:
    """Compare all that is listed with what may be there."""
    users = {each["UserName"]: each for each in iam.list_users()["Users"]}
    users = {name: each for name, each in users.items() if name in USERS}
    things.compare("user", {name: _user(iam, each) for name, each in users.items()})
    keys = {
        each["AccessKeyId"]: name
        for name in users
        for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    }
    _adopt_keys(things, keys)
    things.compare("key", keys)
    things.compare("inline", dict(_inline(iam, users)))
    things.compare("policy", dict(_policies(things, iam)))
    things.compare("attached", {
        f"{name} {each['PolicyName']}": THERE
        for name in users
        for each in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    })  # fmt: skip
    teams = {each["GroupName"]: each["Path"].strip("/") for each in iam.list_groups()["Groups"]}
    things.compare("team", teams)
    things.compare("member", {
        f"{each['UserName']} {team}": THERE
        for team in teams
        for each in iam.get_group(GroupName=team)["Users"]
    })  # fmt: skip


def _user(iam: Any, listed: Any) -> str:
    tags = iam.list_user_tags(UserName=listed["UserName"])["Tags"]
    return whole(own_tag(tags), path=listed["Path"].strip("/"))


def _adopt_keys(things: Things, keys: dict[str, str]) -> None:
    """A key whose maker got no answer: it was asked for, and once."""
    for key, user in keys.items():
        if ("key", key) not in things.registers and user in things.unanswered:
            things.unanswered.remove(user)
            things.learn("key", key, user)
    things.unanswered.clear()


def _inline(iam: Any, users: Any) -> Any:
    for user in users:
        for policy in iam.list_user_policies(UserName=user)["PolicyNames"]:
            found = iam.get_user_policy(UserName=user, PolicyName=policy)
            yield f"{user} {policy}", label_of(found["PolicyDocument"])


def _policies(things: Things, iam: Any) -> Any:
    for each in iam.list_policies(Scope="Local")["Policies"]:
        arn, name = each["Arn"], each["PolicyName"]
        things.ids["policy", name] = arn
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
        label = label_of(version["PolicyVersion"]["Document"])
        tag = own_tag(policy.get("Tags", ()))
        yield name, whole(label, tag=tag, description=policy.get("Description", ""))
