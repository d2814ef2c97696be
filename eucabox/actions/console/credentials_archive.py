"""The zip with all that a user's clients need, which no API of AWS has."""

from eucabox.actions import Call, Result, action
from eucabox.iam.credentials_folder import zip_credentials


@action(service="console")
def get_credentials_archive(call: Call, *, host: str = "") -> Result:
    """Return the caller's own zip: `file_name` and `archive`, its bytes.

    `host` is the name by which the client's machine reaches this cloud.
    Raises NoActiveCredential for a user who lacks an access key, or a certificate with its
    private key; makes none, and revokes none.
    """
    cloud = call.cloud
    name, archive = zip_credentials(cloud.config, cloud.accounts, call.user, host)
    return {"file_name": name, "archive": archive}
