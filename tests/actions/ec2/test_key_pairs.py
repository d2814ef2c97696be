"""Key pairs have EC2's fingerprints and the private half leaves once."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from eucabox import errors
from eucabox.actions.ec2 import key_pairs
from eucabox.iam.caller import Caller
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World
from tests.growth import LINEAR, measure_growth

ED25519 = ed25519.Ed25519PrivateKey.generate()


def openssh(private: object) -> bytes:
    return private.public_key().public_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def digest(algorithm: hashes.HashAlgorithm, data: bytes) -> str:
    made = hashes.Hash(algorithm)
    made.update(data)
    return made.finalize().hex(":")


@pytest.mark.not_fast
def test_a_created_rsa_key_has_the_sha1_of_its_private_half(world: World) -> None:
    made = world.do("CreateKeyPair", key_name="k")
    assert made["key_material"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    private = serialization.load_pem_private_key(made["key_material"].encode(), None)
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert made["key_fingerprint"] == digest(hashes.SHA1(), der)
    stored = world.state.one("select * from key_pairs")
    assert stored is not None
    assert stored["public_key"].encode() == openssh(private) + b" k"


def test_a_created_ed25519_key_has_the_fingerprint_of_openssh(world: World) -> None:
    made = world.do("CreateKeyPair", key_name="k", key_type="ed25519")
    assert made["key_material"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    public = world.state.query("select public_key from key_pairs")[0]["public_key"]
    blob = base64.b64decode(public.split()[1])
    sha256 = bytes.fromhex(digest(hashes.SHA256(), blob).replace(":", ""))
    assert made["key_fingerprint"] == base64.b64encode(sha256).decode()


def test_an_imported_rsa_key_has_the_md5_of_its_public_half(
    world: World, private: rsa.RSAPrivateKey
) -> None:
    public = private.public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for number, material in enumerate(
        (openssh(private), openssh(private) + b" me@home\n", pem, base64.b64encode(der))
    ):
        made = world.do("ImportKeyPair", key_name=f"k{number}", public_key_material=material)
        assert made["key_fingerprint"] == digest(hashes.MD5(), der)
    keys = world.do("DescribeKeyPairs", include_public_key=True)["key_pairs"]
    assert [each["public_key"].encode() for each in keys] == [
        openssh(private) + f" k{number}".encode() for number in range(4)
    ]


@pytest.mark.parametrize(
    "material",
    [
        *(b"", b"nonsense", b"ssh-rsa", b"ssh-rsa AAAA", b"ssh-dss AAAA x", b"\xff\xfe\0"),
        *(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"x" * 20000),
        pytest.param(openssh(ec.generate_private_key(ec.SECP256R1())), id="an elliptic curve"),
    ],
)
def test_bad_material_is_refused(world: World, material: bytes) -> None:
    with pytest.raises(errors.InvalidKeyFormat) as caught:
        world.do("ImportKeyPair", key_name="k", public_key_material=material)
    assert caught.value.code == "InvalidKey.Format"


def test_names_are_unique_in_an_account(world: World) -> None:
    world.do("CreateKeyPair", key_name="k", key_type="ed25519")
    with pytest.raises(errors.KeyPairExists):
        world.do("CreateKeyPair", key_name="k", key_type="ed25519")
    world.do("CreateKeyPair", BOB, key_name="k", key_type="ed25519")


@pytest.mark.parametrize("name", ["", "a\nssh-rsa AAAA", "x" * 256, "a\0b"])
def test_a_name_cannot_bring_a_second_line(world: World, name: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="KeyName"):
        world.do("CreateKeyPair", key_name=name, key_type="ed25519")


def test_key_pairs_are_found_by_name_id_and_filter(world: World) -> None:
    tagged = [{"resource_type": "key-pair", "tags": [{"key": "a", "value": "b"}]}]
    first = world.do("CreateKeyPair", key_name="one", key_type="ed25519", tag_specifications=tagged)
    world.do("CreateKeyPair", key_name="two", key_type="ed25519")

    def names(**params: object) -> list[str]:
        return [each["key_name"] for each in world.do("DescribeKeyPairs", **params)["key_pairs"]]

    assert names() == ["one", "two"]
    assert names(key_names=["two"]) == ["two"]
    assert names(key_pair_ids=[first["key_pair_id"]]) == ["one"]
    assert names(filters=[{"name": "fingerprint", "values": [first["key_fingerprint"]]}]) == ["one"]
    assert names(filters=[{"name": "tag:a", "values": ["b"]}]) == ["one"]
    with pytest.raises(errors.KeyPairNotFound):
        names(key_names=["three"])


def test_many_names_are_looked_up_at_once() -> None:
    def choose(count: int) -> None:
        rows: Any = [{"key_name": str(number)} for number in range(count)]
        assert len(key_pairs._select_named(rows, "key_name", ["0"] * count)) == 1

    assert measure_growth(choose, 2000) < LINEAR


def test_delete_succeeds_for_what_is_gone(world: World) -> None:
    made = world.do("CreateKeyPair", key_name="k", key_type="ed25519")
    answer = world.do("DeleteKeyPair", key_name="k")
    assert answer == {"return": True, "key_pair_id": made["key_pair_id"]}
    assert world.do("DeleteKeyPair", key_name="k") == {"return": True}
    with pytest.raises(errors.MissingParameter):
        world.do("DeleteKeyPair")


@pytest.mark.not_fast
def test_ssh_keygen_reads_what_is_given_out(world: World, tmp_path: Path) -> None:
    for kind in ("rsa", "ed25519"):
        made = world.do("CreateKeyPair", key_name=kind, key_type=kind)
        file = tmp_path / kind
        file.write_text(made["key_material"])
        file.chmod(0o600)
        read = subprocess.run(
            ["ssh-keygen", "-y", "-f", str(file)], capture_output=True, check=True, text=True
        )
        keys = world.do("DescribeKeyPairs", key_names=[kind], include_public_key=True)["key_pairs"]
        assert read.stdout.split()[:2] == keys[0]["public_key"].split()[:2]


def test_unknown_kinds_are_refused(world: World) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="KeyType"):
        world.do("CreateKeyPair", key_name="k", key_type="dsa")
    with pytest.raises(errors.InvalidParameterValue, match="KeyFormat"):
        world.do("CreateKeyPair", key_name="k", key_format="ppk")


def rfc_4716(line: str, *headers: str, width: int = 70) -> bytes:
    """A public key as ssh-keygen -e writes it."""
    text = line.split()[1]
    body = [text[at : at + width] for at in range(0, len(text), width)]
    ends = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"
    return "\n".join([ends[0], *headers, *body, ends[1], ""]).encode()


@pytest.mark.parametrize("of_rsa", [True, False], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(
    "headers",
    [(), ('Comment: "2048-bit RSA"',), ("Comment: one \\", "that goes on", "Subject: me")],
)
def test_a_key_of_rfc_4716_is_the_same_key(
    world: World, private: rsa.RSAPrivateKey, of_rsa: bool, headers: tuple[str, ...]
) -> None:
    line = openssh(private if of_rsa else ED25519).decode()
    params = {"key_name": "line", "public_key_material": line.encode()}
    first = world.do("ImportKeyPair", **params)
    other = {"key_name": "file", "public_key_material": rfc_4716(line, *headers)}
    assert world.do("ImportKeyPair", **other)["key_fingerprint"] == first["key_fingerprint"]
    windows = rfc_4716(line, *headers).replace(b"\n", b"\r\n")
    world.do("ImportKeyPair", key_name="windows", public_key_material=windows)
    shown = world.do("DescribeKeyPairs", include_public_key=True)["key_pairs"]
    assert len({each["public_key"].split()[1] for each in shown}) == 1


@pytest.mark.parametrize(
    "torn",
    [
        b"---- BEGIN SSH2 PUBLIC KEY ----",
        b"---- BEGIN SSH2 PUBLIC KEY ----\n---- END SSH2 PUBLIC KEY ----",
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----",
        b"---- BEGIN SSH2 PUBLIC KEY ----\n\xff\n---- END SSH2 PUBLIC KEY ----",
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAAB3NzaC1yc2E=\n",
    ],
)
def test_a_torn_key_of_rfc_4716_is_refused(world: World, torn: bytes) -> None:
    with pytest.raises(errors.InvalidKeyFormat):
        world.do("ImportKeyPair", key_name="torn", public_key_material=torn)


def test_a_duplicate_is_refused_before_a_key_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.do("CreateKeyPair", key_name="k", key_type="ed25519")
    monkeypatch.setattr(key_pairs, "_generate", lambda key_type: pytest.fail("a key was made"))
    with pytest.raises(errors.KeyPairExists):
        world.do("CreateKeyPair", key_name="k")
    with pytest.raises(errors.InvalidParameterValue, match="sets beyond ASCII are not supported"):
        world.do("CreateKeyPair", key_name="caf\u00e9")


def test_names_of_imported_keys_are_ascii(world: World) -> None:
    params = {"key_name": "caf\u00e9", "public_key_material": openssh(ED25519)}
    with pytest.raises(errors.InvalidParameterValue, match="sets beyond ASCII are not supported"):
        world.do("ImportKeyPair", **params)


def test_the_administrator_lists_every_accounts_keys_by_verbose(world: World) -> None:
    for caller, name in ((ALICE, "a"), (BOB, "b"), (ADMIN, "c")):
        world.do("CreateKeyPair", caller, key_name=name, key_type="ed25519")

    def names(caller: Caller, *asked: str) -> list[str]:
        found = world.do("DescribeKeyPairs", caller, key_names=list(asked))["key_pairs"]
        return [each["key_name"] for each in found]

    assert names(ADMIN, "verbose") == ["a", "b", "c"]
    assert names(ADMIN) == ["c"]
    assert names(ALICE, "verbose") == ["a"]
    world.do("CreateKeyPair", ADMIN, key_name="verbose", key_type="ed25519")
    assert names(ADMIN, "verbose") == ["verbose"]


def test_no_address_is_listed_by_verbose_either(world: World) -> None:
    assert world.do("DescribeAddresses", ADMIN, public_ips=["verbose"]) == {"addresses": []}
