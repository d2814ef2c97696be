"""The X.509 certificates that a user or a root signs bundles with: uploaded, or made here."""

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from eucabox import gil_turns, ids
from eucabox.errors import (
    DuplicateCertificate,
    InvalidCertificate,
    LimitExceeded,
    MalformedCertificate,
    NoSuchEntity,
)
from eucabox.iam.certificate_authority import CertificateAuthority
from eucabox.iam.constraints import check_choice, check_length
from eucabox.iam.rows import CertificateRow, UserRow
from eucabox.seal import Seal
from eucabox.state import State

MOST_CERTIFICATES = 2  # of a user
LONGEST_BODY = 16_384  # characters
LEAST_BITS = 1024
ID_LENGTHS = 24, 128
STATUSES = ("Active", "Inactive")


def upload_certificate(state: State, user: UserRow, body: str) -> CertificateRow:
    """Give a user a certificate, as PEM, whose private key stays with its client.

    Raises ValidationError, MalformedCertificate, InvalidCertificate, DuplicateCertificate and
    LimitExceeded.
    """
    pem = _read_pem(check_length("certificateBody", body, LONGEST_BODY, 1))
    with state.transaction():
        sql = """select 1 from certificates join users using (user_id)
          where account_id = ? and certificate = ?"""
        if state.one(sql, (user["account_id"], pem)):
            raise DuplicateCertificate()
        return _insert(state, user, pem, None)


def issue_certificate(
    state: State, authority: CertificateAuthority, seal: Seal, user: UserRow, account_name: str
) -> tuple[CertificateRow, str]:
    """Make a certificate of the cloud's authority and its private key, which is kept sealed;
    return both, the key as PEM. Raises LimitExceeded."""
    _check_count(state, user)
    gil_turns.yield_leadership()
    certificate, private_key = authority.issue(f"{account_name}/{user['user_name']}")
    sealed = seal.close(private_key.encode(), "user key")
    with state.transaction():
        return _insert(state, user, certificate, sealed), private_key


def list_certificates(state: State, user: UserRow) -> list[CertificateRow]:
    """Return a user's certificates, sorted by their ids."""
    sql = "select * from certificates where user_id = ? order by certificate_id"
    return state.select(CertificateRow, sql, (user["user_id"],))


def set_status(state: State, user: UserRow, certificate_id: str, status: str) -> None:
    """Stop a certificate ("Inactive") or let it be used again; raises NoSuchEntity and
    ValidationError."""
    check_choice("status", status, STATUSES)
    with state.transaction():
        found = _find(state, user, certificate_id)
        state.update("certificates", {"certificate_id": found["certificate_id"]}, status=status)


def delete_certificate(state: State, user: UserRow, certificate_id: str) -> None:
    """Delete a certificate; raises NoSuchEntity and ValidationError."""
    with state.transaction():
        found = _find(state, user, certificate_id)
        state.delete("certificates", {"certificate_id": found["certificate_id"]})


def _find(state: State, user: UserRow, certificate_id: str) -> CertificateRow:
    least, most = ID_LENGTHS
    check_length("certificateId", certificate_id, most, least)
    sql = "select * from certificates where certificate_id = ? and user_id = ?"
    row = state.select_one(CertificateRow, sql, (certificate_id, user["user_id"]))
    if row is None:
        raise NoSuchEntity(reason=f"The Certificate with id {certificate_id} cannot be found.")
    return row


def _insert(
    state: State, user: UserRow, certificate: str, private_key: bytes | None
) -> CertificateRow:
    _check_count(state, user)
    row: CertificateRow = {
        "certificate_id": ids.certificate_id(),
        "user_id": user["user_id"],
        "certificate": certificate,
        "private_key": private_key,
        "status": "Active",
        "created": ids.now(),
    }
    state.insert("certificates", row)
    return row


def _check_count(state: State, user: UserRow) -> None:
    if len(list_certificates(state, user)) >= MOST_CERTIFICATES:
        reason = f"Cannot exceed quota for SigningCertificatesPerUser: {MOST_CERTIFICATES}"
        raise LimitExceeded(reason=reason)


def _read_pem(body: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(body.strip().encode())
        key = certificate.public_key()
    except Exception:  # what the library raises for odd bytes is its own affair
        raise MalformedCertificate() from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < LEAST_BITS:
        raise InvalidCertificate(bits=LEAST_BITS)
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
