"""The access keys of a user or a root: made, listed, stopped; verifies no signature."""

from eucabox import ids
from eucabox.errors import LimitExceeded, NoSuchEntity
from eucabox.iam.constraints import check_choice, check_length
from eucabox.iam.rows import AccessKeyRow, UserRow
from eucabox.iam.sessions import secret_purpose
from eucabox.seal import Seal
from eucabox.state import State

MOST_KEYS = 2  # of a user
STATUSES = ("Active", "Inactive")
ID_LENGTHS = 16, 128
NOT_USED = "N/A"


def create_access_key(state: State, seal: Seal, user: UserRow) -> tuple[AccessKeyRow, str]:
    """Create an access key, active at once; return it with its secret. Raises LimitExceeded."""
    access_key_id, secret = ids.access_key_id(), ids.secret_key()
    row = {
        "access_key_id": access_key_id,
        "user_id": user["user_id"],
        "secret": seal.close(secret.encode(), secret_purpose(access_key_id)),
        "status": "Active",
        "created": ids.now(),
    }
    with state.transaction():
        if len(list_access_keys(state, user)) >= MOST_KEYS:
            raise LimitExceeded(reason=f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")
        state.insert("access_keys", row)
        return find_access_key(state, user, access_key_id), secret


def list_access_keys(state: State, user: UserRow) -> list[AccessKeyRow]:
    """Return a user's access keys, sorted by their ids."""
    sql = "select * from access_keys where user_id = ? order by access_key_id"
    return state.select(AccessKeyRow, sql, (user["user_id"],))


def find_access_key(state: State, user: UserRow, access_key_id: str) -> AccessKeyRow:
    """Return a user's access key; raises NoSuchEntity and ValidationError."""
    _check_id(access_key_id)
    sql = "select * from access_keys where access_key_id = ? and user_id = ?"
    row = state.select_one(AccessKeyRow, sql, (access_key_id, user["user_id"]))
    if row is None:
        raise _make_missing(access_key_id)
    return row


def set_status(state: State, user: UserRow, access_key_id: str, status: str) -> None:
    """Stop an access key ("Inactive") or let it be used again; raises as find_access_key."""
    check_choice("status", status, STATUSES)
    with state.transaction():
        key = find_access_key(state, user, access_key_id)
        state.update("access_keys", {"access_key_id": key["access_key_id"]}, status=status)


def delete_access_key(state: State, user: UserRow, access_key_id: str) -> None:
    """Delete an access key; raises as find_access_key."""
    with state.transaction():
        key = find_access_key(state, user, access_key_id)
        state.delete("access_keys", {"access_key_id": key["access_key_id"]})


def read_last_use(state: State, account_id: str, access_key_id: str) -> dict[str, object]:
    """Return whose an account's access key is and where it was last used, in the API's members.

    Raises NoSuchEntity and ValidationError.
    """
    _check_id(access_key_id)
    sql = """select access_keys.*, user_name from access_keys join users using (user_id)
      where access_key_id = ? and account_id = ?"""
    row = state.one(sql, (access_key_id, account_id))
    if row is None:
        raise _make_missing(access_key_id)
    use: dict[str, object] = {
        "service_name": row["last_used_service"] or NOT_USED,
        "region": row["last_used_region"] or NOT_USED,
    }
    if row["last_used"]:
        use["last_used_date"] = ids.parse_time(row["last_used"])
    return {"user_name": row["user_name"], "access_key_last_used": use}


def _check_id(access_key_id: str) -> None:
    least, most = ID_LENGTHS
    check_length("accessKeyId", access_key_id, most, least)


def _make_missing(access_key_id: str) -> NoSuchEntity:
    return NoSuchEntity(reason=f"The Access Key with id {access_key_id} cannot be found.")
