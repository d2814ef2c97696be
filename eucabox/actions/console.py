"""Console output: what a guest wrote to its serial console."""

import base64

from eucabox import instances
from eucabox.actions import Call, Result, action


@action(ignored=["latest"])
def get_console_output(call: Call, *, instance_id: str) -> Result:
    """Answer the end of an instance's console as base64; it is always the latest."""
    assert call.caller is not None
    (row,) = instances.named(call.cloud.state, call.caller, [instance_id])
    output, moment = call.cloud.node.console_output(row["instance_id"])
    return {
        "instance_id": row["instance_id"],
        "timestamp": moment,
        "output": base64.b64encode(output).decode(),
    }
