"""How much every account has, beside how much it may have: for the operator."""

from dataclasses import asdict

from eucabox.actions import Call, Result, action
from eucabox.iam.account_limits import read_own
from eucabox.iam.account_records import list_accounts
from eucabox.operator.account_usage import OwnedBytes, count_usage, list_quotas


@action(service="bootstrap", admin=True)
def describe_account_usage(call: Call) -> Result:
    """List the accounts with how much each has of what is limited or counted, by the names of
    [limits]; a limit of 0 is none."""
    state, limits = call.cloud.state, call.cloud.config.limits
    usage = count_usage(state, _list_buckets(call))
    return {
        "accounts": [
            {
                "account_id": each["account_id"],
                "account_name": each["account_name"],
                "email": each["email"],
                "created": each["created"],
                "quotas": [
                    asdict(quota)
                    for quota in list_quotas(
                        limits,
                        read_own(state, each["account_id"]),
                        usage.get(each["account_id"], {}),
                    )
                ],
            }
            for each in list_accounts(state)
        ]
    }


def _list_buckets(call: Call) -> list[OwnedBytes]:
    counted = call.cloud.store.usage()["buckets"]
    return [
        OwnedBytes(each.owner, counted.get(each.name, {}).get("bytes", 0))
        for each in call.cloud.store.buckets()
    ]
