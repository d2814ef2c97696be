"""The operator's log: its newest lines, chosen as `eucabox logs` chooses them."""

from eucabox import logs
from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidParameterValue
from eucabox.operator.log_lines import Facts, LogChoice, parse_since, read_newest

MOST_LINES, LONGEST_WORD = 500, 200
SHOWN = ("time", "level", "role", "request_id", "instance", "user", "message", "trace")


@action(service="bootstrap", admin=True)
def list_log_lines(
    call: Call,
    *,
    instance_id: str = "",
    log_request_id: str = "",
    user: str = "",
    role: str = "",
    since: str = "",
    max_results: int = 100,
) -> Result:
    """List the newest lines of the log, the newest first, from its last megabytes.

    `since` is an age such as 10m, or a time. `place` says where the log is; `rest` of a line are
    its other facts, as key=value.
    """
    words = {
        "InstanceId": instance_id, "LogRequestId": log_request_id, "User": user, "Role": role,
        "Since": since,
    }  # fmt: skip
    for name, value in words.items():
        if len(value) > LONGEST_WORD:
            raise _refuse(name, value, f"It has at most {LONGEST_WORD} characters.")
    if role and role not in logs.ROLES:
        raise _refuse("Role", role, f"Choose one of {', '.join(logs.ROLES)}.")
    if not 1 <= max_results <= MOST_LINES:
        raise _refuse("MaxResults", str(max_results), f"Give a number from 1 to {MOST_LINES}.")
    choice = LogChoice(instance_id, log_request_id, user, role, _read_since(since))
    chosen = read_newest(call.cloud.config, choice, max_results)
    place = logs.describe_place(call.cloud.config)
    return {"lines": list(map(_to_api, chosen.lines)), "is_cut": chosen.is_cut, "place": place}


def _read_since(since: str) -> str:
    try:
        return parse_since(since) if since else ""
    except ValueError:
        reason = "Give an age such as 90s, 10m, 2h or 3d, or a time such as 2026-11-23T01:02."
        raise _refuse("Since", since, reason) from None


def _to_api(facts: Facts) -> dict[str, str]:
    others = {name: text for name, text in facts.items() if name not in SHOWN}
    rest = " ".join(f"{name}={text}" for name, text in others.items())
    return {**{name: facts.get(name, "") for name in SHOWN}, "rest": rest}


def _refuse(parameter: str, value: str, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)
