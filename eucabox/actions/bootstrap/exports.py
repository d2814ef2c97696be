"""Disks that leave this cloud: for the operator, who then copies the files out of its folder."""

from eucabox.actions import Call, Result, action
from eucabox.ec2.exports import Export


@action(service="bootstrap", admin=True)
def begin_export(call: Call, *, resource_id: str) -> Result:
    """Begin to write the disk of an image or an instance as files in the folder `exports`."""
    return {"exports": [_to_api(call.cloud.exports.begin(resource_id))]}


@action(service="bootstrap", admin=True)
def describe_export(call: Call, *, export_id: str) -> Result:
    """Tell how far an export is; for one that nobody asks for in a minute its files are removed."""
    return {"exports": [_to_api(call.cloud.exports.find(export_id))]}


@action(service="bootstrap", admin=True)
def end_export(call: Call, *, export_id: str) -> Result:
    """Remove the files of an export, or stop writing them."""
    call.cloud.exports.end(export_id)
    return {}


def _to_api(made: Export) -> dict[str, object]:
    exported = made.exported
    return {
        "export_id": made.export_id,
        "resource_id": made.resource_id,
        "state": made.state,
        "done": made.done,
        "total": made.total,
        "message": made.message,
        "boots": exported.boots if exported else "",
        "command_line": exported.cmdline if exported else "",
    }
