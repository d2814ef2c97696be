"""The authority's certificates: what each is for, and an authority of an older eucabox."""

import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from eucabox.iam import certificate_authority
from eucabox.iam.certificate_authority import CertificateAuthority
from eucabox.seal import Seal

ISSUED = {"digital_signature", "key_encipherment"}
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign",
)  # fmt: skip


@pytest.fixture(name="folder")
def _folder(first_start: Path, tmp_path: Path) -> Path:
    shutil.copytree(first_start, tmp_path, dirs_exist_ok=True)
    return tmp_path


def open_authority(folder: Path) -> CertificateAuthority:
    return CertificateAuthority(folder / "ca", Seal(folder / "key"))


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def usages(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert extension.critical
    return {name for name in USAGES if getattr(extension.value, name)}


def without_key_usage(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> bytes:
    """The certificate in PEM as eucabox 0.1.0 issued it."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(certificate.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=390))
    )
    for each in certificate.extensions:
        if not isinstance(each.value, x509.KeyUsage):
            builder = builder.add_extension(each.value, each.critical)
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(name="old")
def _old(folder: Path) -> Path:
    """A data directory whose authority and certificates have no KeyUsage."""
    authority = open_authority(folder)
    server, _ = authority.server_files()
    (folder / "user.crt").write_text(authority.issue("alice")[0])
    old_ca = without_key_usage(authority.certificate, authority._key)
    for file in (folder / "ca/cloud.crt", server, folder / "user.crt"):
        chain = old_ca if file == server else b""
        file.write_bytes(without_key_usage(read(file), authority._key) + chain)
    authority.ca_file.write_bytes(old_ca)
    return folder


def test_a_start_waits_for_no_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_authority(folder).server_files()
    with monkeypatch.context() as patch:
        patch.setattr(certificate_authority, "read_private_key", lambda pem: pytest.fail("read"))
        authority = open_authority(folder)
        authority.server_files()
    certified = authority.cloud_certificate.public_key()
    assert isinstance(certified, rsa.RSAPublicKey)
    numbers = authority.cloud_private_key.public_key().public_numbers()
    assert numbers == certified.public_numbers()


def verify(ca_file: Path, certificate: Path, *options: str) -> None:
    """Let OpenSSL verify a certificate; raises with what it says."""
    command = ["openssl", "verify", *options, "-CAfile", str(ca_file), str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def connect(ca_file: Path, files: tuple[Path, Path], *, strict: bool = True) -> None:
    """Shake hands in memory as client and server; raises what the client raises."""
    client_context = ssl.create_default_context(cafile=str(ca_file))
    flag = ssl.VERIFY_X509_STRICT
    flags = client_context.verify_flags
    client_context.verify_flags = flags | flag if strict else flags & ~flag
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*files)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    open_sides = [client, server]
    for _ in range(10):
        for side in open_sides.copy():
            try:
                side.do_handshake()
                open_sides.remove(side)
            except ssl.SSLWantReadError:
                pass
    assert not open_sides


def test_each_certificate_says_what_its_key_is_for(folder: Path) -> None:
    authority = open_authority(folder)
    assert usages(authority.certificate) == {"key_cert_sign", "crl_sign"}
    assert usages(authority.cloud_certificate) == ISSUED
    assert usages(read(authority.server_files()[0])) == ISSUED
    user = x509.load_pem_x509_certificate(authority.issue("alice")[0].encode())
    assert usages(user) == ISSUED


def test_a_strict_tls_client_accepts_the_server(folder: Path) -> None:
    authority = open_authority(folder)
    connect(authority.ca_file, authority.server_files())


def test_openssl_accepts_every_certificate_strictly(folder: Path) -> None:
    authority = open_authority(folder)
    (folder / "user.crt").write_text(authority.issue("alice")[0])
    for file in (folder / "user.crt", folder / "ca/cloud.crt", authority.server_files()[0]):
        verify(authority.ca_file, file, "-x509_strict")


@pytest.mark.not_fast
def test_an_older_authority_is_refused_by_a_strict_tls_client(old: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="key"):
        connect(old / "ca/ca.crt", (old / "ca/server.crt", old / "ca/server.key"))


@pytest.mark.not_fast
def test_an_older_authority_is_renewed_with_its_key_and_name(old: Path, lines: list[str]) -> None:
    before = read(old / "ca/ca.crt")
    authority = open_authority(old)
    after = authority.certificate
    assert after == read(old / "ca/ca.crt")
    assert usages(after) == {"key_cert_sign", "crl_sign"}
    assert (after.subject, after.issuer) == (before.subject, before.issuer)
    assert after.public_key().public_numbers() == before.public_key().public_numbers()  # type: ignore[union-attr]
    assert after.serial_number != before.serial_number
    connect(authority.ca_file, authority.server_files())
    assert "renewed" in "".join(lines)


def test_what_an_older_authority_issued_is_still_valid_when_it_is_renewed(old: Path) -> None:
    authority = open_authority(old)
    for name in ("user.crt", "ca/cloud.crt"):
        verify(authority.ca_file, old / name, "-x509_strict")


@pytest.mark.not_fast
def test_a_client_that_trusts_the_older_authority_accepts_the_renewed_server(old: Path) -> None:
    trusted = old / "trusted.crt"
    shutil.copy(old / "ca/ca.crt", trusted)
    connect(trusted, open_authority(old).server_files(), strict=False)


def test_an_authority_is_renewed_once(old: Path) -> None:
    first = open_authority(old)
    first.server_files()
    files = [old / "ca" / name for name in ("ca.crt", "server.crt", "cloud.crt")]
    before = [file.read_bytes() for file in files]
    open_authority(old).server_files()
    assert [file.read_bytes() for file in files] == before
