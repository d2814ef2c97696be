"""Accounts by name, and an account's end: what it must not have any more, and what goes with it."""

from eucabox.errors import DeleteConflict, NoSuchEntity
from eucabox.iam.users import erase_user
from eucabox.schema import AccountRow
from eucabox.state import State

SHOWN = 60  # characters of a name that an answer repeats
# What nobody may lose by the end of an account, each with the query that finds it.
ALWAYS_KEPT = (
    (
        "terminate instances",
        "select 1 from instances where account_id = ? and state <> 'terminated'",
    ),
    (
        "deregister images",
        "select 1 from images where account_id = ? and state not in ('deregistered', 'failed')",
    ),
)
# What goes with an account only where that is asked for.
ENTITIES = (
    ("delete users", "select 1 from users where account_id = ? and is_root = 0"),
    ("delete groups", "select 1 from groups where account_id = ?"),
    ("delete roles", "select 1 from roles where account_id = ?"),
    ("delete instance profiles", "select 1 from instance_profiles where account_id = ?"),
    ("delete policies", "select 1 from policies where account_id = ?"),
)
# Tables whose rows carry the account's id, in an order in which they can go.
TABLES = (
    "bundle_tasks", "tags", "key_pairs", "images", "instances", "reservations", "security_groups",
    "instance_profiles", "roles", "groups", "policies", "oidc_providers", "mfa_devices",
    "accounts",
)  # fmt: skip


def find_account(state: State, name: str) -> AccountRow:
    """Return the account of that name, number or alias; raises NoSuchEntity."""
    sql = """select * from accounts where ? in (account_name, account_id)
      or (alias = ? and alias <> '') order by account_id = ? desc, account_name = ? desc"""
    row = state.select_one(AccountRow, sql, (name, name, name, name))
    if row is None:
        reason = f"The account with name {name[:SHOWN]} cannot be found."
        raise NoSuchEntity(reason=reason)
    return row


def list_accounts(state: State) -> list[AccountRow]:
    """Return all accounts, sorted by name."""
    return state.select(AccountRow, "select * from accounts order by account_name")


def check_deletable(state: State, account_id: str, *, recursive: bool) -> None:
    """Raise DeleteConflict for an account that has instances or images and, unless that is to be
    `recursive`, users, groups, roles or policies. Its buckets are for the caller to look at."""
    for what, sql in ALWAYS_KEPT + (() if recursive else ENTITIES):
        if state.one(sql, (account_id,)):
            raise DeleteConflict(reason=f"Cannot delete entity, must {what} first.")


def erase_account(state: State, account_id: str) -> None:
    """Delete an account with its root, users and whatever else it has in the database."""
    with state.transaction() as database:
        users = state.query("select user_id from users where account_id = ?", (account_id,))
        _erase_policies_and_tags(state, account_id)
        for user in users:
            erase_user(state, user["user_id"])
        database.conn.execute(
            """delete from group_members
              where group_id in (select group_id from groups where account_id = ?)""",
            (account_id,),
        )
        for table in TABLES:
            state.delete(table, {"account_id": account_id})


def _erase_policies_and_tags(state: State, account_id: str) -> None:
    ids = """select group_id from groups where account_id = :account
      union all select role_id from roles where account_id = :account
      union all select instance_profile_id from instance_profiles where account_id = :account
      union all select policy_id from policies where account_id = :account
      union all select provider_id from oidc_providers where account_id = :account
      union all select serial_number from mfa_devices where account_id = :account"""
    columns = {
        "iam_tags": "resource_id", "inline_policies": "owner_id", "attached_policies": "owner_id",
    }  # fmt: skip
    with state.transaction() as database:
        for table, column in columns.items():
            sql = f"delete from {table} where {column} in ({ids})"
            database.conn.execute(sql, {"account": account_id})
