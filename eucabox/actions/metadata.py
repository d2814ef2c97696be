"""The instance metadata: one nested dict made from the instance's rows, and session tokens."""

import base64
import hashlib
import hmac
import json
import struct
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from eucabox import steady_clock
from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, instance_profiles, instances, tags
from eucabox.ec2.instance_metadata import TAG_KEY
from eucabox.errors import (
    InstanceRoleRefused,
    MetadataBadRequest,
    MetadataForbidden,
    MetadataNotFound,
    MetadataUnauthorized,
    TooManySessions,
)
from eucabox.iam.credentials_folder import endpoint
from eucabox.iam.rows import RoleRow
from eucabox.image import disk
from eucabox.instance_states import ALIVE, ENDED, sql_list
from eucabox.schema import InstanceRow

Tree = dict[str, object]  # of str, bytes (user data) and further trees
LONGEST_TOKEN = 21600  # seconds
DEFAULT_HOPS = 1
NO_EVENTS = "[]"
DOCUMENT_VERSION = "2017-09-30"
_STAMP = struct.Struct(">Q")


@action(service="metadata", anonymous=True)
def get_metadata(call: Call, *, token: str | None = None) -> Tree:
    """Return all that the instance at the call's source may read: meta-data, dynamic, user-data.

    Raises MetadataNotFound if the address is no instance's, MetadataUnauthorized for a bad or
    missing token, MetadataForbidden if the instance's metadata is turned off.
    """
    row = _find_instance(call)
    _check_access(call, row, token)
    accounts, document = call.cloud.accounts, _identity_document(call, row)
    identity = _sign_document(document, accounts.cloud_private_key, accounts.cloud_certificate)
    tree = {
        "dynamic": {
            "fws": {"instance-monitoring": "enabled" if row["monitoring"] else "disabled"},
            "instance-identity": dict(identity),
        },
        "meta-data": _build_meta_data(call, row),
        "user-data": row["user_data"],
    }
    return {name: value for name, value in tree.items() if value}


@action(service="metadata", anonymous=True)
def get_instance_credentials(call: Call, *, role_name: str, token: str | None = None) -> Result:
    """Return credentials of the role that the instance at the call's source has by its profile.

    A role that can't be assumed is no fault: the answer's code tells it, as clients expect.
    Raises as `get_metadata`, and MetadataNotFound for any other role.
    """
    row = _find_instance(call)
    _check_access(call, row, token)
    role = _find_role(call, row)
    if role is None or role["role_name"] != role_name:
        raise MetadataNotFound(path=f"iam/security-credentials/{role_name[:64]}")
    call.notes["instances"] = row["instance_id"]
    try:
        made = call.cloud.accounts.instance_sessions.get_credentials(row["instance_id"], role)
    except (InstanceRoleRefused, TooManySessions) as fault:
        return {"code": fault.code, "message": fault.message, "last_updated": call.now()}
    return {
        "code": "Success",
        "last_updated": made.created,
        "type": "AWS-HMAC",
        "access_key_id": made.access_key_id,
        "secret_access_key": made.secret,
        "token": made.token,
        "expiration": made.expires,
    }


@action(service="metadata", anonymous=True)
def create_token(call: Call, *, seconds: int) -> Result:
    """Return a token that opens the metadata of the instance at the call's source for a time.

    It is stored nowhere: the cloud's key signs the instance and the end of its life, which is
    counted from the host's start, so that setting its clock changes no token. `hops` is how far
    the answer may travel, the instance's HttpPutResponseHopLimit.
    """
    if not 1 <= seconds <= LONGEST_TOKEN:
        raise MetadataBadRequest(
            reason=f"A token lives from 1 to {LONGEST_TOKEN} seconds, not {seconds}."
        )
    row = _find_instance(call)
    _refuse_if_off(row)
    stamp = _STAMP.pack(int(steady_clock.uptime()) + seconds)
    token = base64.urlsafe_b64encode(stamp + _sign_token(call, row, stamp)).decode()
    hops = _read_options(row).get("http_put_response_hop_limit", DEFAULT_HOPS)
    return {"token": token, "seconds": seconds, "hops": hops}


class GuestInstance(InstanceRow):
    """The instance of a guest, with settings of its image where that still exists."""

    image_location: str | None
    image_size: int | None


# --- the caller ----------------------------------------------------------------------------------


def _find_instance(call: Call) -> GuestInstance:
    sql = f"""select i.*, m.image_location, m.size as image_size from instances i
      left join images m using (image_id)
      where private_ip_address = ? and i.state in {sql_list(ALIVE)}"""
    row = call.cloud.state.select_one(GuestInstance, sql, (call.source,))
    if row is None or not call.cloud.network.owns_address(call.source, row["mac_address"] or ""):
        raise MetadataNotFound(path="this address: no instance of this cloud has it")
    return row


def _check_access(call: Call, row: GuestInstance, token: str | None) -> None:
    _refuse_if_off(row)
    if token is None:
        if _read_options(row).get("http_tokens") == "required":
            raise MetadataUnauthorized(reason="This instance's metadata needs a token.")
    elif not _is_valid_token(call, row, token):
        raise MetadataUnauthorized(reason="The token is not valid, or no longer.")


def _refuse_if_off(row: GuestInstance) -> None:
    if _read_options(row).get("http_endpoint") == "disabled":
        raise MetadataForbidden(reason="This instance's metadata is turned off (HttpEndpoint).")


def _is_valid_token(call: Call, row: GuestInstance, token: str) -> bool:
    try:
        content = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        return False
    stamp, mark = content[: _STAMP.size], content[_STAMP.size :]
    if not hmac.compare_digest(mark, _sign_token(call, row, stamp)):
        return False
    (ends,) = _STAMP.unpack(stamp)
    return bool(steady_clock.uptime() < ends)


def _sign_token(call: Call, row: GuestInstance, stamp: bytes) -> bytes:
    key = _token_key(call.cloud.accounts.cloud_private_key)
    what = f"{row['instance_id']} {steady_clock.boot_id()} ".encode()
    return hmac.digest(key, what + stamp, hashlib.sha256)


@lru_cache(maxsize=4)
def _token_key(private_key: rsa.RSAPrivateKey) -> bytes:
    secret = private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return hmac.digest(secret, b"metadata tokens", hashlib.sha256)


def _read_options(row: GuestInstance) -> dict[str, str | int]:
    options: dict[str, str | int] = json.loads(row["metadata_options"])
    return options


# --- meta-data -----------------------------------------------------------------------------------


def _build_meta_data(call: Call, row: GuestInstance) -> Tree:
    name, address = row["private_dns_name"], row["private_ip_address"]
    public = default_vpc.public_address(row)
    groups = instances.groups_of(call.cloud.state, [row["instance_id"]])
    names, group_ids = _to_lines(groups.get(row["instance_id"], []))
    tree = {
        "ami-id": row["image_id"],
        "ami-launch-index": str(row["ami_launch_index"]),
        "ami-manifest-path": row["image_location"] or "(unknown)",
        "ancestor-ami-ids": "",
        "block-device-mapping": _name_devices(call, row),
        "events": {"maintenance": {"history": NO_EVENTS, "scheduled": NO_EVENTS}},
        "hostname": name,
        "iam": _build_iam(call, row),
        "instance-action": "none",
        "instance-id": row["instance_id"],
        "instance-life-cycle": "on-demand",
        "instance-type": row["instance_type"],
        "kernel-id": row["kernel_id"],
        "local-hostname": name,
        "local-ipv4": address,
        "mac": row["mac_address"],
        "network": {
            "interfaces": {
                "macs": {row["mac_address"]: _build_interface(call, row, names, group_ids)}
            }
        },
        "placement": {
            "availability-zone": row["availability_zone"],
            "availability-zone-id": f"{call.region}-az1",  # as DescribeAvailabilityZones has it
            "region": call.region,
        },
        "product-codes": "",
        "profile": f"default-{row['virtualization_type']}",
        "public-hostname": public,  # as DescribeInstances has it: no name is known outside
        "public-ipv4": public,
        "public-keys": _build_public_keys(row),
        "ramdisk-id": row["ramdisk_id"],
        "reservation-id": row["reservation_id"],
        "security-groups": names,
        "services": _build_services(call),
        "tags": _build_tags(call, row),
    }
    return {name: value for name, value in tree.items() if value is not None and value != {}}


def _find_role(call: Call, row: GuestInstance) -> RoleRow | None:
    """Return the instance's role; one that ends gets no credentials any more."""
    ended = row["state"] in ENDED
    return None if ended else instance_profiles.find_role(call.cloud.state, row["instance_id"])


def _build_iam(call: Call, row: GuestInstance) -> Tree:
    """Return the profile and the name of its role; without a role nothing is listed, for each
    path that is has to answer."""
    role = _find_role(call, row)
    association = instance_profiles.find_of_instance(call.cloud.state, row["instance_id"])
    if role is None or association is None:
        return {}
    info = {
        "Code": "Success",
        "LastUpdated": association["created"][:19] + "Z",
        "InstanceProfileArn": association["arn"],
        "InstanceProfileId": association["instance_profile_id"],
    }
    text = json.dumps(info, indent=2, separators=(",", " : "))
    # which get_instance_credentials answers
    return {"info": text, "security-credentials": {role["role_name"]: ""}}


def _build_services(call: Call) -> Tree:
    address = call.cloud.network.api_address
    return {
        "domain": f"{call.region}.internal",
        **({"endpoint": endpoint(call.cloud.config, address)} if address else {}),
        "partition": "aws",
    }


def _build_interface(call: Call, row: GuestInstance, groups: str, group_ids: str) -> Tree:
    address, public = row["private_ip_address"], default_vpc.public_address(row)
    block = default_vpc.cidr_block(call.cloud.network)
    blocks = ("subnet-ipv4-cidr-block", "vpc-ipv4-cidr-block", "vpc-ipv4-cidr-blocks")
    return {
        **(dict.fromkeys(blocks, block) if block != default_vpc.EVERYWHERE else {}),
        "device-number": "0",
        "interface-id": default_vpc.network_interface_id(row["instance_id"]),
        "local-hostname": row["private_dns_name"],
        "local-ipv4s": address,
        "mac": row["mac_address"],
        "network-card-index": "0",
        "owner-id": row["account_id"],
        **({"public-hostname": public, "public-ipv4s": public} if public else {}),
        "security-group-ids": group_ids,
        "security-groups": groups,
        "subnet-id": default_vpc.subnet_id(row["account_id"]),
        "vpc-id": default_vpc.vpc_id(row["account_id"]),
    }


def _name_devices(call: Call, row: GuestInstance) -> Tree:
    """Return the device names of the disk's partitions, without /dev/ except for root."""
    root = row["root_device_name"]
    plain = root.removeprefix("/dev/")
    device_names: Tree = {"ami": plain, "emi": plain, "root": root}
    if row["virtualization_type"] == "paravirtual":
        swap = call.cloud.config.images.swap_mb
        plan = disk.layout(row["image_size"] or 0, row["disk_gb"] * 1024, swap)
        if plan.ephemeral[1]:
            device_names["ephemeral"] = device_names["ephemeral0"] = "sda2"
        if plan.swap[1]:
            device_names["swap"] = "sda3"
    return device_names


def _build_public_keys(row: GuestInstance) -> Tree:
    """Return keys by `index=name`: a listing shows both, a path has the index alone."""
    if not row["public_key"]:
        return {}
    return {f"0={row['key_name']}": {"openssh-key": row["public_key"].rstrip("\n") + "\n"}}


def _build_tags(call: Call, row: GuestInstance) -> Tree:
    if _read_options(row).get("instance_metadata_tags") != "enabled":
        return {}
    instance_tags = tags.tags_of(call.cloud.state, [row["instance_id"]]).get(row["instance_id"], [])
    readable = {tag["key"]: tag["value"] for tag in instance_tags if TAG_KEY.fullmatch(tag["key"])}
    return {"instance": readable} if readable else {}


def _to_lines(groups: list[dict[str, str]]) -> tuple[str, str]:
    """Return the groups' names and ids, a line each."""
    names = "\n".join(each["group_name"] for each in groups)
    return names, "\n".join(each["group_id"] for each in groups)


# --- instance identity ---------------------------------------------------------------------------


def _identity_document(call: Call, row: GuestInstance) -> str:
    facts = {
        "accountId": row["account_id"],
        "architecture": row["architecture"],
        "availabilityZone": row["availability_zone"],
        "billingProducts": None,
        "devpayProductCodes": None,
        "imageId": row["image_id"],
        "instanceId": row["instance_id"],
        "instanceType": row["instance_type"],
        "kernelId": row["kernel_id"],
        "marketplaceProductCodes": None,
        "pendingTime": row["launch_time"][:19] + "Z",
        "privateIp": row["private_ip_address"],
        "ramdiskId": row["ramdisk_id"],
        "region": call.region,
        "version": DOCUMENT_VERSION,
    }
    return json.dumps(facts, indent=2, separators=(",", " : "))


@lru_cache(maxsize=1024)
def _sign_document(
    document: str, key: rsa.RSAPrivateKey, certificate: str
) -> tuple[tuple[str, str], ...]:
    """Return the document and its signatures; cached, as clients read the tree in many requests."""
    from cryptography.hazmat.primitives.serialization import pkcs7  # with a library for mail

    content = document.encode()
    signature = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    signer = x509.load_pem_x509_certificate(certificate.encode())
    envelope = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(content)
        .add_signer(signer, key, hashes.SHA256())
        .sign(serialization.Encoding.PEM, [pkcs7.PKCS7Options.Binary])
    )
    enveloped = "\n".join(envelope.decode().strip().splitlines()[1:-1])
    return (
        ("document", document),
        ("pkcs7", enveloped),
        ("rsa2048", enveloped),
        ("signature", base64.b64encode(signature).decode()),
    )
