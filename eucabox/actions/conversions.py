"""Import, export and conversion of disks: lists none and refuses them, for there is none here."""

from collections.abc import Sequence
from typing import Any

from eucabox.actions import Call, Result, action
from eucabox.errors import ConversionTaskNotFound, UnsupportedOperation

PAGES = ("filters", "max_results", "next_token")  # of nothing
REFUSED = (
    *("ImportInstance", "ImportImage", "ExportImage", "CreateInstanceExportTask"),
    *("CancelConversionTask", "CancelExportTask", "CancelImportTask"),
)
WHY = (
    "Disks are not converted on a single-node cloud. Upload a raw or qcow2 disk into a bucket and"
    " register it by RegisterImage; an image's bundle or disk can be downloaded by the S3 API."
)


@action()
def describe_conversion_tasks(call: Call, *, conversion_task_ids: Sequence[str] = ()) -> Result:
    """List no conversion tasks."""
    return {"conversion_tasks": _none(conversion_task_ids)}


@action(ignored=["filters"])
def describe_export_tasks(call: Call, *, export_task_ids: Sequence[str] = ()) -> Result:
    """List no export tasks."""
    return {"export_tasks": _none(export_task_ids)}


@action(ignored=PAGES)
def describe_import_image_tasks(call: Call, *, import_task_ids: Sequence[str] = ()) -> Result:
    """List no imports."""
    return {"import_image_tasks": _none(import_task_ids)}


@action(ignored=PAGES)
def describe_export_image_tasks(call: Call, *, export_image_task_ids: Sequence[str] = ()) -> Result:
    """List no exports."""
    return {"export_image_tasks": _none(export_image_task_ids)}


def _none(task_ids: Sequence[str]) -> list[Any]:
    for each in task_ids:
        raise ConversionTaskNotFound(id=each[:60])
    return []


def refuse(call: Call, **members: Any) -> Result:
    """Answer that nothing is converted here, whatever was asked."""
    raise UnsupportedOperation(what=WHY)


for _name in REFUSED:
    action(name=_name)(refuse)
