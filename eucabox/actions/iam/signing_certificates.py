"""IAM: signing certificates, of a user of the account or, without a name, of the caller itself."""

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.iam import signing_certificates
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import CertificateRow, UserRow
from eucabox.iam.users import find_user_or_caller


@action("iam")
def upload_signing_certificate(call: Call, *, certificate_body: str, user_name: str = "") -> Result:
    """Take a certificate whose private key the client keeps."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    row = signing_certificates.upload_certificate(call.cloud.state, user, certificate_body)
    return {"certificate": _to_api(user, row)}


@action("iam")
def create_signing_certificate(call: Call, *, user_name: str = "") -> Result:
    """Make a certificate with its private key, as Eucalyptus does; the key is told here alone."""
    state, accounts = call.cloud.state, call.cloud.accounts
    user = find_user_or_caller(state, call.user, user_name)
    row, private_key = signing_certificates.issue_certificate(
        state, accounts.authority, accounts.seal, user, call.user.account_name
    )
    return {"certificate": {**_to_api(user, row), "private_key": private_key}}


@action("iam")
def list_signing_certificates(
    call: Call, *, user_name: str = "", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List certificates, without their private keys."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    rows = signing_certificates.list_certificates(call.cloud.state, user)
    page, more = cut_page(rows, lambda row: row["certificate_id"], max_items, marker)
    return {"certificates": [_to_api(user, row) for row in page], **more}


@action("iam")
def update_signing_certificate(
    call: Call, *, certificate_id: str, status: str, user_name: str = ""
) -> Result:
    """Stop a certificate, or let it be used again."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    signing_certificates.set_status(call.cloud.state, user, certificate_id, status)
    return {}


@action("iam")
def delete_signing_certificate(call: Call, *, certificate_id: str, user_name: str = "") -> Result:
    """Delete a certificate; images that were registered with it stay."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    signing_certificates.delete_certificate(call.cloud.state, user, certificate_id)
    return {}


def _to_api(user: UserRow, row: CertificateRow) -> dict[str, object]:
    return {
        "user_name": user["user_name"],
        "certificate_id": row["certificate_id"],
        "certificate_body": row["certificate"],
        "status": row["status"],
        "upload_date": ids.parse_time(row["created"]),
    }
