"""Key pairs: creates, imports, lists and deletes them; stores no private key."""

import base64
import binascii
import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.ec2 import tags
from eucabox.ec2.filters import Columns, Filter, select
from eucabox.ec2.tags import TagSpecification
from eucabox.errors import (
    InvalidKeyFormat,
    InvalidParameterValue,
    KeyPairExists,
    KeyPairNotFound,
    MissingParameter,
)
from eucabox.schema import KeyPairRow
from eucabox.validation import check_ascii

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
VERBOSE = "verbose"  # for the administrator: of every account
RSA_BITS = range(1024, 16385)
MOST_BYTES = 16384
RFC_4716 = b"---- BEGIN SSH2 PUBLIC KEY ----"
RFC_4716_END = b"---- END SSH2 PUBLIC KEY ----"


class DescribedKeyPair(KeyPairRow):
    """A key pair with its tags."""

    tags: list[dict[str, str]]


FILTERS: Columns[DescribedKeyPair] = {
    "key-name": "key_name",
    "key-pair-id": "key_pair_id",
    "fingerprint": "key_fingerprint",
}


@action()
def create_key_pair(
    call: Call,
    *,
    key_name: str,
    key_type: str = "rsa",
    key_format: str = "pem",
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Create a key pair and return its private key, which is not stored."""
    if key_format not in ("", "pem"):
        raise InvalidParameterValue(
            parameter="KeyFormat", value=key_format[:60], reason="Keys are given out as pem."
        )
    _check_name(call, key_name)  # before a key is generated, which takes seconds
    private = _generate(key_type or "rsa")
    fingerprint = _fingerprint(private.public_key(), private)
    row = _store(call, key_name, private.public_key(), fingerprint, tag_specifications)
    return {**row, "key_material": _to_pem(private)}


@action()
def import_key_pair(
    call: Call,
    *,
    key_name: str,
    public_key_material: bytes,
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Store a public key: an OpenSSH line, RFC 4716, or PEM or base64 of SubjectPublicKeyInfo."""
    public = _read_public(public_key_material)
    return _store(call, key_name, public, _fingerprint(public, None), tag_specifications)


@action()
def describe_key_pairs(
    call: Call,
    *,
    key_names: Sequence[str] = (),
    key_pair_ids: Sequence[str] = (),
    include_public_key: bool = False,
    filters: Sequence[Filter] = (),
) -> Result:
    """List the account's key pairs, by name; every account's for `verbose`."""
    rows = _list(call, key_names)
    rows = _select_named(rows, "key_pair_id", key_pair_ids)
    tags_by_id = tags.tags_of(call.cloud.state, [row["key_pair_id"] for row in rows])
    described: list[DescribedKeyPair] = [
        {**row, "tags": tags_by_id.get(row["key_pair_id"], [])} for row in rows
    ]
    matches = select(described, filters, FILTERS)
    return {"key_pairs": [_to_api(row, include_public_key) for row in matches]}


@action()
def delete_key_pair(call: Call, *, key_name: str = "", key_pair_id: str = "") -> Result:
    """Delete a key pair; one that does not exist is no error, as a retry has to succeed."""
    if not key_name and not key_pair_id:
        raise MissingParameter(parameter="KeyName")
    column, value = ("key_pair_id", key_pair_id) if key_pair_id else ("key_name", key_name)
    state = call.cloud.state
    with state.transaction() as database:
        row = state.one(
            f"select * from key_pairs where account_id = ? and {column} = ?",
            (call.account_id, value),
        )
        if row is None:
            return {"return": True}
        database.conn.execute("delete from key_pairs where key_pair_id = ?", (row["key_pair_id"],))
        tags.forget(state, row["key_pair_id"])
    return {"return": True, "key_pair_id": row["key_pair_id"]}


def _generate(key_type: str) -> PrivateKey:
    if key_type == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise InvalidParameterValue(
        parameter="KeyType", value=key_type[:60], reason="Choose rsa or ed25519."
    )


def _check_name(call: Call, name: str) -> None:
    check_ascii("KeyName", name, 255)
    sql = "select 1 from key_pairs where account_id = ? and key_name = ?"
    if call.cloud.state.one(sql, (call.account_id, name)):
        raise KeyPairExists(name=name)


def _store(
    call: Call,
    name: str,
    public: PublicKey,
    fingerprint: str,
    tag_specifications: Sequence[TagSpecification],
) -> Result:
    _check_name(call, name)
    new_tags = tags.from_specifications(tag_specifications, "key-pair")
    row = {
        "key_pair_id": ids.new("key"),
        "account_id": call.account_id,
        "key_name": name,
        "key_type": "rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519",
        "key_fingerprint": fingerprint,
        "public_key": f"{_to_openssh(public)} {name}",
        "created": ids.now(),
    }
    with call.cloud.state.transaction():
        try:
            call.cloud.state.insert("key_pairs", row)
        except sqlite3.IntegrityError:
            raise KeyPairExists(name=name) from None
        tags.write(call.cloud.state, call.account_id, row["key_pair_id"], new_tags)
    answer = {each: row[each] for each in ("key_name", "key_fingerprint", "key_pair_id")}
    return {**answer, "tags": tags.to_api(new_tags)}


def _list(call: Call, names: Sequence[str]) -> list[KeyPairRow]:
    """Return the named key pairs, or all of the account's, or for `verbose` those of all accounts.

    If the account has a key pair of that name, `verbose` is only its name.
    """
    state = call.cloud.state
    sql = "select * from key_pairs where account_id = ? order by key_name"
    own = state.select(KeyPairRow, sql, (call.account_id,))
    own_names = {row["key_name"] for row in own}
    wanted_names = [each for each in names if each != VERBOSE or each in own_names]
    if VERBOSE in names and not wanted_names and call.user.admin:
        sql = "select * from key_pairs order by key_name, account_id"
        return state.select(KeyPairRow, sql)
    return _select_named(own, "key_name", wanted_names)


def _select_named(
    rows: list[KeyPairRow], column: Literal["key_name", "key_pair_id"], names: Sequence[str]
) -> list[KeyPairRow]:
    present = {row[column] for row in rows}
    for name in names:
        if name not in present:
            raise KeyPairNotFound(name=name[:255])
    wanted = frozenset(names)
    return [row for row in rows if row[column] in wanted] if wanted else rows


def _to_api(row: DescribedKeyPair, include_public_key: bool) -> Result:
    return {
        "key_pair_id": row["key_pair_id"],
        "key_type": row["key_type"],
        "key_name": row["key_name"],
        "key_fingerprint": row["key_fingerprint"],
        "tags": row["tags"],
        "create_time": ids.parse_time(row["created"]),
        **({"public_key": row["public_key"]} if include_public_key else {}),
    }


def _read_public(material: bytes) -> PublicKey:
    if len(material) > MOST_BYTES:
        raise InvalidKeyFormat(reason=f"It has more than {MOST_BYTES} bytes.")
    try:
        public = _load_public(material.strip())
    except (ValueError, UnsupportedAlgorithm, binascii.Error) as problem:
        raise InvalidKeyFormat(reason="It can't be read.") from problem
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size not in RSA_BITS:
            raise InvalidKeyFormat(reason=f"An RSA key of {public.key_size} bits is not accepted.")
        return public
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public
    raise InvalidKeyFormat(reason="Its type is not accepted.")


def _load_public(material: bytes) -> Any:
    if material.startswith(RFC_4716):
        return serialization.load_ssh_public_key(_join_lines(material))
    if material.startswith(b"-----"):
        return serialization.load_pem_public_key(material)
    if material.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return serialization.load_ssh_public_key(material)
    der = base64.b64decode(b"".join(material.split()), validate=True)
    return serialization.load_der_public_key(der)


def _join_lines(material: bytes) -> bytes:
    """Return a public key file of RFC 4716 as a line of OpenSSH.

    The file has headers, continued after a backslash, then base64, whose first string is the type
    of the key.
    """
    first, *lines, last = material.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if (first.rstrip(), last.rstrip()) != (RFC_4716, RFC_4716_END):
        raise ValueError
    text, goes_on = b"", False
    for line in lines:
        if not (goes_on or b":" in line):
            text += line.strip()
        goes_on = line.endswith(b"\\") and (goes_on or b":" in line)
    blob = base64.b64decode(text, validate=True)
    kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")]
    return kind + b" " + text


def _fingerprint(public: PublicKey, private: PrivateKey | None) -> str:
    """Return the fingerprint that EC2 shows.

    RSA: SHA-1 of the private key's PKCS#8 DER if it was made here, else MD5 of the public key's
    DER, both with colons. ED25519: base64 SHA-256 of the OpenSSH public key.
    """
    if isinstance(public, ed25519.Ed25519PublicKey):
        blob = base64.b64decode(_to_openssh(public).split()[1])
        return base64.b64encode(hashlib.sha256(blob).digest()).decode()
    if private is None:
        der = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.md5(der, usedforsecurity=False).digest().hex(":")
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return hashlib.sha1(der, usedforsecurity=False).digest().hex(":")


def _to_openssh(public: PublicKey) -> str:
    return public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def _to_pem(private: PrivateKey) -> str:
    ed = isinstance(private, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat
    return private.private_bytes(
        serialization.Encoding.PEM,
        form.OpenSSH if ed else form.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
