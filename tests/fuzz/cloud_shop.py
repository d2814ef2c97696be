"""A whole cloud without listeners and guests, with a few things of each kind to ask about, which
are there again after some thousand cases: what these make and take away would pile up."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Self

from eucabox import api, ids
from eucabox.actions import Call, perform
from eucabox.config import CloudSection, Config, NetworkSection, NodeSection
from eucabox.iam.caller import Caller
from tests.fuzz.case import Keys
from tests.fuzz.shop import Shop, watching
from tests.rows import add_instance, add_profile

NO_LIBVIRT = b"libvirt at qemu:///system can't be reached: not connected yet"  # here on purpose
WORKED_ON = ("bundle_tasks",)  # by threads, which would miss their rows
FRESH = 1000  # cases until all is as at first
REFUSED_AT_MOST = 60  # answers one after another that the caller is nobody known: it is gone
LOST = ("InvalidClientTokenId", "AuthFailure")
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
ALLOW_ALL = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
FEW = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["ec2:Describe*", "ec2:*Tags", "iam:Get*", "iam:List*"],
             "Resource": "*", "Condition": {"StringLike": {"aws:username": "us*"}}},
        ],
    }
)  # fmt: skip
Things = dict[str, list[str]]


class CloudShop(Shop):
    """One cloud in a folder, and what it has to be asked about."""

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """Make one whose log is looked at, until the end of the block."""
        with watching():
            shop = cls(folder)
            with shop.listening():
                try:
                    yield shop
                finally:
                    shop.close()

    slowest = 2.0

    def __init__(self, folder: Path) -> None:
        self.things: Things = {}
        super().__init__(folder)
        self.furnish()
        self._until_fresh = FRESH
        with closing(sqlite3.connect(self._database)) as rows:
            rows.execute("VACUUM INTO ?", [str(self._first)])

    @property
    def _database(self) -> Path:
        return self.cloud.state.path

    @property
    def _first(self) -> Path:
        return self._database.with_suffix(".first")

    def make_config(self, folder: Path) -> Config:
        network = NetworkSection(subnet="172.30.64.0/24")
        cloud, node = CloudSection(data_dir=folder / "data"), NodeSection(virt_type="qemu")
        return Config(cloud=cloud, network=network, node=node)

    def _freshen(self) -> None:
        self._until_fresh -= 1
        if self._until_fresh <= 0:
            self.renew()

    def renew(self) -> None:
        """Have the rows again that were there at first; the process and all that it remembers
        stay, so that its memory tells what cases leave behind."""
        self._until_fresh = FRESH
        with closing(sqlite3.connect(self._database, isolation_level=None)) as rows:
            rows.execute("ATTACH ? AS first", [str(self._first)])
            rows.execute("BEGIN IMMEDIATE")
            (version,) = rows.execute("SELECT version FROM identity_version").fetchone()
            names = rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                if not name.startswith("sqlite_") and name not in WORKED_ON:
                    rows.execute(f'DELETE FROM main."{name}"')
                    rows.execute(f'INSERT INTO main."{name}" SELECT * FROM first."{name}"')
            rows.execute("UPDATE identity_version SET version = ?", [version + 1])
            rows.execute("COMMIT")

    def close(self) -> None:
        self.cloud.close()

    def note_answer(self, status: int, body: bytes) -> None:
        """Begin anew soon where the callers are gone."""
        if status in (401, 403) and any(each.encode() in body for each in LOST):
            self._until_fresh -= FRESH // REFUSED_AT_MOST

    def is_failure(self, status: int, body: bytes) -> bool:
        return (
            super().is_failure(status, body) and NO_LIBVIRT not in unescape(body.decode()).encode()
        )

    # --- what there is ---------------------------------------------------------------------------

    @property
    def caller(self) -> Caller:
        accounts = self.cloud.accounts
        return accounts.user_credentials(accounts.ensure_administrator()).caller

    def do(self, service: str, name: str, **params: Any) -> Any:
        call = Call(self.cloud, self.caller, ids.request_id(), region="eucabox")
        return perform(service, name, call, params)

    def furnish(self) -> None:
        """Make a few things of each kind, and load what the first request would wait for."""
        self.cloud.bundles.start()
        self.cloud.exports.start()
        api.preload()
        self.do("ec2", "DescribeInstanceTypes")
        account = self.caller.account_id
        things: Things = {"account": [account, "000000000000"], "instance": []}
        for number, state in enumerate([("running", 16), ("running", 16), ("terminated", 48)]):
            made = add_instance(
                self.cloud.state, account_id=account, state=state[0], state_code=state[1],
                private_ip_address=f"172.30.64.{number + 4}", key_name="key-1",
                mac_address=f"d0:0d:ac:1e:40:0{number + 4}", public_key="ssh-rsa AAAA key-1",
            )  # fmt: skip
            things["instance"].append(made)
        self.cloud.state.update("images", {"image_id": "emi-0a1b2c3d"}, account_id=account)
        self._furnish_compute(things)
        self._furnish_people(things, account)
        self.things = things

    def _furnish_compute(self, things: Things) -> None:
        for name in ("key-1", "key-2"):
            self.do("ec2", "CreateKeyPair", key_name=name, key_type="ed25519")
        for name in ("group-1", "group-2"):
            self.do("ec2", "CreateSecurityGroup", group_name=name, description="d")
        groups = self.do("ec2", "DescribeSecurityGroups")["security_groups"]
        things["group"] = [each["group_id"] for each in groups]
        things["group name"] = ["default", "group-1", "group-2"]
        things["image"] = ["emi-0a1b2c3d", "emi-00000000"]
        things["key"] = ["key-1", "key-2"]
        keys = self.do("ec2", "DescribeKeyPairs")["key_pairs"]
        things["key id"] = [each["key_pair_id"] for each in keys]
        for service, name, kind, member in (
            ("ec2", "DescribeVpcs", "vpcs", "vpc_id"),
            ("ec2", "DescribeSubnets", "subnets", "subnet_id"),
            ("ec2", "DescribeNetworkInterfaces", "network_interfaces", "network_interface_id"),
            ("ec2", "DescribeSecurityGroupRules", "security_group_rules", "security_group_rule_id"),
            ("ec2", "DescribeReservedInstances", "reserved_instances", "x"),
        ):
            found = self.do(service, name) if kind != "reserved_instances" else {kind: []}
            things[member] = [str(each[member]) for each in found[kind]]
        tags = [{"key": "Name", "value": "one"}, {"key": "a", "value": ""}]
        resources = [things["instance"][0], things["group"][0], "emi-0a1b2c3d"]
        self.do("ec2", "CreateTags", resources=resources, tags=tags)

    def _furnish_people(self, things: Things, account: str) -> None:
        things["user"], things["access key"] = ["user-1", "user-2", "admin"], [self.owner.access]
        for name in things["user"][:2]:
            self.do("iam", "CreateUser", user_name=name)
        self.do("iam", "PutUserPolicy", user_name="user-1", policy_name="few", policy_document=FEW)
        key = self.do("iam", "CreateAccessKey", user_name="user-1")["access_key"]
        self.few = Keys(str(key["access_key_id"]), str(key["secret_access_key"]))
        things["access key"].append(self.few.access)
        self.do("iam", "CreateGroup", group_name="people")
        self.do("iam", "AddUserToGroup", group_name="people", user_name="user-1")
        things["iam group"] = ["people"]
        self.do("iam", "CreateRole", role_name="role-1", assume_role_policy_document=TRUST)
        made = self.do("iam", "CreatePolicy", policy_name="all", policy_document=ALLOW_ALL)
        things["policy arn"] = [
            str(made["policy"]["arn"]),
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ]
        self.do("iam", "AttachRolePolicy", role_name="role-1", policy_arn=things["policy arn"][0])
        add_profile(self.cloud.state, account, "app")
        self.do("iam", "CreateAccount", account_name="other-1")
        things["role"], things["profile"] = ["role-1", "app"], ["app"]
        things["policy"] = ["few", "all"]
        things["arn"] = [
            *things["policy arn"], f"arn:aws:iam::{account}:role/role-1",
            f"arn:aws:iam::{account}:user/user-1", f"arn:aws:iam::{account}:root",
            f"arn:aws:ec2:eucabox-1:{account}:instance/{things['instance'][0]}",
        ]  # fmt: skip
        things["account name"] = ["eucalyptus", "other-1", "other"]

    # --- one case --------------------------------------------------------------------------------

    def keys(self, chance: random.Random) -> Keys:
        return chance.choices([self.owner, self.few, self.other], [90, 7, 3])[0]
