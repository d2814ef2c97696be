"""Requests to EC2, IAM, STS and our own service: an action's members, odd in value and in name."""

import base64
import hmac
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eucabox import actions
from eucabox.wire import model
from eucabox.wire.shapes import ListShape, MapShape, Shape, StructureShape
from tests.fuzz import odd
from tests.fuzz.case import HOST, Case, Keys, now
from tests.fuzz.cloud_shop import ALLOW_ALL, FEW, TRUST, CloudShop

FORM = "application/x-www-form-urlencoded"
PATHS = {
    "ec2": ("/services/compute", "/services/Eucalyptus", "/", "/services/compute/"),
    "iam": ("/services/Euare", "/"),
    "sts": ("/services/Tokens", "/"),
    "bootstrap": ("/services/bootstrap", "/services/Empyrean"),
}
DEEPEST = 7
FILTERS: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "actions" / "filters.json").read_text()
)
# What a member of such a name may well be: a kind of the cloud's things.
NAMED = [
    (re.compile(pattern, re.I), kind)
    for pattern, kind in (
        ("instanceid", "instance"), ("imageid|kernelid|ramdiskid", "image"),
        ("(securitygroup|^group)id", "group"), ("securitygroup|^groupname", "group name"),
        ("keypairid", "key id"), ("keyname|keypair", "key"), ("vpcid", "vpc_id"),
        ("subnetid", "subnet_id"), ("networkinterfaceid", "network_interface_id"),
        ("rule_?id", "security_group_rule_id"), ("username", "user"), ("rolename", "role"),
        ("groupname", "iam group"), ("instanceprofilename", "profile"), ("policyarn", "policy arn"),
        ("policyname", "policy"), ("arn", "arn"), ("accesskeyid|credential", "access key"),
        ("accountname|account_name", "account name"), ("owner|account|userid", "account"),
        ("resource", "resource"),
    )
]  # fmt: skip
PLAIN = {
    "IpProtocol": ("tcp", "udp", "icmp", "-1", "6", "58", "999", "tcp "),
    "FromPort": ("0", "22", "-1", "65535", "65536", "8"), "ToPort": ("0", "22", "-1", "65535"),
    "CidrIp": ("0.0.0.0/0", "192.0.2.0/24", "192.0.2.1", "300.1.1.1/8", "::/0", "0.0.0.0/33"),
    "CidrIpv6": ("::/0", "fe80::1%eth0/64", "0.0.0.0/0"),
    "InstanceType": ("m1.tiny", "m1.small", "c1.xlarge", "t2.micro"),
    "MinCount": ("1", "0", "-1", "2"), "MaxCount": ("1", "2", "99999999", "0"),
    "Attribute": ("userData", "instanceType", "description", "launchPermission", "groupSet",
                  "disableApiTermination", "blockDeviceMapping", "kernel"),
    "Path": ("/", "/a/", "/a", "a/", "//", "/" + "a" * 600 + "/"), "PathPrefix": ("/", "/a"),
    "Version": ("2016-11-15",), "KeyType": ("rsa", "ed25519", "dsa"), "KeyFormat": ("pem", "ppk"),
    "DurationSeconds": ("900", "3600", "0", "43201", "-900"),
    "MaxItems": ("1", "0", "1000", "1001", "-1"), "MaxResults": ("5", "1000", "0", "1001", "4"),
    "RoleSessionName": ("one", "a b", "x" * 65, "="), "Status": ("Active", "Inactive", "active"),
    "AvailabilityZone": ("eucabox-1a", "us-east-1a"), "RegionName": ("eucabox-1",),
    "DeviceName": ("/dev/sda1", "sda2", "xvdb"), "VirtualName": ("ephemeral0", "ephemeral99"),
    "ImageLocation": ("bucket/tiny.img.manifest.xml", "fuzz/obj", "http://x/y", "/"),
    "HttpTokens": ("required", "optional"), "Marker": ("", "x", "MQ=="), "NextToken": ("x", "MQ=="),
    "AuthenticationCode1": ("000000", "123456"), "SerialNumber": ("arn:aws:iam::x:mfa/y",),
    "Url": ("https://localhost", "http://x", "https://169.254.169.254/", "https://[::1", "https://"),
    "WebIdentityToken": ("a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", ".." , "a" * 5000),
    "EvaluateRequest": ("x",), "InstanceInitiatedShutdownBehavior": ("stop", "terminate"),
}  # fmt: skip
SLOW = ("DescribeFaults",)  # looks at the whole host
ODD_INDICES = ("0", "-1", "01", "x", "1.1", "999999999", "9999999999999", "\u0661", "", "1e3", " 1")
VERSIONS = ("2016-11-15", "2016-11-15", "2013-10-15", "2006-06-26", "2099-12-31", "x", "", "20")
Pairs = list[tuple[str, str]]


# --- members ------------------------------------------------------------------------------------


class Grammar:
    """Writes the members of one action as pairs of a name and a value."""

    def __init__(self, chance: odd.Chance, shop: CloudShop, protocol: str, action: str) -> None:
        self.chance, self.shop, self.action = chance, shop, action
        self._is_ec2 = protocol == "ec2"
        self._share = chance.choice([0, 0.1, 0.3, 0.8])

    def pairs(self, shape: Shape, served: frozenset[str]) -> Pairs:
        """The members of a whole request: those that are served, and rarely others."""
        found: Pairs = []
        required = set(getattr(shape, "required_members", ()))
        for name, member in getattr(shape, "members", {}).items():
            is_served = not served or re.sub("[^a-z0-9]", "", name.lower()) in served
            share = (0.9 if name in required else max(self._share, 0.15)) if is_served else 0.01
            if self.chance.random() < share:
                found += self._write(member, self._name(name, member), name, 0)
        return found

    def _name(self, name: str, member: Shape) -> str:
        traits = member.serialization
        if self._is_ec2:
            plain = str(traits.get("name", name))
            return str(traits.get("queryName", plain[:1].upper() + plain[1:]))
        return str(traits.get("name", name))

    def _write(self, shape: Shape, prefix: str, name: str, depth: int) -> Pairs:
        chance = self.chance
        if chance.random() < chance.odd / 4:  # of another kind than the model's
            return [
                (f"{prefix}{chance.choice(['', '.1', '.Value', '.member.1'])}", odd.text(chance))
            ]
        if isinstance(shape, StructureShape):
            return self._write_structure(shape, prefix, depth)
        if isinstance(shape, ListShape):
            return self._write_list(shape, prefix, name, depth)
        if isinstance(shape, MapShape):
            return [
                (f"{prefix}.entry.1.key", odd.text(chance)),
                (f"{prefix}.entry.1.value", odd.text(chance)),
            ]
        return [(prefix, self.value(shape, name))]

    def _write_structure(self, shape: StructureShape, prefix: str, depth: int) -> Pairs:
        if depth > DEEPEST:
            return []
        if shape.name == "Filter" and self.chance.random() > self.chance.odd:
            return self._write_filter(prefix)
        found: Pairs = []
        for name, member in shape.members.items():
            if name in shape.required_members or self.chance.random() < max(self._share, 0.4):
                found += self._write(
                    member, f"{prefix}.{self._name(name, member)}", name, depth + 1
                )
        return found

    def _write_filter(self, prefix: str) -> Pairs:
        chance = self.chance
        names = FILTERS.get(self.action, ["tag:Name", "name"])
        count = chance.choice([0, 1, 1, 1, 2, 201])
        value = odd.text(chance) if chance.random() < 0.5 else self.thing()
        name = chance.choice([*names, "tag:Name", "tag-key", "tag:*"])
        return [
            (f"{prefix}.Name", name),
            *((f"{prefix}.Value.{number}", value) for number in range(1, count + 1)),
        ]

    def _write_list(self, shape: ListShape, prefix: str, name: str, depth: int) -> Pairs:
        chance = self.chance
        if not self._is_ec2 and not shape.serialization.get("flattened"):
            prefix = f"{prefix}.{shape.member.serialization.get('name', 'member')}"
        found: Pairs = []
        for number in range(1, chance.choice([0, 1, 1, 1, 2, 3]) + 1):
            found += self._write(shape.member, f"{prefix}.{number}", name, depth + 1)
        if chance.random() < chance.odd / 10:
            count = chance.choice([101, 1001])
            found += [(f"{prefix}.{number}", "x") for number in range(1, count)]
        return found

    def thing(self, kind: str = "") -> str:
        things = self.shop.things
        every = [each for group in things.values() for each in group]
        return self.chance.choice(things.get(kind) or every)

    def value(self, shape: Shape, name: str) -> str:
        chance = self.chance
        if chance.random() < chance.odd:
            return odd.text(chance)
        if ("Policy" in name and "Document" in name) or name == "PolicyInputList":
            return policy(chance)
        if name in ("UserData", "PublicKeyMaterial") or shape.type_name == "blob":
            return base64.b64encode(chance.randbytes(chance.choice([0, 1, 100, 17000]))).decode()
        plain = PLAIN.get(name)
        if plain:
            return chance.choice(plain)
        for pattern, kind in NAMED:
            if pattern.search(name):
                return self.thing(kind)
        return odd.scalar(shape, chance)


def policy(chance: odd.Chance) -> str:
    """A policy of IAM, or a trust, or what is like one."""
    roll = chance.random()
    if roll < 0.2:
        return chance.choice([ALLOW_ALL, FEW, TRUST])
    text = odd.policy(chance).decode("utf-8", "replace")
    if roll < 0.6:
        text = re.sub(r'"Principal": (\{[^{}]*\}|"[^"]*"|\[\]|7), ?', "", text)
    return text if roll < 0.95 else quote(text)[:200_000]


# --- names --------------------------------------------------------------------------------------


def bend(pairs: Pairs, chance: odd.Chance) -> Pairs:
    """Make some of the names odd: other indices, twice, deeper, cut."""
    if not pairs or chance.random() > chance.odd * 2:
        return pairs
    found = list(pairs)
    at = chance.randrange(len(found))
    name, value = found[at]
    ways: list[Callable[[], Pairs]] = [
        lambda: [(re.sub(r"\d+", chance.choice(ODD_INDICES), name, count=1), value)],
        lambda: [(name, value), (name, odd.text(chance))],
        lambda: [(name, value), (f"{name}.1", "x")],
        lambda: [(f"{name}.{chance.choice(['Name', '1', 'member.1', 'entry.1.key'])}", value)],
        lambda: [(name.partition(".")[0], value)],
        lambda: [(name.lower(), value)],
        lambda: [(f"{name}.", value), (f".{name}", value)],
        lambda: [(name.replace(".", ".."), value)],
        lambda: [(".".join(["a"] * chance.choice([10, 5000])), value)],
        lambda: [(f"{name}.{number}", value) for number in range(chance.choice([10, 3000]))],
        lambda: [(odd.text(chance)[:3000], value)],
        lambda: [(name, value.replace("a", "\0"))],
        lambda: [(f"{name}\0", value)],
    ]
    found[at : at + 1] = chance.choice(ways)()
    if chance.random() < 0.2:
        chance.shuffle(found)
    return found


def encode(pairs: Pairs, chance: odd.Chance) -> str:
    """The form; its coding is rarely damaged."""
    if chance.random() < 0.95:
        coded = "&".join(f"{_quote(name)}={_quote(value)}" for name, value in pairs)
    else:
        coded = "&".join(f"{odd.in_header(n)}={odd.in_header(v)}" for n, v in pairs)
    if chance.random() < chance.odd / 3:
        at = chance.randrange(len(coded) + 1)
        piece = ["&", "&&", "=", "%", "%zz", "%ff", "%00", "%ed%a0%80", ";", "+", "#", "\x85"]
        coded = coded[:at] + chance.choice(piece) + coded[at:]
    return coded


def _quote(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="-_.~")


# --- kinds --------------------------------------------------------------------------------------


def list_actions(service: str) -> list[str]:
    names = (name for owner, name in actions.load() if owner == service)
    return sorted(name for name in names if name not in SLOW)


def _make(service: str) -> Callable[[Any, CloudShop], Case]:
    served = list_actions(service)
    every = sorted(name for name in model.service(service).names if name not in SLOW)

    def kind(chance: odd.Chance, shop: CloudShop) -> Case:
        name = chance.choice(served) if chance.random() < 0.96 else chance.choice(every)
        return make_case(service, name, chance, shop)

    return kind


def make_case(service: str, name: str, chance: odd.Chance, shop: CloudShop) -> Case:
    """A request for an action, with odd members."""
    described = model.service(service)
    operation, action = described.operation(name), actions.load().get((service, name))
    known = action.parameters if action else frozenset()
    served = frozenset(each.replace("_", "") for each in known)
    pairs: Pairs = []
    if operation is not None and operation.input is not None:
        grammar = Grammar(chance, shop, described.protocol, name)
        pairs = grammar.pairs(operation.input, served)
    if service == "ec2" and chance.random() < 0.1:
        pairs.append(("DryRun", chance.choice(["true", "true", "false", "x", ""])))
    if service == "iam" and chance.random() < 0.05:
        pairs.append(("DelegateAccount", chance.choice([*shop.things["account name"], "", "x"])))
    pairs = bend(pairs, chance)
    version = chance.choice(VERSIONS) if chance.random() < chance.odd else described.version
    head = [("Action", name if chance.random() > chance.odd / 9 else odd.text(chance))]
    head.append(("Version", version))
    form = encode([*head, *pairs], chance)
    return send_form(service, form, chance, shop)


def send_form(service: str, form: str, chance: odd.Chance, shop: CloudShop) -> Case:
    """A form in a body or in a query, signed by one of the ways."""
    path, roll = chance.choice(PATHS[service]), chance.random()
    case = Case("POST", path, service=service, headers={"host": HOST, "content-type": FORM})
    if roll < 0.07:
        sign2(case, form, shop.keys(chance), chance)
    elif roll < 0.15 and len(form) < 9000 and form.isascii():
        case.method, case.query, case.headers = "GET", form, {"host": HOST}
        case.signed = chance.choice(["v4", "v4", "url4", ""])
    else:
        case.body = form.encode("latin-1", "replace")
        case.signed = "v4" if roll < 0.98 else ""
        case.chunked = chance.random() < 0.03
        if chance.random() < 0.02:
            case.headers["content-type"] = odd.in_header(odd.text(chance))
    return case


def sign2(case: Case, form: str, keys: Keys, chance: odd.Chance) -> None:
    """Sign with version 2, in the form itself."""
    more = {
        "AWSAccessKeyId": keys.access,
        "SignatureMethod": chance.choice(["HmacSHA256", "HmacSHA1"]),
        "SignatureVersion": "2",
        "Timestamp": now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    coded = [*form.split("&"), *(f"{name}={_quote(value)}" for name, value in more.items())]
    text = "\n".join([case.method, HOST, case.path, "&".join(sorted(coded))])
    digest = "sha256" if more["SignatureMethod"] == "HmacSHA256" else "sha1"
    mac = hmac.digest(keys.secret.encode(), text.encode("latin-1", "replace"), digest)
    coded.append(f"Signature={_quote(base64.b64encode(mac).decode())}")
    case.body, case.signed = "&".join(coded).encode("latin-1", "replace"), ""
    case.headers["authorization"] = ""
    del case.headers["authorization"]


# --- policies -----------------------------------------------------------------------------------

WITH_POLICIES = (
    ("iam", "PutUserPolicy"), ("iam", "PutGroupPolicy"), ("iam", "PutRolePolicy"),
    ("iam", "CreatePolicy"), ("iam", "CreatePolicyVersion"), ("iam", "CreateRole"),
    ("iam", "UpdateAssumeRolePolicy"), ("iam", "SimulateCustomPolicy"),
    ("iam", "SimulatePrincipalPolicy"), ("sts", "AssumeRole"), ("sts", "GetFederationToken"),
    ("iam", "PutAccountPolicy"), ("iam", "GetContextKeysForCustomPolicy"),
)  # fmt: skip


def policies(chance: random.Random, shop: CloudShop) -> Case:
    """An action that takes a policy, or one of a user who has such policies."""
    assert isinstance(chance, odd.Chance)
    served = [each for each in WITH_POLICIES if each in actions.load()]
    service, name = chance.choice(served)
    roll = chance.random()
    if roll < 0.25:  # a policy of the user's own, and then a request that it decides
        pairs = [
            ("Action", "PutUserPolicy"), ("Version", model.service("iam").version),
            ("UserName", "user-1"), ("PolicyName", chance.choice(["few", "p2"])),
            ("PolicyDocument", policy(chance)),
        ]  # fmt: skip
        return send_form("iam", encode(pairs, chance), chance, shop)
    if roll < 0.45:
        service = chance.choice(["ec2", "iam"])
        case = make_case(service, chance.choice(list_actions(service)), chance, shop)
        case.signed = "few" if case.signed == "v4" else case.signed
        return case
    return make_case(service, name, chance, shop)


KINDS = {
    "ec2": (_make("ec2"), 100),
}
IAM_KINDS = {"iam": (_make("iam"), 100)}
STS_KINDS = {"sts": (_make("sts"), 80), "bootstrap": (_make("bootstrap"), 20)}
POLICY_KINDS = {"documents-of-policies": (policies, 100)}
