"""Console output and screenshots: a guest's serial line and its screen."""

import base64

from eucabox.actions import Call, Result, action
from eucabox.ec2 import instances
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import IncorrectInstanceState


@action(ignored=["latest"])
def get_console_output(call: Call, *, instance_id: str) -> Result:
    """Return the end of an instance's console output as base64, always the latest."""
    row = _get_instance(call, instance_id)
    output, moment = call.cloud.node.console_output(row["instance_id"])
    return {
        "instance_id": row["instance_id"],
        "timestamp": moment,
        "output": base64.b64encode(output).decode(),
    }


@action()
def get_console_screenshot(call: Call, *, instance_id: str, wake_up: bool = False) -> Result:
    """Return a screenshot of a running instance as PNG in base64."""
    row = _get_instance(call, instance_id)
    if row["state"] != "running":
        facts = {"id": instance_id, "state": row["state"], "needed": "running"}
        raise IncorrectInstanceState(**facts, action="GetConsoleScreenshot")
    picture = call.cloud.node.screenshot(row["instance_id"], wake_up and not call.dry_run)
    return {"instance_id": instance_id, "image_data": base64.b64encode(picture).decode()}


@action()
def get_password_data(call: Call, *, instance_id: str) -> Result:
    """Return an empty password: only Windows has one, which is not supported."""
    row = _get_instance(call, instance_id)
    return {"instance_id": row["instance_id"], "timestamp": call.now(), "password_data": ""}


def _get_instance(call: Call, instance_id: str) -> ListedInstance:
    (row,) = instances.get_many(call.cloud.state, call.user, [instance_id])
    return row
