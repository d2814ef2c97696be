"""Eucalyptus' verbs about what is kept of a user beside: a full name, a telephone, a project."""

import json

from eucabox.actions import Call, Result, action
from eucabox.errors import LimitExceeded
from eucabox.iam.constraints import check_length
from eucabox.iam.users import find_user_or_caller

MOST_KEYS, LONGEST_KEY, LONGEST_VALUE = 50, 128, 1024


@action("iam")
def get_user_info(call: Call, *, user_name: str = "", info_key: str = "") -> Result:
    """Return what is kept of a user beside, as pairs; with a key that pair alone."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    information: dict[str, str] = json.loads(user["information"])
    pairs = [pair for pair in sorted(information.items()) if info_key in ("", pair[0])]
    return {"infos": [{"key": key, "value": value} for key, value in pairs]}


@action("iam")
def update_user_info(
    call: Call, *, info_key: str, info_value: str = "", user_name: str = ""
) -> Result:
    """Keep a pair of a user, or without a value drop it."""
    check_length("infoKey", info_key, LONGEST_KEY, 1)
    check_length("infoValue", info_value, LONGEST_VALUE)
    with call.cloud.state.transaction():
        user = find_user_or_caller(call.cloud.state, call.user, user_name)
        information = json.loads(user["information"])
        information.pop(info_key, None)
        if info_value:
            information[info_key] = info_value
        if len(information) > MOST_KEYS:
            raise LimitExceeded(reason=f"Cannot exceed quota for InfosPerUser: {MOST_KEYS}")
        text = json.dumps(information)
        call.cloud.state.update("users", {"user_id": user["user_id"]}, information=text)
    return {}


@action("iam", admin=True)
def get_ldap_sync_status(call: Call) -> Result:
    """Tell that users are not copied from an LDAP server."""
    return {"sync_enabled": False, "in_sync": False}
