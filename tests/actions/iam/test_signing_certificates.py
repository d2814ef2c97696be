"""UploadSigningCertificate, CreateSigningCertificate and the other verbs of certificates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from eucabox.errors import Fault
from eucabox.iam.certificate_authority import read_private_key
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People


def make_certificate(key: Any = None) -> str:
    key = key or rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def describe_key(key: Any) -> bytes:
    """The key as bytes: the oldest cryptography compares no two keys."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, form))


@pytest.mark.not_fast
def test_an_uploaded_certificate_counts_until_it_is_stopped(people: People) -> None:
    people.create_user("ann")
    body = make_certificate()
    sent = f"\n{body}\n"
    uploaded = people.do("UploadSigningCertificate", user_name="ann", certificate_body=sent)
    told = uploaded["certificate"]
    assert (told["user_name"], told["status"], told["certificate_body"]) == ("ann", "Active", body)
    assert body in people.accounts.certificates(ROOT.account_id)
    one = {"user_name": "ann", "certificate_id": told["certificate_id"]}
    people.do("UpdateSigningCertificate", **one, status="Inactive")
    assert body not in people.accounts.certificates()
    (listed,) = people.do("ListSigningCertificates", user_name="ann")["certificates"]
    assert listed["status"] == "Inactive"
    people.do("DeleteSigningCertificate", **one)
    assert people.do("ListSigningCertificates", user_name="ann")["certificates"] == []


@pytest.mark.not_fast
def test_a_certificate_is_made_with_its_key(people: People) -> None:
    ann = people.create_manager("ann")
    made = people.do("CreateSigningCertificate", ann)["certificate"]
    certificate = x509.load_pem_x509_certificate(made["certificate_body"].encode())
    key = read_private_key(made["private_key"].encode())
    assert describe_key(certificate.public_key()) == describe_key(key.public_key())
    assert certificate.issuer == people.accounts.authority.certificate.subject
    (listed,) = people.do("ListSigningCertificates", ann)["certificates"]
    assert "private_key" not in listed
    people.do("CreateAccessKey", ann)
    assert people.accounts.user_credentials(ann).private_key == made["private_key"]


@pytest.mark.not_fast
def test_a_user_has_two(people: People) -> None:
    for _ in range(2):
        people.do("UploadSigningCertificate", certificate_body=make_certificate())
    for verb, params in (
        ("UploadSigningCertificate", {"certificate_body": make_certificate()}),
        ("CreateSigningCertificate", {}),
    ):
        with pytest.raises(Fault, match="quota for SigningCertificatesPerUser: 2") as caught:
            people.do(verb, **params)
        assert caught.value.code == "LimitExceeded"
    assert len(people.page_all("ListSigningCertificates", "certificates")) == 2


@pytest.mark.not_fast
def test_a_certificate_is_one_users_of_the_account(people: People) -> None:
    people.create_user("ann")
    body = make_certificate()
    people.do("UploadSigningCertificate", certificate_body=body)
    with pytest.raises(Fault, match="The same certificate is associated") as caught:
        people.do("UploadSigningCertificate", user_name="ann", certificate_body=body)
    assert caught.value.code == "DuplicateCertificate"
    people.do("UploadSigningCertificate", OTHER_ROOT, certificate_body=body)


def test_another_accounts_certificate_is_not_reached(people: People) -> None:
    made = people.do("UploadSigningCertificate", certificate_body=make_certificate())
    one = {"certificate_id": made["certificate"]["certificate_id"]}
    for verb, more in (
        ("UpdateSigningCertificate", {"status": "Inactive"}),
        ("DeleteSigningCertificate", {}),
    ):
        with pytest.raises(Fault, match="cannot be found") as caught:
            people.do(verb, OTHER_ROOT, **one, **more)
        assert caught.value.code == "NoSuchEntity"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "ValidationError"),
        ("x" * 16_385, "ValidationError"),
        ("certificate", "MalformedCertificate"),
        ("\u00e4\ud800", "InvalidParameterValue"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "MalformedCertificate"),
        (make_certificate(ec.generate_private_key(ec.SECP256R1())), "InvalidCertificate"),
    ],
)
def test_what_is_no_certificate_is_refused(people: People, body: str, code: str) -> None:
    with pytest.raises(Fault) as caught:
        people.do("UploadSigningCertificate", certificate_body=body)
    assert caught.value.code == code
