"""A small cloud for the verbs: real rows, real capacity, and a node and network of words."""

import dataclasses
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

from eucabox import ids
from eucabox.actions import Call, perform
from eucabox.config import Config, NodeSection
from eucabox.domains.capacity import Capacity
from eucabox.domains.health import Trouble
from eucabox.domains.usage_sampler import UsageSample
from eucabox.ec2.bundle_tasks import BundleTasks
from eucabox.ec2.exports import Export, Exports
from eucabox.errors import InsufficientFreeAddresses, NoSuchBucket
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.iam.authorization import Authorization
from eucabox.iam.caller import Caller, Credential
from eucabox.iam.key_use import KeyUse
from eucabox.iam.known_keys import KnownKeys
from eucabox.iam.second_factors import SecondFactors
from eucabox.iam.sessions import Sessions
from eucabox.iam.sign_up import SignUps
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.images import WriteMore
from eucabox.instance_states import InstanceState
from eucabox.mail import MailQueue
from eucabox.network import GuestAddress
from eucabox.seal import Seal
from eucabox.state import Row, State
from eucabox.store.rescan_jobs import Rescans
from eucabox.store.types import Bucket, BucketChanges
from tests.kept_events import KeptEvents

ADMIN = Caller(
    "100000000001", "eucalyptus", "a" * 64, "AIDAADMIN", "admin", admin=True, is_root=True
)
ALICE = Caller("200000000002", "alice", "b" * 64, "AIDAALICE", "alice", admin=False, is_root=True)
BOB = Caller("300000000003", "bob", "c" * 64, "AIDABOB", "bob", admin=False, is_root=True)
MOMENT = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


class StandInUsage:
    """Has one sample of each guest, of what is known of it."""

    def list_samples(self, instance_id: str, most: int) -> list[UsageSample]:
        return [UsageSample(MOMENT, 0.5, 2**20, 1.0, None, 0.0, 3.5)]


@dataclass
class StandInNode:
    """Says what a node would say, and counts how often it was woken."""

    hypervisor_name: str = "kvm"
    capabilities: Capabilities = field(default_factory=Capabilities)
    usage: StandInUsage = field(default_factory=StandInUsage)
    woken: int = 0
    console: dict[str, bytes] = field(default_factory=dict)

    def wake(self) -> None:
        self.woken += 1

    troubles: dict[str, Trouble] = field(default_factory=dict)
    queued: dict[str, str] = field(default_factory=dict)

    def trouble(self, instance_id: str) -> Trouble | None:
        return self.troubles.get(instance_id)

    def queue(self, instance_id: str) -> str:
        return self.queued.get(instance_id, "")

    def screenshot(self, instance_id: str, wake_up: bool = False) -> bytes:
        return b"picture" + bytes([wake_up])

    def console_output(self, instance_id: str) -> tuple[bytes, datetime]:
        return self.console.get(instance_id, b""), MOMENT


@dataclass
class StandInNetwork:
    """Gives out the addresses of a subnet in order."""

    subnet: IPv4Network = field(default_factory=lambda: IPv4Network("172.30.64.0/28"))

    heard: set[str] = field(default_factory=set)
    api_address: str | None = "172.30.64.1"

    def has_seen_traffic(self, instance_id: str) -> bool:
        return instance_id in self.heard

    def assign(self, taken: set[str], instance_id: str) -> GuestAddress:
        for ip in list(self.subnet)[4:-1]:
            if str(ip) not in taken:
                return GuestAddress(f"d0:0d:{ip.packed.hex(':')}", str(ip), f"ip-{ip}.internal")
        raise InsufficientFreeAddresses(count=11)


class StandInImages:
    """Registers what it is told, without a bucket."""

    def __init__(self, state: State) -> None:
        self.state = state

    def register(
        self, caller: Caller, image_location: str, *, also: WriteMore, **facts: Any
    ) -> Row:
        facts = {name: value for name, value in facts.items() if value}
        facts.pop("block_device_mapping", None)
        facts.pop("context", None)
        if boot_mode := facts.pop("boot_mode", ""):
            facts["settings"] = json.dumps({"boot_mode": boot_mode})
        row = add_image(self.state, caller, image_location=image_location, **facts)
        also(row["image_id"])
        return row

    def copy(
        self,
        caller: Caller,
        source: Row,
        name: str,
        description: str,
        token: str,
        context: Mapping[str, str],
        also: WriteMore,
    ) -> Row:
        facts = {"name": name, "description": description, "state": "pending"}
        row = add_image(self.state, caller, image_type=source["image_type"], **facts)
        also(row["image_id"])
        return row

    def deregister(self, row: Row, also: WriteMore = lambda _: None) -> None:
        self.state.update("images", {"image_id": row["image_id"]}, state="deregistered")
        also(row["image_id"])

    def create_pending(self, caller: Caller, instance: Row, name: str, description: str) -> Row:
        place = "made/emi-1/image.manifest.xml"
        facts = {"name": name, "description": description, "settings": '{"made_of": "i-1"}'}
        return add_image(self.state, caller, state="pending", image_location=place, **facts)


def insert(state: State, table: str, row: Row) -> None:
    state.insert(table, row)


def add_image(state: State, caller: Caller, /, **facts: Any) -> Row:
    kind = facts.get("image_type", "machine")
    row = {
        "image_id": ids.new({"machine": "emi", "kernel": "eki", "ramdisk": "eri"}[kind]),
        "account_id": caller.account_id,
        "name": "picture",
        "image_location": "bucket/image.manifest.xml",
        "image_type": kind,
        "architecture": "x86_64",
        "virtualization_type": "hvm",
        "root_device_name": "/dev/sda1",
        "state": "available",
        "size": 2**20,
        "created": ids.now(),
        **facts,
    }
    insert(state, "images", row)
    found = state.one("select * from images where image_id = ?", (row["image_id"],))
    assert found is not None
    return found


def add_account(state: State, caller: Caller) -> None:
    row = {
        "account_id": caller.account_id,
        "account_name": caller.account_name,
        "canonical_id": caller.canonical_id,
        "created": ids.now(),
    }
    insert(state, "accounts", row)


class StandInAccounts:
    """Finds accounts by their number, and has the cloud's certificate."""

    cloud_certificate = ssl.DER_cert_to_PEM_cert(b"certificate")

    def __init__(self, state: State) -> None:
        self.state = state
        seal = Seal(state.path.parent / "key")
        self.authorization = Authorization(state, seal)
        self.sessions = Sessions(state, seal)
        self.seal = seal
        self.second_factors = SecondFactors(state, seal)
        self.known_keys = KnownKeys(state, self.credential, KeyUse(state, "here"))

    def get_by_account_id(self, account_id: str) -> Row | None:
        return self.state.one("select * from accounts where account_id = ?", (account_id,))

    def credential(self, access_key_id: str) -> Credential | None:
        who = {"AKIAALICE": ALICE, "AKIABOB": BOB}.get(access_key_id)
        return Credential(who, "secret", True) if who else None

    def signing_pair(self, caller: Caller) -> None:
        """Everybody has one."""

    def create_user(self, name: str, email: str = "") -> Caller:
        made = Caller(ids.account_id(), name, ids.canonical_id(), ids.user_id(), name, admin=False)
        add_account(self.state, made)
        return made


class StandInStore:
    """Buckets that have a name and an owner."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.rescans = Rescans(lambda bucket, progress: 1)

    def usage(self) -> dict[str, Any]:
        return {"buckets": {name: {"objects": 1, "bytes": 2} for name in self.owners}}

    def scan_folders(self, buckets: Sequence[str]) -> list[str]:
        return list(buckets)

    def bucket(self, name: str) -> Bucket:
        return Bucket(name, self.owners[name], MOMENT)

    def buckets(self, owner: str | None = None) -> list[Bucket]:
        return [self.bucket(name) for name in self.owners if owner in (None, self.owners[name])]

    def create_bucket(self, name: str, owner: str) -> None:
        self.owners[name] = owner

    def list_changes(self, name: str, position: str) -> BucketChanges:
        if name not in self.owners:
            raise NoSuchBucket(name=name)
        return BucketChanges("run-1", bool(position), [])


class StandInBundles(BundleTasks):
    """Writes tasks and leaves them at that."""

    def submit(self, bundle_id: str) -> None:
        pass


class StandInExports(Exports):
    """Begins exports and leaves them at that."""

    def _carry_out(self, made: Export) -> None:
        pass


class World:
    """A cloud and its callers; `do` is what a door would do."""

    def __init__(self, config: Config, state: State) -> None:
        roomy = NodeSection(cores=8, memory_mb=1024, disk_gb=100)
        config = dataclasses.replace(config, node=roomy)
        self.state = state
        self.node = StandInNode()
        self.network = StandInNetwork()
        for caller in (ADMIN, ALICE, BOB):
            add_account(state, caller)
        self.cloud: Any = SimpleNamespace(
            config=config,
            state=state,
            accounts=StandInAccounts(state),
            images=StandInImages(state),
            node=self.node,
            network=self.network,
            capacity=Capacity(config, state),
            store=StandInStore(),
            events=KeptEvents(),
        )
        rooms: Any = (self.cloud.store, self.cloud.accounts, self.cloud.images, self.node)
        queue, get_config = MailQueue(state, Seal(config.cloud.data_dir / "key")), lambda: config
        self.cloud.sign_ups = SignUps(get_config, state, self.cloud.accounts, queue, Attempts())
        self.cloud.mail = queue
        self.cloud.exports = StandInExports(config, state, self.cloud.images, self.cloud.node)
        self.cloud.findings = SimpleNamespace(read=lambda max_age: ([], ""))
        self.cloud.facts = lambda: {"problems": []}
        self.cloud.bundles = StandInBundles(config, state, *rooms)

    def call(self, caller: Caller | None = ALICE, version: str = "2016-11-15") -> Call:
        return Call(
            cloud=self.cloud,
            caller=caller,
            request_id="request",
            region="eucabox",
            endpoint="http://127.0.0.1:8773",
            api_version=version,
            path="/services/compute",
        )

    def do(self, name: str, caller: Caller | None = ALICE, /, **params: Any) -> dict[str, Any]:
        answer = perform("ec2", name, self.call(caller), params)
        assert answer is not None
        return answer

    def image(self, caller: Caller = ALICE, /, **facts: Any) -> str:
        return str(add_image(self.state, caller, **facts)["image_id"])

    def run(self, caller: Caller = ALICE, **params: Any) -> dict[str, Any]:
        params = {"min_count": 1, "max_count": 1, "instance_type": "m1.tiny", **params}
        params.setdefault("image_id", "")
        params["image_id"] = params["image_id"] or self.image(caller)
        return self.do("RunInstances", caller, **params)

    def set_state(self, instance_id: str, state: str) -> None:
        code = InstanceState(state).code
        where = {"instance_id": instance_id}
        self.state.update("instances", where, state=state, state_code=code, wanted="")
