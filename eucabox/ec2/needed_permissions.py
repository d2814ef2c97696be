"""Which permissions a request to EC2 needs: its action on each resource that it names or makes.

A resource is looked up in the caller's account alone, and a refusal names it as the caller did.
Decides nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eucabox.ec2 import default_vpc, tags
from eucabox.ec2.named_resources import NamedResource, NamedResources
from eucabox.iam.needed_permission import (
    ANY,
    Facts,
    Members,
    NeededPermission,
    read_records,
    read_tags,
    read_text,
    read_texts,
)
from eucabox.iam.policy.resource_types import list_resource_types, resource_arn
from eucabox.instance_types import DEFAULT
from eucabox.state import State

# What actions act on, where it is not simply all that resource_types.py has for them. A type with
# ? is asked for only where the request names such a resource, one with * is made by the action.
TYPES = {
    "AuthorizeSecurityGroupEgress": "security-group",
    "AuthorizeSecurityGroupIngress": "security-group",
    "CopyImage": "image image*",
    "CreateImage": "instance image*",
    "CreateSecurityGroup": "security-group* vpc?",
    "ModifyInstanceAttribute": "instance security-group?",
    "RegisterImage": "image*",
    "AssociateIamInstanceProfile": "instance",
    "DisassociateIamInstanceProfile": "instance",
    "ReplaceIamInstanceProfileAssociation": "instance",
}
MADE = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CopyImage": "image",
    "CreateImage": "image",
    "CreateKeyPair": "key-pair",
    "CreateSecurityGroup": "security-group",
    "ImportKeyPair": "key-pair",
    "RegisterImage": "image",
    "RunInstances": "instance",
}  # the type of what an action makes, which its tags are for
PROFILE = "iam_instance_profile"
SERVICE = "ec2.amazonaws.com"


@dataclass(frozen=True)
class Ec2Request:
    """A request to EC2 whose members nobody has checked yet."""

    name: str
    params: Members
    state: State
    account_id: str
    region: str

    def list_needed(self) -> Iterator[NeededPermission]:
        """Yield the permissions one after the other; raises InvalidParameterValue for a request
        that names too many resources."""
        if self.name in ("CreateTags", "DeleteTags"):
            yield from self._list_for_tags()
        elif self.name == "RunInstances":
            yield from self._list_for_launch()
        else:
            yield from self._list_for_types()
        yield from self._list_for_new_tags()
        if isinstance(self.params.get(PROFILE), dict):
            yield self._need_pass_role()

    def _list_for_types(self) -> Iterator[NeededPermission]:
        types = self._list_types()
        if not types:
            yield self._need()
        for each in types:
            kind = each.rstrip("*?")
            if each.endswith("*"):
                yield self._need(kind, NamedResource(), self._read_new_tags(kind))
                continue
            named = list(self._named.find(kind, self.params))
            if not named and not each.endswith("?"):
                named = [NamedResource()]
            for resource in named:
                yield self._need(kind, resource, self._read_new_tags(kind))

    def _list_types(self) -> Sequence[str]:
        if self.name in TYPES:
            return TYPES[self.name].split()
        types = list_resource_types(f"ec2:{self.name}")
        return [each.removeprefix("ec2:") for each in types]

    @property
    def _named(self) -> NamedResources:
        return NamedResources(self.state, self.account_id, self.region)

    def _need(
        self,
        kind: str = "",
        resource: NamedResource | None = None,
        request_tags: dict[str, str] | None = None,
        action: str = "",
        facts: Facts | None = None,
    ) -> NeededPermission:
        action = action or f"ec2:{self.name}"
        known = {f"ec2:{name}": value for name, value in (facts or {}).items() if value}
        if not kind or resource is None:
            return NeededPermission(action, facts=known, request_tags=request_tags)
        known.update(self._read_attribute())
        return NeededPermission(
            action,
            self._arn(kind, resource.name),
            self._arn(kind, resource.shown),
            known,
            request_tags,
            resource.load_facts,
            resource.load_tags,
        )

    def _arn(self, kind: str, name: str) -> str:
        return resource_arn(f"ec2:{kind}", name, self.account_id, self.region)

    def _read_attribute(self) -> dict[str, str]:
        name = read_text(self.params, "attribute")
        return {"ec2:Attribute": name[:1].upper() + name[1:]} if name else {}

    # --- tags -----------------------------------------------------------------------------------

    def _list_for_tags(self) -> Iterator[NeededPermission]:
        """Each resource is asked for; without tags DeleteTags removes all that a resource has."""
        new_tags = read_tags(self.params, "tags")
        for resource_id in read_texts(self.params, "resources") or [""]:
            kind = tags.TYPES.get(resource_id.split("-", 1)[0], "")
            resource = self._named.find_tagged(kind, resource_id)
            if kind not in ("", "reservation"):
                need = self._need(kind, resource, new_tags)
            else:
                need = self._need(request_tags=new_tags)
            if new_tags is None and self.name == "DeleteTags":
                keys = sorted(resource.load_tags())
                need = _with_facts(need, {"aws:TagKeys": keys} if keys else {})
            yield need

    def _read_new_tags(self, kind: str) -> dict[str, str] | None:
        """Return the tags for what the action makes, if that is of this type."""
        made = MADE.get(self.name, "")
        merged: dict[str, str] = {}
        for each in read_records(self.params, "tag_specifications"):
            if (read_text(each, "resource_type") or made) == kind:
                merged |= read_tags(each, "tags") or {}
        return merged or None

    def _list_for_new_tags(self) -> Iterator[NeededPermission]:
        """Tags at creation need CreateTags on what is made."""
        kinds = {
            read_text(each, "resource_type") or MADE.get(self.name, "")
            for each in read_records(self.params, "tag_specifications")
        }
        for kind in sorted(kinds & set(tags.TYPES.values())):
            new_tags = self._read_new_tags(kind)
            if new_tags and kind != "reservation":
                named = kind == "key-pair" and read_text(self.params, "key_name")
                resource = NamedResource(named, named) if named else NamedResource()
                facts = {"CreateAction": self.name}
                yield self._need(kind, resource, new_tags, "ec2:CreateTags", facts)

    # --- launches -------------------------------------------------------------------------------

    def _list_for_launch(self) -> Iterator[NeededPermission]:
        """As EC2 asks for an instance without volumes: image, instance, interface, subnet, groups,
        and a key pair if one is named."""
        params, named = self.params, self._named
        for image_id in self._list_images():
            yield self._need("image", named.find_by_id("image", image_id))
        instance_tags = self._read_new_tags("instance")
        yield self._need("instance", NamedResource(), instance_tags, facts=self._describe_launch())
        subnet_id = default_vpc.subnet_id(self.account_id)
        vpc = self._arn("vpc", default_vpc.vpc_id(self.account_id))
        place = {"Vpc": vpc, "AvailabilityZone": self._read_zone()}
        interface_tags = self._read_new_tags("network-interface")
        subnet = self._arn("subnet", subnet_id)
        yield self._need(
            "network-interface", NamedResource(), interface_tags, facts={**place, "Subnet": subnet}
        )
        for resource in self._list_subnets(subnet_id):
            yield self._need("subnet", resource, facts={**place, "SubnetID": resource.name})
        for resource in self._list_groups():
            yield self._need("security-group", resource)
        for resource in named.find("key-pair", params):
            yield self._need("key-pair", resource)
        if any("ebs" in each for each in read_records(params, "block_device_mappings")):
            yield self._need("volume", NamedResource(), self._read_new_tags("volume"))

    def _list_images(self) -> list[str]:
        members = ("image_id", "kernel_id", "ramdisk_id")
        image_ids = [read_text(self.params, each) for each in members]
        return [image_ids[0] or ANY, *filter(None, image_ids[1:])]

    def _describe_launch(self) -> dict[str, str]:
        options = self.params.get("metadata_options")
        placement = self.params.get("placement")
        return {
            "InstanceType": read_text(self.params, "instance_type") or DEFAULT,
            "ImageID": read_text(self.params, "image_id"),
            "AvailabilityZone": self._read_zone(),
            "RootDeviceType": "instance-store",
            "Tenancy": read_text(placement, "tenancy") or "default",
            "MetadataHttpTokens": read_text(options, "http_tokens") or "optional",
            "MetadataHttpEndpoint": read_text(options, "http_endpoint") or "enabled",
            "InstanceProfile": self._named.find_profile_arn(self.params.get(PROFILE)),
        }

    def _read_zone(self) -> str:
        return read_text(self.params.get("placement"), "availability_zone")

    def _list_subnets(self, default: str) -> list[NamedResource]:
        interfaces = read_records(self.params, "network_interfaces")
        named = [read_text(each, "subnet_id") for each in (self.params, *interfaces)]
        subnet_ids = list(dict.fromkeys(filter(None, named))) or [default]
        return [self._named.find_by_id("subnet", each) for each in subnet_ids]

    def _list_groups(self) -> list[NamedResource]:
        interfaces = read_records(self.params, "network_interfaces")
        of_interfaces = {"group_ids": [g for i in interfaces for g in read_texts(i, "groups")]}
        named = [
            *self._named.find("security-group", self.params),
            *self._named.find("security-group", of_interfaces),
        ]
        return named or list(self._named.find("security-group", {"group_name": "default"}))

    def _need_pass_role(self) -> NeededPermission:
        arn = self._named.find_profile_role(self.params.get(PROFILE))
        anything = f"arn:aws:iam::{self.account_id}:role/{ANY}"
        facts = {"iam:PassedToService": SERVICE}
        return NeededPermission("iam:PassRole", arn or anything, anything, facts)


def _with_facts(need: NeededPermission, more: dict[str, Sequence[str]]) -> NeededPermission:
    return replace(need, facts={**need.facts, **more})
