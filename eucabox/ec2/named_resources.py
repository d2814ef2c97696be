"""The resources that a request to EC2 names, by id or by name, as policies name them.

Only what is in the caller's account is looked up, so that another account's resources look like
those that do not exist.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eucabox.ec2 import default_vpc
from eucabox.iam.needed_permission import ANY, Facts, Members, read_records, read_text, read_texts
from eucabox.state import Row, State

# the members that name resources of a type
MEMBERS = {
    "dhcp-options": ("dhcp_options_id", "dhcp_options_ids"),
    "elastic-ip": ("allocation_id", "allocation_ids"),
    "image": ("image_id", "image_ids", "source_image_id"),
    "instance": ("instance_id", "instance_ids"),
    "internet-gateway": ("internet_gateway_id", "internet_gateway_ids"),
    "key-pair": ("key_name", "key_names", "key_pair_id", "key_pair_ids"),
    "network-acl": ("network_acl_id", "network_acl_ids"),
    "network-interface": ("network_interface_id", "network_interface_ids"),
    "route-table": ("route_table_id", "route_table_ids"),
    "security-group": (
        "group_id", "group_ids", "group_name", "group_names", "groups", "security_group_ids",
        "security_groups",
    ),
    "security-group-rule": ("security_group_rule_id", "security_group_rule_ids"),
    "snapshot": ("snapshot_id", "snapshot_ids", "source_snapshot_id"),
    "subnet": ("subnet_id", "subnet_ids"),
    "volume": ("volume_id", "volume_ids", "source_volume_id"),
    "vpc": ("vpc_id", "vpc_ids"),
}  # fmt: skip
ASSOCIATION = "association_id"


def _load_nothing() -> Facts:
    return {}


@dataclass(frozen=True)
class NamedResource:
    """A resource by its name in an ARN; `shown` is made of what the caller sent alone."""

    name: str = ANY
    shown: str = ANY
    load_facts: Callable[[], Facts] = _load_nothing
    load_tags: Callable[[], Facts] = _load_nothing


@dataclass(frozen=True)
class NamedResources:
    """Finds resources of one account."""

    state: State
    account_id: str
    region: str

    def find(self, kind: str, params: Members) -> Iterator[NamedResource]:
        """Yield the resources of a type that members name."""
        for member in MEMBERS.get(kind, ()):
            for name in read_texts(params, member):
                yield self._find_one(kind, name, by_name=member.endswith(("name", "names")))
        if kind == "security-group" and read_text(params, "attribute") == "groupSet":
            for name in read_texts(params, "value"):
                yield self._find_group(name)
        if kind == "security-group-rule":
            for each in read_records(params, "security_group_rules"):
                yield self.find_by_id(kind, read_text(each, "security_group_rule_id") or ANY)
        if kind == "instance" and (association_id := read_text(params, ASSOCIATION)):
            yield self._find_associated(association_id)

    def find_by_id(self, kind: str, name: str) -> NamedResource:
        """Return the resource of an id; whether it exists does not matter."""
        return NamedResource(
            name, name, lambda: self._load_facts(kind, name), lambda: self._load_tags(name)
        )

    def find_tagged(self, kind: str, resource_id: str) -> NamedResource:
        """Return the resource of an id, whatever policies call it by: a key pair by its name."""
        if kind == "key-pair":
            return self._find_key_pair("key_pair_id", resource_id)
        return self.find_by_id(kind, resource_id)

    def find_profile_arn(self, members: object) -> str:
        """Return the ARN of the instance profile that members name, or ""."""
        row = self._find_profile(members)
        return str(row["arn"]) if row else ""

    def find_profile_role(self, members: object) -> str:
        """Return the ARN of the role of the instance profile that members name, or ""."""
        row = self._find_profile(members)
        return str(row["role_arn"] or "") if row else ""

    def _find_profile(self, members: object) -> Row | None:
        sql = """select * from (select p.instance_profile_name as name,
            'arn:aws:iam::' || p.account_id || ':instance-profile' || p.path
              || p.instance_profile_name as arn,
            'arn:aws:iam::' || r.account_id || ':role' || r.path || r.role_name as role_arn
          from instance_profiles p left join roles r using (role_id) where p.account_id = ?)
          where (? <> '' and name = ?) or (? <> '' and arn = ?)"""
        name, arn = read_text(members, "name"), read_text(members, "arn")
        if not name and not arn:
            return None
        return self.state.one(sql, (self.account_id, name, name, arn, arn))

    def _find_one(self, kind: str, name: str, by_name: bool) -> NamedResource:
        if kind == "security-group":
            return self._find_group(name)
        if kind == "key-pair":
            return self._find_key_pair("key_name" if by_name else "key_pair_id", name)
        return self.find_by_id(kind, name)

    def _find_group(self, name: str) -> NamedResource:
        """Return a group by its name or id, as actions find it: a name goes first."""
        sql = """select group_id from security_groups where account_id = ?
          and (group_name = ? or group_id = ?) order by group_name = ? desc"""
        row = self.state.one(sql, (self.account_id, name, name, name))
        group_id = row["group_id"] if row else name if name.startswith("sg-") else ANY
        found = self.find_by_id("security-group", group_id)
        shown = name if name.startswith("sg-") else ANY
        return NamedResource(group_id, shown, found.load_facts, found.load_tags)

    def _find_key_pair(self, column: str, name: str) -> NamedResource:
        sql = f"""select key_name, key_type, key_pair_id from key_pairs
          where account_id = ? and {column} = ?"""
        row = self.state.one(sql, (self.account_id, name))
        by_name = column == "key_name"
        key_name = row["key_name"] if row else name if by_name else ANY
        facts = {"ec2:KeyPairName": key_name, "ec2:KeyPairType": row["key_type"]} if row else {}
        tagged = row["key_pair_id"] if row else ""
        return NamedResource(
            key_name, name if by_name else ANY, lambda: facts, lambda: self._load_tags(tagged)
        )

    def _find_associated(self, association_id: str) -> NamedResource:
        sql = """select instance_id from instance_profile_associations a
          join instances i using (instance_id) where association_id = ? and account_id = ?"""
        row = self.state.one(sql, (association_id, self.account_id))
        found = self.find_by_id("instance", row["instance_id"] if row else ANY)
        return NamedResource(found.name, ANY, found.load_facts, found.load_tags)

    def _load_tags(self, resource_id: str) -> Facts:
        sql = "select key, value from tags where resource_id = ? and account_id = ?"
        rows = self.state.query(sql, (resource_id, self.account_id))
        return {row["key"]: row["value"] for row in rows}

    def _load_facts(self, kind: str, name: str) -> Facts:
        loaders: dict[str, Callable[[str], Facts]] = {
            "image": self._load_image,
            "instance": self._load_instance,
            "network-interface": self._load_interface,
            "security-group": lambda group_id: self._load_place(SecurityGroupID=group_id),
            "subnet": lambda subnet_id: self._load_place(SubnetID=subnet_id),
            "vpc": lambda vpc_id: {"ec2:VpcID": vpc_id},
        }
        return loaders[kind](name) if kind in loaders else {}

    def _load_instance(self, instance_id: str) -> Facts:
        sql = """select instance_type, image_id, availability_zone from instances
          where instance_id = ? and account_id = ?"""
        row = self.state.one(sql, (instance_id, self.account_id))
        if row is None:
            return {}
        return {
            "ec2:AvailabilityZone": row["availability_zone"],
            "ec2:ImageID": row["image_id"],
            "ec2:InstanceID": instance_id,
            "ec2:InstanceType": row["instance_type"],
            "ec2:RootDeviceType": "instance-store",
            "ec2:Tenancy": "default",
        }

    def _load_image(self, image_id: str) -> Facts:
        sql = """select account_id, is_public, image_type from images where image_id = :id
          and state <> 'deregistered' and (account_id = :account or is_public or image_id in
            (select image_id from launch_permissions where account_id = :account))"""
        row = self.state.one(sql, {"id": image_id, "account": self.account_id})
        if row is None:
            return {}
        return {
            "ec2:ImageID": image_id,
            "ec2:ImageType": row["image_type"],
            "ec2:Owner": row["account_id"],
            "ec2:Public": "true" if row["is_public"] else "false",
            "ec2:RootDeviceType": "instance-store",
        }

    def _load_interface(self, interface_id: str) -> Facts:
        return self._load_place(
            NetworkInterfaceID=interface_id, Subnet=self._arn("subnet", default_vpc.subnet_id)
        )

    def _load_place(self, **facts: str) -> Facts:
        named = {f"ec2:{name}": value for name, value in facts.items()}
        return {**named, "ec2:Vpc": self._arn("vpc", default_vpc.vpc_id)}

    def _arn(self, kind: str, make_id: Callable[[str], str]) -> str:
        owner = f"{self.region}:{self.account_id}"
        return f"arn:aws:ec2:{owner}:{kind}/{make_id(self.account_id)}"
