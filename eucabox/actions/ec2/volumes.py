"""EBS volumes and snapshots: not offered on a single-node cloud; every action is refused."""

from eucabox.actions import Call, Result, action
from eucabox.errors import UnsupportedOperation

VOLUMES = (
    "AttachVolume",
    "CopyVolumes",
    "CreateReplaceRootVolumeTask",
    "CreateVolume",
    "DeleteVolume",
    "DescribeReplaceRootVolumeTasks",
    "DescribeVolumeAttribute",
    "DescribeVolumeStatus",
    "DescribeVolumes",
    "DescribeVolumesModifications",
    "DetachVolume",
    "EnableVolumeIO",
    "ImportVolume",
    "ListVolumesInRecycleBin",
    "ModifyVolume",
    "ModifyVolumeAttribute",
    "RestoreVolumeFromRecycleBin",
)
SNAPSHOTS = (
    "CopySnapshot",
    "CreateSnapshot",
    "CreateSnapshots",
    "DeleteSnapshot",
    "DescribeFastSnapshotRestores",
    "DescribeImportSnapshotTasks",
    "DescribeLockedSnapshots",
    "DescribeSnapshotAttribute",
    "DescribeSnapshotTierStatus",
    "DescribeSnapshots",
    "DisableFastSnapshotRestores",
    "DisableSnapshotBlockPublicAccess",
    "EnableFastSnapshotRestores",
    "EnableSnapshotBlockPublicAccess",
    "GetSnapshotBlockPublicAccessState",
    "ImportSnapshot",
    "ListSnapshotsInRecycleBin",
    "LockSnapshot",
    "ModifySnapshotAttribute",
    "ModifySnapshotTier",
    "ResetSnapshotAttribute",
    "RestoreSnapshotFromRecycleBin",
    "RestoreSnapshotTier",
    "UnlockSnapshot",
)
DEFAULTS = (
    "DisableEbsEncryptionByDefault",
    "EnableEbsEncryptionByDefault",
    "GetEbsDefaultKmsKeyId",
    "GetEbsEncryptionByDefault",
    "ModifyEbsDefaultKmsKeyId",
    "ResetEbsDefaultKmsKeyId",
)
REFUSED = (*VOLUMES, *SNAPSHOTS, *DEFAULTS)
WHY = (
    "EBS volumes and snapshots are not available on a single-node cloud. Keep data on the"
    " instance's own disk, or in a bucket by the S3 API."
)


def refuse(call: Call, **members: object) -> Result:
    """Refuse any action on EBS."""
    raise UnsupportedOperation(what=WHY)


for _name in REFUSED:
    action(name=_name)(refuse)
