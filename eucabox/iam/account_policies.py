"""The policies of accounts, as Eucalyptus has them: each limits what an account may have."""

from eucabox.errors import LimitExceeded, NoSuchEntity
from eucabox.iam import account_limits
from eucabox.iam.constraints import check_document, check_name
from eucabox.state import State

MOST_POLICIES = 10  # of an account


def put_policy(state: State, account_id: str, policy_name: str, document: str) -> None:
    """Give an account a policy, in place of that of the same name.

    Raises ValidationError, MalformedPolicyDocument and LimitExceeded.
    """
    check_name("policy", policy_name)
    account_limits.parse_limits(check_document(document))
    where = {"account_id": account_id, "policy_name": policy_name}
    with state.transaction():
        state.delete("account_policies", where)
        if len(list_policies(state, account_id)) >= MOST_POLICIES:
            reason = f"Cannot exceed quota for PoliciesPerAccount: {MOST_POLICIES}"
            raise LimitExceeded(reason=reason)
        state.insert("account_policies", {**where, "document": document})
        _save_limits(state, account_id)


def list_policies(state: State, account_id: str) -> list[str]:
    """Return the names of an account's policies, sorted."""
    sql = "select policy_name from account_policies where account_id = ? order by policy_name"
    return [row["policy_name"] for row in state.query(sql, (account_id,))]


def read_policy(state: State, account_id: str, policy_name: str) -> str:
    """Return a policy's document as it was sent; raises NoSuchEntity and ValidationError."""
    check_name("policy", policy_name)
    sql = "select document from account_policies where account_id = ? and policy_name = ?"
    row = state.one(sql, (account_id, policy_name))
    if row is None:
        raise NoSuchEntity(reason=f"The account policy with name {policy_name} cannot be found.")
    return str(row["document"])


def delete_policy(state: State, account_id: str, policy_name: str) -> None:
    """Take a policy from an account; raises as read_policy."""
    with state.transaction():
        read_policy(state, account_id, policy_name)
        where = {"account_id": account_id, "policy_name": policy_name}
        state.delete("account_policies", where)
        _save_limits(state, account_id)


def _save_limits(state: State, account_id: str) -> None:
    sql = "select document from account_policies where account_id = ?"
    documents = [row["document"] for row in state.query(sql, (account_id,))]
    account_limits.save_own(state, account_id, documents)
