"""The RSA of bundles: seals and opens a bundle's key, signs and checks; never reads a file."""

import hashlib
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from eucabox.errors import BundleFailed

SHA1_DIGEST_INFO = bytes.fromhex("3021300906052b0e03021a05000414")  # RFC 8017, section 9.2
Public = rsa.RSAPublicKey
Private = rsa.RSAPrivateKey
# As OpenSSL has it: with more, one signature would hold the whole process for minutes.
MOST_BITS, MOST_WITH_ANY_EXPONENT, EXPONENT_BITS = 16384, 3072, 64
HEX_KEY = re.compile(rb"[0-9a-fA-F]{32}")


class WrongKeyError(Exception):
    """The text was not sealed for this key."""


def public_key(certificate: str) -> rsa.RSAPublicKey:
    """Return the RSA key of a PEM certificate; raises ValueError for anything else."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("its key is not an RSA key")
    return key


def private_key(pem: str) -> rsa.RSAPrivateKey:
    """Return the RSA key of a PEM text (PKCS#8 or PKCS#1); raises ValueError for anything else."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError("it is locked by a pass phrase; remove that first") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("it is not an RSA key")
    return key


def seal(secret: bytes, key: rsa.RSAPublicKey) -> str:
    """Seal 16 bytes as bundles do: PKCS#1 v1.5 over their hex text, written in hex."""
    return key.encrypt(secret.hex().encode(), padding.PKCS1v15()).hex()


def unseal(sealed: str, key: rsa.RSAPrivateKey) -> bytes:
    """Open what `seal` closed and return the 16 bytes; raises WrongKeyError.

    Newer OpenSSL answers noise in place of an error for a wrong key, hence the look at the text.
    """
    try:
        text = key.decrypt(bytes.fromhex(sealed), padding.PKCS1v15())
    except ValueError:
        raise WrongKeyError from None
    if not HEX_KEY.fullmatch(text):
        raise WrongKeyError
    return bytes.fromhex(text.decode("ascii"))


def sign(content: bytes, key: rsa.RSAPrivateKey) -> str:
    """Return the hex RSA-SHA1 signature of content; BundleFailed where OpenSSL forbids SHA-1."""
    try:
        return key.sign(content, padding.PKCS1v15(), hashes.SHA1()).hex()
    except (UnsupportedAlgorithm, ValueError) as problem:
        raise BundleFailed(
            name="The image",
            reason="this host's OpenSSL policy forbids SHA-1 signatures, which every bundle"
            f" carries; allow them (update-crypto-policies --set DEFAULT:SHA1): {problem}",
        ) from None


def is_signed_by(content: bytes, signature: str, key: rsa.RSAPublicKey) -> bool:
    """Tell whether a hex RSA-SHA1 signature of content is by the owner of key.

    We compare with the one encoding that is right, so a host whose OpenSSL policy forbids SHA-1
    signatures can read bundles all the same. A key whose work has no bound has signed nothing.
    """
    numbers = key.public_numbers()
    most = MOST_BITS if numbers.e.bit_length() <= EXPONENT_BITS else MOST_WITH_ANY_EXPONENT
    if key.key_size > most:
        return False
    length = (key.key_size + 7) // 8
    if len(signature) != 2 * length or not re.fullmatch("[0-9a-fA-F]+", signature):
        return False
    number = int(signature, 16)
    if number >= numbers.n:
        return False
    tail = SHA1_DIGEST_INFO + hashlib.sha1(content, usedforsecurity=False).digest()
    expected = b"\0\1" + b"\xff" * (length - len(tail) - 3) + b"\0" + tail
    return pow(number, numbers.e, numbers.n).to_bytes(length, "big") == expected
