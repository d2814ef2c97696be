"""How much each account has, by what [limits] and its own policies limit."""

import json

import pytest

from eucabox.config import LimitsSection
from eucabox.iam.account_limits import read_own
from eucabox.iam.account_policies import put_policy
from eucabox.iam.accounts import Accounts
from eucabox.iam.users import create_user
from eucabox.operator.account_usage import MIB, OwnedBytes, count_usage, list_quotas
from eucabox.state import State


def test_each_account_is_counted_for_itself(accounts: Accounts, state: State) -> None:
    alice, bob = accounts.create_user("alice"), accounts.create_user("bob")
    create_user(state, alice.account_id, "carl")
    buckets = [
        OwnedBytes(alice.account_id, MIB), OwnedBytes(alice.account_id, 1),
        OwnedBytes("gone", 5),
    ]  # fmt: skip
    usage = count_usage(state, buckets)
    assert usage[alice.account_id] == {"users": 1, "buckets": 2, "account_mb": 2}
    assert bob.account_id not in usage
    assert usage["gone"] == {"buckets": 1, "account_mb": 1}


@pytest.mark.not_fast
def test_an_accounts_own_limits_stand_before_the_others(accounts: Accounts, state: State) -> None:
    alice = accounts.create_user("alice")
    numbers = {"ec2:quota-vminstancenumber": 2, "iam:quota-usernumber": 5}
    statement = {"Effect": "Limit", "Condition": {"NumericLessThanEquals": numbers}}
    put_policy(state, alice.account_id, "p", json.dumps({"Statement": [statement]}))
    limits = LimitsSection(instances=9, images=4)
    own = read_own(state, alice.account_id)
    listed = list_quotas(limits, own, {"users": 3, "roles": 1})
    quotas = {each.name: (each.used, each.limit, each.is_own) for each in listed}
    assert quotas["instances"] == (0, 2, True)
    assert quotas["images"] == (0, 4, False)
    assert quotas["users"] == (3, 5, True)
    assert quotas["roles"] == (1, 0, False)
