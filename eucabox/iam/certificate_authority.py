"""The cloud's own certificate authority: issues X.509 certificates."""

import ipaddress
import logging
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.seal import Seal

log = logging.getLogger("eucabox.iam")
KEY_BITS = 2048
YEARS_OF_AUTHORITY = 20
YEARS_OF_USER = 5
DAYS_OF_SERVER = 397
RENEW_DAYS = 30
ALWAYS_NAMED = ("localhost", "*.localhost", "*.s3-website.localhost", "127.0.0.1", "::1")


class CertificateAuthority:
    """The CA, the certificate for bundles and the TLS certificate of the server, in one folder."""

    def __init__(self, folder: Path, seal: Seal, names: Iterable[str] = ()) -> None:
        self.folder = folder
        self._seal = seal
        make_folder(folder, 0o755)
        self._pem, self.certificate = self._load_or_create("ca", "eucabox certificate authority")
        self._cloud_pem, self.cloud_certificate = self._load_or_create("cloud", "eucabox cloud")
        self._names = sorted({*ALWAYS_NAMED, socket.gethostname(), *names} - {""})

    # Read when they are needed: to check an RSA key takes 40 ms, and a start needs neither.

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return read_private_key(self._pem)

    @cached_property
    def cloud_private_key(self) -> rsa.RSAPrivateKey:
        """The key that opens bundles and signs what guests are told."""
        return read_private_key(self._cloud_pem)

    @property
    def ca_file(self) -> Path:
        """The PEM file of the CA, which TLS clients have to trust."""
        return self.folder / "ca.crt"

    def issue(self, common_name: str) -> tuple[str, str]:
        """Return a new user's certificate and private key, both PEM."""
        key = _new_key()
        certificate = _sign(
            common_name,
            key,
            (self._key, self.certificate),
            YEARS_OF_USER * 365,
            [_CLIENT, _SIGN_AND_OPEN_KEYS],
        )
        return _to_pem(certificate), private_pem(key)

    def server_files(self) -> tuple[Path, Path]:
        """Return the files of TLS certificate and key; renewed before expiry and for new names."""
        return self._keep_server("server", self._names)

    def guest_files(self, address: str) -> tuple[Path, Path]:
        """Return as `server_files` those of the listener that guests reach at an address."""
        return self._keep_server("guests", sorted({*self._names, address}))

    def _keep_server(self, stem: str, names: list[str]) -> tuple[Path, Path]:
        certificate, key = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        if not (certificate.exists() and key.exists() and self._is_current(certificate, names)):
            self._issue_server(certificate, key, names)
        return certificate, key

    def _load_or_create(self, name: str, common_name: str) -> tuple[bytes, x509.Certificate]:
        """Return a private key, as PEM, and its certificate, which is or is of the CA."""
        sealed, public = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        if not public.exists():
            key = _new_key()
            secret = self._seal.close(private_pem(key).encode(), f"{name} key")
            write_atomic(sealed, secret, 0o600)
            issuer = None if name == "ca" else (self._key, self.certificate)
            _write_long_lived(public, common_name, key, issuer)
        pem = self._seal.open(sealed.read_bytes(), f"{name} key")
        certificate = x509.load_pem_x509_certificate(public.read_bytes())
        if name == "ca" and not _has_key_usage(certificate):
            # TLS clients since Python 3.13 refuse it; the key stays, so what it issued stays valid
            certificate = _write_long_lived(public, common_name, read_private_key(pem), None)
            log.warning("%s is renewed: hand it to the clients that use HTTPS", public)
        return pem, certificate

    def _is_current(self, file: Path, wanted: list[str]) -> bool:
        pem = file.read_text("ascii")
        certificate = x509.load_pem_x509_certificate(pem.encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        fresh = _expiry(certificate) > datetime.now(UTC) + timedelta(days=RENEW_DAYS)
        ours = pem.endswith(_to_pem(self.certificate))
        return fresh and ours and sorted(str(each.value) for each in names) == wanted

    def _issue_server(self, certificate: Path, key_file: Path, wanted: list[str]) -> None:
        key = _new_key()
        names = x509.SubjectAlternativeName([_general_name(name) for name in wanted])
        issuer = (self._key, self.certificate)
        extensions = [names, _SERVER, _SIGN_AND_OPEN_KEYS]
        server_certificate = _sign("eucabox", key, issuer, DAYS_OF_SERVER, extensions)
        write_atomic(key_file, private_pem(key).encode(), 0o600)
        write_atomic(
            certificate, (_to_pem(server_certificate) + _to_pem(self.certificate)).encode(), 0o644
        )


Issuer = tuple[rsa.RSAPrivateKey, x509.Certificate]
_CA = x509.BasicConstraints(ca=True, path_length=0)
_CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
_SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def _key_usage(*uses: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{use: use in uses for use in every})


_ISSUE = _key_usage("key_cert_sign", "crl_sign")
_SIGN_AND_OPEN_KEYS = _key_usage("digital_signature", "key_encipherment")  # TLS, and bundles' keys
_CRITICAL = x509.BasicConstraints, x509.KeyUsage


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """Return a private key as euca2ools and boto read it: PKCS#1 PEM without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def read_private_key(pem: bytes) -> rsa.RSAPrivateKey:
    """Read an RSA private key from PEM."""
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def fingerprint(certificate_pem: str) -> str:
    """Return the SHA-1 fingerprint of a PEM certificate in lower-case hex."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    return certificate.fingerprint(hashes.SHA1()).hex()


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, KEY_BITS)


def _sign(
    common_name: str,
    key: rsa.RSAPrivateKey,
    issuer: Issuer | None,
    days: int,
    extensions: list[x509.ExtensionType],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    signing_key, issuer_name = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
    )
    for each in [*extensions, *_key_identifiers(key, signing_key)]:
        builder = builder.add_extension(each, critical=isinstance(each, _CRITICAL))
    return builder.sign(signing_key, hashes.SHA256())


def _write_long_lived(
    file: Path, common_name: str, key: rsa.RSAPrivateKey, issuer: Issuer | None
) -> x509.Certificate:
    uses: list[x509.ExtensionType] = (
        [_CA, _ISSUE] if issuer is None else [_CLIENT, _SIGN_AND_OPEN_KEYS]
    )
    certificate = _sign(common_name, key, issuer, YEARS_OF_AUTHORITY * 365, uses)
    write_atomic(file, _to_pem(certificate).encode(), 0o644)
    return certificate


def _has_key_usage(certificate: x509.Certificate) -> bool:
    return any(isinstance(each.value, x509.KeyUsage) for each in certificate.extensions)


def _key_identifiers(
    key: rsa.RSAPrivateKey, signing_key: rsa.RSAPrivateKey
) -> list[x509.ExtensionType]:
    return [
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
    ]


def _expiry(certificate: x509.Certificate) -> datetime:
    ends = getattr(certificate, "not_valid_after_utc", None)  # cryptography 42 and later
    return ends or certificate.not_valid_after.replace(tzinfo=UTC)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _to_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
