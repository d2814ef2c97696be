"""Import, export and conversion of disks: lists none and refuses them, for there is none here."""

from typing import Any

from eucabox.actions import Call, Result, action
from eucabox.errors import UnsupportedOperation

EMPTY = {
    "DescribeConversionTasks": "conversion_tasks",
    "DescribeExportTasks": "export_tasks",
    "DescribeImportImageTasks": "import_image_tasks",
    "DescribeExportImageTasks": "export_image_tasks",
}
REFUSED = (
    *("ImportInstance", "ImportImage", "ExportImage", "CreateInstanceExportTask"),
    *("CancelConversionTask", "CancelExportTask", "CancelImportTask"),
)
WHY = (
    "Disks are not converted on a single-node cloud. Upload a raw or qcow2 disk into a bucket and"
    " register it by RegisterImage; an image's bundle or disk can be downloaded by the S3 API."
)


def _lister(member: str) -> Any:
    def list_none(call: Call, **members: Any) -> Result:
        return {member: []}

    return list_none


def refuse(call: Call, **members: Any) -> Result:
    """Answer that nothing is converted here, whatever was asked."""
    raise UnsupportedOperation(what=WHY)


for _name, _member in EMPTY.items():
    action(name=_name)(_lister(_member))
for _name in REFUSED:
    action(name=_name)(refuse)
