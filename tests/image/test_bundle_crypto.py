import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from eucabox.errors import BundleFailed
from eucabox.image import bundle_crypto
from tests.growth import LINEAR, measure_growth
from tests.image.vectors import CLOUD_KEY, USER_CERTIFICATE, USER_KEY

PRIVATE = bundle_crypto.private_key(USER_KEY)
PUBLIC = bundle_crypto.public_key(USER_CERTIFICATE)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: str = "PKCS8") -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        getattr(serialization.PrivateFormat, form),
        serialization.NoEncryption(),
    ).decode()


def test_sealing_takes_the_hex_text() -> None:
    sealed = bundle_crypto.seal(b"\x01" * 16, PUBLIC)
    assert PRIVATE.decrypt(bytes.fromhex(sealed), padding.PKCS1v15()) == b"01" * 16
    assert bundle_crypto.unseal(sealed, PRIVATE) == b"\x01" * 16


@pytest.mark.parametrize("text", [b"", b"01" * 15, b"zz" * 16, b"\x01" * 16])
def test_what_is_no_hex_key_was_sealed_for_another(text: bytes) -> None:
    with pytest.raises(bundle_crypto.WrongKeyError):
        bundle_crypto.unseal(PUBLIC.encrypt(text, padding.PKCS1v15()).hex(), PRIVATE)


@pytest.mark.parametrize("sealed", ["", "00", "no hex"])
def test_noise_is_a_wrong_key(sealed: str) -> None:
    with pytest.raises(bundle_crypto.WrongKeyError):
        bundle_crypto.unseal(sealed, PRIVATE)


def test_signatures_are_told_apart() -> None:
    signature = bundle_crypto.sign(b"text", PRIVATE)
    assert bundle_crypto.is_signed_by(b"text", signature, PUBLIC)
    assert not bundle_crypto.is_signed_by(b"other", signature, PUBLIC)
    assert not bundle_crypto.is_signed_by(
        b"text", signature, bundle_crypto.private_key(CLOUD_KEY).public_key()
    )


@pytest.mark.parametrize("signature", ["", "0", "00" * 256, "ff" * 256, "-1" * 256, "zz" * 256])
def test_noise_is_no_signature(signature: str) -> None:
    assert not bundle_crypto.is_signed_by(b"text", signature, PUBLIC)


def test_a_key_of_an_endless_exponent_has_signed_nothing() -> None:
    def check(bits: int) -> None:
        modulus = (1 << bits) - 1
        key = rsa.RSAPublicNumbers(modulus >> 1, modulus).public_key()
        assert not bundle_crypto.is_signed_by(b"text", "5a" * (bits // 8), key)

    assert measure_growth(check, 1024) < LINEAR


def test_pkcs1_keys_are_read() -> None:
    read = bundle_crypto.private_key(pem(PRIVATE, "TraditionalOpenSSL"))
    assert read.private_numbers() == PRIVATE.private_numbers()


def test_other_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="not an RSA key"):
        bundle_crypto.private_key(pem(ec.generate_private_key(ec.SECP256R1())))
    locked = PRIVATE.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(ValueError, match="pass phrase"):
        bundle_crypto.private_key(locked.decode())


def test_a_host_that_forbids_sha1_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidding:
        def sign(self, *arguments: object) -> bytes:
            raise UnsupportedAlgorithm("invalid digest")

    with pytest.raises(BundleFailed, match="forbids SHA-1"):
        bundle_crypto.sign(b"text", Forbidding())  # type: ignore[arg-type]
