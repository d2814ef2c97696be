"""IAM: access keys, of a user of the account or, without a name, of the caller itself."""

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.iam import access_keys
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import AccessKeyRow, UserRow
from eucabox.iam.users import find_user_or_caller


@action("iam")
def create_access_key(call: Call, *, user_name: str = "") -> Result:
    """Create an access key; its secret is told in this answer alone."""
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, user_name)
    key, secret = access_keys.create_access_key(state, call.cloud.accounts.seal, user)
    return {"access_key": {**_to_api(user, key), "secret_access_key": secret}}


@action("iam")
def list_access_keys(
    call: Call, *, user_name: str = "", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List access keys, without their secrets."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    keys = access_keys.list_access_keys(call.cloud.state, user)
    page, more = cut_page(keys, lambda key: key["access_key_id"], max_items, marker)
    return {"access_key_metadata": [_to_api(user, key) for key in page], **more}


@action("iam")
def update_access_key(
    call: Call, *, access_key_id: str, status: str, user_name: str = ""
) -> Result:
    """Stop an access key, or let it be used again."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    access_keys.set_status(call.cloud.state, user, access_key_id, status)
    return {}


@action("iam")
def delete_access_key(call: Call, *, access_key_id: str, user_name: str = "") -> Result:
    """Delete an access key; from then on it signs nothing."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    access_keys.delete_access_key(call.cloud.state, user, access_key_id)
    return {}


@action("iam")
def get_access_key_last_used(call: Call, *, access_key_id: str) -> Result:
    """Tell when and for which service an access key of the account was last used."""
    return access_keys.read_last_use(call.cloud.state, call.account_id, access_key_id)


def _to_api(user: UserRow, key: AccessKeyRow) -> dict[str, object]:
    return {
        "user_name": user["user_name"],
        "access_key_id": key["access_key_id"],
        "status": key["status"],
        "create_date": ids.parse_time(key["created"]),
    }
