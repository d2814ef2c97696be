"""The policy action of each S3 operation, and the ACL permission that allows it; decides
nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

# operations whose policy action has another name
ACTIONS_OF = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
# the permission that an ACL must grant for an action; an ACL can't grant other actions
PERMISSIONS_OF = {
    "s3:AbortMultipartUpload": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:DeleteObjectVersion": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:GetBucketLocation": "READ",
    "s3:GetObject": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectAttributes": "READ",
    "s3:GetObjectTorrent": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:GetObjectVersionAttributes": "READ",
    "s3:ListBucket": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListMultipartUploadParts": "WRITE",
    "s3:PutBucketAcl": "WRITE_ACP",
    "s3:PutObject": "WRITE",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}
# actions that have another name if the request names a version
VERSIONED = {
    f"s3:{verb}{noun}": f"s3:{verb}{noun.replace('Object', 'ObjectVersion')}"
    for verb, nouns in {
        "Get": ("Object", "ObjectAcl", "ObjectAttributes", "ObjectTagging", "ObjectTorrent"),
        "Put": ("ObjectAcl", "ObjectTagging"),
        "Delete": ("Object", "ObjectTagging"),
    }.items()
    for noun in nouns
}
# actions that the object's owner must grant, even to the bucket's owner
CONTENT = frozenset(
    f"s3:{each}"
    for each in (
        "GetObject",
        "GetObjectAcl",
        "GetObjectAttributes",
        "GetObjectTorrent",
        "GetObjectVersion",
        "GetObjectVersionAcl",
        "GetObjectVersionAttributes",
        "PutObjectAcl",
        "PutObjectVersionAcl",
    )
)
# a policy can't deny these to the bucket's owner, who must be able to repair it
OWNER_KEEPS = frozenset({"s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"})
# actions that an object's owner or ACL may allow though its bucket does not
OF_OBJECTS = frozenset(
    f"s3:{each}"
    for each in (
        "PutObjectAcl",
        "PutObjectLegalHold",
        "PutObjectRetention",
        "PutObjectTagging",
        "RestoreObject",
    )
)
WRITES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})


def policy_action(verb: str) -> str:
    """Return the policy action of an operation, s3:PutObject for CopyObject."""
    return f"s3:{ACTIONS_OF.get(verb, verb)}"


def action_of_version(action: str) -> str:
    """Return the name of an action on a version of an object, where it has another one."""
    return VERSIONED.get(action, action)


def versioned_action(action: str, params: Mapping[str, Any]) -> str:
    """Return the name of an action, of its version form if the request names a version."""
    return action_of_version(action) if params.get("version_id") else action


def extra_actions(verb: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the further (action, permission) that a request needs for its headers. A grant to write
    in an ACL includes tags, but no lock."""
    if verb == "GetObjectAttributes":
        yield "s3:GetObject", "READ"
    if verb not in WRITES:
        return
    if params.get("tagging"):
        yield "s3:PutObjectTagging", "WRITE"
    if params.get("object_lock_mode") or params.get("object_lock_retain_until_date"):
        yield "s3:PutObjectRetention", ""
    if params.get("object_lock_legal_hold_status"):
        yield "s3:PutObjectLegalHold", ""
