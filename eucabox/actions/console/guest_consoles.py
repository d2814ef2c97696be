"""Opening a guest's serial console and its screen, which no API of AWS has in this form."""

from eucabox.actions import Call, Result, action
from eucabox.ec2 import instances
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import IncorrectInstanceState


@action(service="console")
def open_serial_console(call: Call, *, instance_id: str) -> Result:
    """Return `attach`, the node's function that lets one look on and type; policies name this
    ec2:OpenSerialConsole. An instance that does not run shows what it wrote last."""
    row = _get_instance(call, instance_id)
    return {"attach": call.cloud.node.open_serial_console(row["instance_id"])}


@action(service="console")
def open_screen(call: Call, *, instance_id: str) -> Result:
    """Return `descriptor`, which speaks RFB with a running instance's screen and which the caller
    closes; policies name this ec2:OpenScreen."""
    row = _get_instance(call, instance_id)
    if row["state"] != "running":
        facts = {"id": instance_id, "state": row["state"], "needed": "running"}
        raise IncorrectInstanceState(**facts, action="OpenScreen")
    return {"descriptor": call.cloud.node.open_screen(row["instance_id"])}


def _get_instance(call: Call, instance_id: str) -> ListedInstance:
    (row,) = instances.get_many(call.cloud.state, call.user, [instance_id])
    return row
