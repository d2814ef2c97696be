"""Eucalyptus' verbs about accounts, and about the policies that limit them: the administrator's."""

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.errors import DeleteConflict, EntityAlreadyExists, NoSuchEntity, UserExists
from eucabox.iam import account_policies, account_records
from eucabox.iam.accounts import ADMINISTRATOR
from eucabox.iam.paging import MOST_ITEMS, cut_page
from eucabox.schema import AccountRow


@action("iam", admin=True)
def create_account(call: Call, *, account_name: str, email: str = "") -> Result:
    """Make an account whose root has its name, an access key and a certificate."""
    state = call.cloud.state
    try:
        account_records.find_account(state, account_name)
    except NoSuchEntity:
        pass
    else:
        raise _make_taken(account_name)
    try:
        root = call.cloud.accounts.create_user(account_name, email)
    except UserExists:
        raise _make_taken(account_name) from None
    return {"account": _to_api(account_records.find_account(state, root.account_id))}


@action("iam", admin=True)
def list_accounts(call: Call, *, max_items: int = MOST_ITEMS, marker: str = "") -> Result:
    """List the accounts of the cloud."""
    rows = account_records.list_accounts(call.cloud.state)
    page, more = cut_page(rows, lambda row: row["account_name"], max_items, marker)
    return {"accounts": [_to_api(row) for row in page], **more}


@action("iam", admin=True)
def delete_account(call: Call, *, account_name: str, recursive: bool = False) -> Result:
    """Delete an account without instances, images and buckets; `recursive` takes its users,
    groups, roles and policies along."""
    state = call.cloud.state
    account = account_records.find_account(state, account_name)
    if account["account_name"] == ADMINISTRATOR[0]:
        raise DeleteConflict(reason="The account of the cloud's administrator can't be deleted.")
    with state.transaction():
        account_records.check_deletable(state, account["account_id"], recursive=recursive)
        if call.cloud.store.buckets(account["account_id"]):
            raise DeleteConflict(reason="Cannot delete entity, must delete buckets first.")
        account_records.erase_account(state, account["account_id"])
    call.cloud.apply_limits()
    return {}


@action("iam", admin=True)
def put_account_policy(
    call: Call, *, account_name: str, policy_name: str, policy_document: str
) -> Result:
    """Limit what an account may have, instead of [limits] of the configuration."""
    account = account_records.find_account(call.cloud.state, account_name)
    account_policies.put_policy(
        call.cloud.state, account["account_id"], policy_name, policy_document
    )
    call.cloud.apply_limits()
    return {}


@action("iam", admin=True)
def list_account_policies(
    call: Call, *, account_name: str, max_items: int = MOST_ITEMS, marker: str = ""
) -> Result:
    """List the names of an account's policies."""
    account = account_records.find_account(call.cloud.state, account_name)
    names = account_policies.list_policies(call.cloud.state, account["account_id"])
    page, more = cut_page(names, str, max_items, marker)
    return {"policy_names": page, **more}


@action("iam", admin=True)
def get_account_policy(call: Call, *, account_name: str, policy_name: str) -> Result:
    """Return a policy of an account as it was sent."""
    account = account_records.find_account(call.cloud.state, account_name)
    document = account_policies.read_policy(call.cloud.state, account["account_id"], policy_name)
    return {
        "account_name": account["account_name"],
        "policy_name": policy_name,
        "policy_document": document,
    }


@action("iam", admin=True)
def delete_account_policy(call: Call, *, account_name: str, policy_name: str) -> Result:
    """Take a policy from an account, whose limits are then the others' and the configuration's."""
    account = account_records.find_account(call.cloud.state, account_name)
    account_policies.delete_policy(call.cloud.state, account["account_id"], policy_name)
    call.cloud.apply_limits()
    return {}


def _make_taken(account_name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(reason=f"Account with name {account_name} already exists.")


def _to_api(account: AccountRow) -> dict[str, object]:
    return {
        "account_name": account["account_name"],
        "account_id": account["account_id"],
        "canonical_id": account["canonical_id"],
        "email": account["email"],
        "create_date": ids.parse_time(account["created"]),
    }
