"""The settings in force, and what is wrong with this cloud and its host: for the operator."""

from dataclasses import asdict

from eucabox import logs
from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidParameterValue
from eucabox.operator.settings import list_settings

MOST_PROBLEMS, LONGEST_AGE = 100, 86_400


@action(service="bootstrap", admin=True)
def describe_settings(call: Call) -> Result:
    """List every setting with its source, which is a file, `default` or `first start`; no secret.

    `problem` is why the files would not be accepted now, or "".
    """
    config = call.cloud.config
    settings, problem = list_settings(config)
    return {
        "settings": [asdict(each) for each in settings],
        "file": str(config.file or ""),
        "problem": problem,
        "log": logs.describe_place(config),
    }


@action(service="bootstrap", admin=True)
def describe_faults(call: Call, *, max_age: int = 300) -> Result:
    """Tell what the running cloud could not do, and what `eucabox doctor` finds with how to mend
    it; what it found in the last `max_age` seconds is not looked for again.

    `checked` is when that was, "" while the first check is under way.
    """
    if not 0 <= max_age <= LONGEST_AGE:
        reason = f"Give seconds from 0 to {LONGEST_AGE}."
        raise InvalidParameterValue(parameter="MaxAge", value=max_age, reason=reason)
    findings, checked = call.cloud.findings.read(max_age)
    problems = call.cloud.facts()["problems"][:MOST_PROBLEMS]
    return {"problems": problems, "findings": findings, "checked": checked}
