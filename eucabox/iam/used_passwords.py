"""The passwords that a user had, as far as its account's policy forbids them for new ones: kept by
hashes, the last 24 at most. Those of one user have one salt, so that a new password is hashed once
and not 24 times."""

import hmac

from eucabox import ids
from eucabox.errors import PasswordPolicyViolation
from eucabox.iam.password_policies import MOST_FORBIDDEN, read_policy
from eucabox.iam.passwords import check_password, hash_alike, hash_password
from eucabox.iam.rows import UserRow
from eucabox.state import State

REASON = (
    "Policy constraint violation with password reuse prevention during password change: it is one"
    " of the last {most} passwords. Choose another."
)


def check_unused(state: State, user: UserRow, password: str) -> str:
    """Return what is to be kept of a user's new password, "" where the policy forbids no old one.

    Takes as long as hashing three passwords. Raises PasswordPolicyViolation for one that the user
    has or had, as far as it is known, and PasswordsBusy. No policy is for roots.
    """
    policy = read_policy(state, user["account_id"])
    if policy is None or not policy.password_reuse_prevention or user["is_root"]:
        return ""
    most = policy.password_reuse_prevention
    if user["password"] and check_password(password, user["password"]):
        raise PasswordPolicyViolation(reason=REASON.format(most=most))
    kept = _list_kept(state, user["user_id"])
    hashes = {each.rpartition("$")[0]: "" for each in kept}  # by how they were made
    for stored in kept[:most]:
        how = stored.rpartition("$")[0]
        hashes[how] = hashes[how] or hash_alike(password, stored)
        if hmac.compare_digest(hashes[how], stored):
            raise PasswordPolicyViolation(reason=REASON.format(most=most))
    return hashes[kept[0].rpartition("$")[0]] if kept else hash_password(password)


def keep(state: State, user_id: str, hashed: str) -> None:
    """Keep what `check_unused` returned of the password that a user now has."""
    with state.transaction() as database:
        row = {"user_id": user_id, "password": hashed, "created": ids.now()}
        state.insert("used_passwords", row)
        database.conn.execute(
            """delete from used_passwords where user_id = ? and rowid not in (select rowid
              from used_passwords where user_id = ? order by rowid desc limit ?)""",
            (user_id, user_id, MOST_FORBIDDEN),
        )


def _list_kept(state: State, user_id: str) -> list[str]:
    """Return the hashes of a user's passwords, the newest first."""
    sql = "select password from used_passwords where user_id = ? order by rowid desc"
    return [row["password"] for row in state.query(sql, (user_id,))]
