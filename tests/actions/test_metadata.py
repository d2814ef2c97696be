import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from eucabox import ids, steady_clock
from eucabox.actions import Call, perform
from eucabox.config import CloudSection, Config, ImagesSection
from eucabox.errors import (
    MetadataBadRequest,
    MetadataForbidden,
    MetadataNotFound,
    MetadataUnauthorized,
    NetworkUnusable,
)
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from tests.rows import ACCOUNT, add_instance

HERE = "172.30.64.4"


class FakeNetwork:
    """A network in which nobody lies, but the addresses in `thieves`."""

    subnet = IPv4Network("172.30.64.0/24")
    api_address: str | None = None

    def __init__(self) -> None:
        self.thieves: set[str] = set()

    def owns_address(self, private_ip_address: str, mac_address: str) -> bool:
        return private_ip_address not in self.thieves


@pytest.fixture(scope="module")
def folder(first_keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cloud")
    shutil.copytree(first_keys, made, dirs_exist_ok=True)
    return made


@pytest.fixture(scope="module")
def cloud(folder: Path) -> Iterator[Any]:
    config = Config(cloud=CloudSection(data_dir=folder))
    state = State(folder / "eucabox.db")
    accounts = Accounts(config, state)
    account = {"account_id": ACCOUNT, "account_name": "a", "canonical_id": "c" * 64}
    state.insert("accounts", {**account, "created": ids.now()})
    yield SimpleNamespace(config=config, state=state, accounts=accounts, network=FakeNetwork())
    state.close()


@pytest.fixture(autouse=True)
def no_instances(cloud: Any) -> None:
    cloud.network.thieves.clear()
    with cloud.state.transaction() as database:
        for table in (
            *("instance_groups", "security_groups", "tags", "instances", "sessions"),
            *("instance_profiles", "roles"),
        ):
            database.conn.execute(f"delete from {table}")


def call(cloud: Any, source: str = HERE) -> Call:
    return Call(cloud, None, "request", region="eucabox", source=source)


def read(cloud: Any, source: str = HERE, **params: Any) -> dict[str, Any]:
    found = perform("metadata", "GetMetadata", call(cloud, source), params)
    assert found is not None
    return found


def token(cloud: Any, seconds: int = 60, source: str = HERE) -> str:
    return cast(str, session(cloud, seconds, source)["token"])


def session(cloud: Any, seconds: int = 60, source: str = HERE) -> dict[str, Any]:
    made = perform("metadata", "CreateToken", call(cloud, source), {"seconds": seconds})
    assert made is not None
    return made


def test_an_instance_reads_what_it_is(cloud: Any) -> None:
    instance_id = add_instance(cloud.state, key_name="mine", public_key="ssh-rsa AAAA mine")
    tree = read(cloud)["meta-data"]
    assert tree["instance-id"] == instance_id
    assert tree["local-ipv4"] == tree["public-ipv4"] == HERE
    assert tree["hostname"] == tree["local-hostname"] == "ip-172-30-64-4.eucabox.internal"
    assert tree["ami-manifest-path"] == "bucket/tiny.img.manifest.xml"
    assert tree["placement"] == {
        "availability-zone": "eucabox-1a", "availability-zone-id": "eucabox-az1",
        "region": "eucabox",
    }  # fmt: skip
    assert tree["events"] == {"maintenance": {"history": "[]", "scheduled": "[]"}}
    assert tree["product-codes"] == tree["ancestor-ami-ids"] == ""
    assert tree["public-keys"] == {"0=mine": {"openssh-key": "ssh-rsa AAAA mine\n"}}
    interface = tree["network"]["interfaces"]["macs"]["d0:0d:ac:1e:40:04"]
    assert interface["owner-id"] == ACCOUNT
    assert interface["local-ipv4s"] == HERE
    assert interface["interface-id"].startswith("eni-")
    assert interface["subnet-ipv4-cidr-block"] == "172.30.64.0/24"


def test_a_network_that_only_the_site_knows_is_not_told(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(network: object) -> IPv4Network:
        raise NetworkUnusable(reason="Only the site knows.")

    monkeypatch.setattr(FakeNetwork, "subnet", property(unknown))
    add_instance(cloud.state)
    (interface,) = read(cloud)["meta-data"]["network"]["interfaces"]["macs"].values()
    assert "subnet-ipv4-cidr-block" not in interface
    assert interface["local-ipv4s"] == HERE


def test_what_an_instance_lacks_is_not_listed(cloud: Any) -> None:
    add_instance(cloud.state, kernel_id=None, ramdisk_id=None, virtualization_type="hvm")
    tree = read(cloud)
    absent = {"kernel-id", "ramdisk-id", "public-keys", "tags", "iam", "spot", "autoscaling"}
    assert not absent & set(tree["meta-data"])
    assert tree["meta-data"]["block-device-mapping"] == {
        "ami": "sda1",
        "emi": "sda1",
        "root": "/dev/sda1",
    }
    assert "user-data" not in tree


def test_a_bundled_image_has_its_ephemeral_disk_and_swap(cloud: Any) -> None:
    add_instance(cloud.state)
    devices = read(cloud)["meta-data"]["block-device-mapping"]
    assert (devices["ephemeral0"], "swap" in devices) == ("sda2", False)
    cloud.config = replace(cloud.config, images=ImagesSection(swap_mb=64))
    assert read(cloud)["meta-data"]["block-device-mapping"]["swap"] == "sda3"
    cloud.config = replace(cloud.config, images=ImagesSection())


def test_user_data_is_byte_for_byte(cloud: Any) -> None:
    add_instance(cloud.state, user_data=bytes(range(256)))
    assert read(cloud)["user-data"] == bytes(range(256))


def test_groups_and_tags(cloud: Any) -> None:
    instance_id = add_instance(
        cloud.state, metadata_options='{"instance_metadata_tags": "enabled"}'
    )
    with cloud.state.transaction():
        for number, name in enumerate(("web", "db")):
            group_id = f"sg-0000000000000000{number}"
            group = {"group_id": group_id, "account_id": ACCOUNT, "group_name": name}
            group |= {"description": "", "created": ""}
            cloud.state.insert("security_groups", group)
            pair = {"instance_id": instance_id, "group_id": group_id}
            cloud.state.insert("instance_groups", pair)
        for key in ("Name", "a/b", ".."):
            tag = {"resource_id": instance_id, "account_id": ACCOUNT, "key": key}
            tag |= {"resource_type": "instance", "value": "v"}
            cloud.state.insert("tags", tag)
    tree = read(cloud)["meta-data"]
    assert tree["security-groups"] == "db\nweb"
    assert tree["tags"] == {"instance": {"Name": "v"}}, "no key that a path can't hold"


def test_nobody_elses_address_gets_anything(cloud: Any) -> None:
    add_instance(cloud.state)
    for source in ("172.30.64.5", "127.0.0.1", ""):
        with pytest.raises(MetadataNotFound):
            read(cloud, source)
        with pytest.raises(MetadataNotFound):
            token(cloud, source=source)


def test_an_address_that_is_not_held_gets_nothing(cloud: Any) -> None:
    add_instance(cloud.state)
    cloud.network.thieves.add(HERE)
    with pytest.raises(MetadataNotFound):
        read(cloud)


def test_the_last_holder_of_an_address_is_gone(cloud: Any) -> None:
    add_instance(cloud.state, state="terminated", user_data=b"old")
    with pytest.raises(MetadataNotFound):
        read(cloud)
    heir = add_instance(cloud.state, state="pending")
    assert read(cloud)["meta-data"]["instance-id"] == heir


def test_services_name_the_api_where_guests_reach_it(cloud: Any) -> None:
    add_instance(cloud.state)
    assert read(cloud)["meta-data"]["services"] == {
        "domain": "eucabox.internal",
        "partition": "aws",
    }
    cloud.network.api_address = "172.30.64.1"
    services = read(cloud)["meta-data"]["services"]
    cloud.network.api_address = None
    assert services["endpoint"] == "http://172.30.64.1:8773"


# --- tokens ------------------------------------------------------------------------------------


def test_a_token_opens_for_its_instance_alone_and_outlives_a_restart(
    cloud: Any, folder: Path
) -> None:
    add_instance(cloud.state)
    add_instance(cloud.state, private_ip_address="172.30.64.5")
    made = token(cloud)
    read(cloud, token=made)
    with pytest.raises(MetadataUnauthorized):
        read(cloud, "172.30.64.5", token=made)
    restarted = Accounts(cloud.config, cloud.state)
    again = SimpleNamespace(**{**vars(cloud), "accounts": restarted})
    read(again, token=made)


@pytest.mark.parametrize("bad", ["", "x", "AAAA", "A" * 54 + "==", "\xff", "A" * 5000])
def test_a_token_that_is_none_is_refused_even_where_none_is_needed(cloud: Any, bad: str) -> None:
    add_instance(cloud.state)
    with pytest.raises(MetadataUnauthorized):
        read(cloud, token=bad)


def test_an_altered_token_is_refused(cloud: Any) -> None:
    add_instance(cloud.state)
    content = bytearray(base64.urlsafe_b64decode(token(cloud)))
    content[0] ^= 1  # a longer life
    with pytest.raises(MetadataUnauthorized):
        read(cloud, token=base64.urlsafe_b64encode(content).decode())


def test_a_token_ends(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add_instance(cloud.state)
    made = token(cloud, 21600)
    later = steady_clock.uptime() + 21601
    monkeypatch.setattr(steady_clock, "uptime", lambda: later)
    with pytest.raises(MetadataUnauthorized):
        read(cloud, token=made)


def test_a_token_travels_as_far_as_the_instance_says(cloud: Any) -> None:
    add_instance(cloud.state)
    assert session(cloud)["hops"] == 1
    options = '{"http_put_response_hop_limit": 2}'
    add_instance(cloud.state, private_ip_address="172.30.64.5", metadata_options=options)
    assert session(cloud, source="172.30.64.5")["hops"] == 2


@pytest.mark.parametrize("seconds", [0, -1, 21601, 10**9])
def test_a_token_lives_six_hours_at_most(cloud: Any, seconds: int) -> None:
    add_instance(cloud.state)
    with pytest.raises(MetadataBadRequest):
        token(cloud, seconds)


def test_required_tokens_and_a_closed_endpoint(cloud: Any) -> None:
    add_instance(cloud.state, metadata_options='{"http_tokens": "required"}')
    with pytest.raises(MetadataUnauthorized):
        read(cloud)
    read(cloud, token=token(cloud))
    with cloud.state.transaction() as database:
        database.conn.execute("""update instances set metadata_options =
          '{"http_endpoint": "disabled"}'""")
    for attempt in (read, token):
        with pytest.raises(MetadataForbidden):
            attempt(cloud)


# --- instance identity -------------------------------------------------------------------------


def test_the_identity_is_signed_by_the_cloud(cloud: Any) -> None:
    instance_id = add_instance(cloud.state)
    identity = read(cloud)["dynamic"]["instance-identity"]
    facts = json.loads(identity["document"])
    assert facts["instanceId"] == instance_id
    assert facts["accountId"] == ACCOUNT
    assert facts["region"] == "eucabox"
    assert facts["availabilityZone"] == "eucabox-1a"
    assert facts["pendingTime"] == "2026-11-23T01:02:03Z"
    certificate = x509.load_pem_x509_certificate(cloud.accounts.cloud_certificate.encode())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(identity["signature"])
    key.verify(signature, identity["document"].encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("name", ["pkcs7", "rsa2048"])
def test_the_envelope_holds_the_document_and_the_certificate(cloud: Any, name: str) -> None:
    add_instance(cloud.state)
    identity = read(cloud)["dynamic"]["instance-identity"]
    content = base64.b64decode(identity[name])
    assert identity["document"].encode() in content
    (signer,) = pkcs7.load_der_pkcs7_certificates(content)
    expected = x509.load_pem_x509_certificate(cloud.accounts.cloud_certificate.encode())
    assert signer == expected


def openssl(folder: Path, *argv: str) -> str:
    done = subprocess.run(["openssl", *argv], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.not_fast
def test_openssl_verifies_the_identity_as_the_manual_says(cloud: Any, tmp_path: Path) -> None:
    """The commands of docs/metadata.md, with the certificate of any credentials folder."""
    add_instance(cloud.state)
    identity = read(cloud)["dynamic"]["instance-identity"]
    (tmp_path / "cloud-cert.pem").write_text(cloud.accounts.cloud_certificate)
    (tmp_path / "document").write_text(identity["document"])
    for name in ("pkcs7", "rsa2048"):
        armour = f"-----BEGIN PKCS7-----\n{identity[name]}\n-----END PKCS7-----\n"
        (tmp_path / "p7").write_text(armour)
        verify = ("smime", "-verify", "-inform", "PEM", "-in", "p7", "-content", "document")
        members = openssl(
            tmp_path, *verify, "-certfile", "cloud-cert.pem", "-nointern", "-noverify"
        )
        assert members == identity["document"]
    (tmp_path / "signature").write_bytes(base64.b64decode(identity["signature"]))
    public = openssl(tmp_path, "x509", "-in", "cloud-cert.pem", "-noout", "-pubkey")
    (tmp_path / "key").write_text(public)
    check = ("dgst", "-sha256", "-verify", "key", "-signature", "signature", "document")
    assert openssl(tmp_path, *check) == "Verified OK\n"


def test_an_instance_without_a_public_address_reads_none(cloud: Any) -> None:
    add_instance(cloud.state, public_address=0)
    tree = read(cloud)["meta-data"]
    (interface,) = tree["network"]["interfaces"]["macs"].values()
    assert not [name for name in (*tree, *interface) if name.startswith("public-ip")]
    assert "public-hostname" not in {*tree, *interface}
    assert tree["local-ipv4"]
