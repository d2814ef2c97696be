"""Faults of what is set for a bucket or an object: lists, policies, tags, locks ..."""

from eucabox.errors.fault import Fault


class MalformedACL(Fault):
    code = "MalformedACLError"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    detail_text = "{reason}"


class UnresolvableGrantee(Fault):
    code = "UnresolvableGrantByEmailAddress"
    text = "The e-mail address you provided does not match any account on record."
    detail_text = "The grantee {grantee} is not an account here. Name it by its canonical id."


class MalformedPolicy(Fault):
    code, text = "MalformedPolicy", "{reason}"


class AccessControlListNotSupported(Fault):
    code = "AccessControlListNotSupported"
    text = "The bucket does not allow ACLs"
    detail_text = (
        "All of {bucket} is its owner's (BucketOwnerEnforced). Leave the ACL out, or send"
        " bucket-owner-full-control with an object."
    )


class InvalidBucketAcl(Fault):
    code = "InvalidBucketAclWithObjectOwnership"
    text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
    detail_text = "The ACL of {bucket} grants others something. Set it to private first."


class InvalidTargetBucket(Fault):
    code = "InvalidTargetBucketForLogging"
    text = "The bucket {bucket} cannot take access logs. {reason}"


class CrossLocationLogging(Fault):
    code = "CrossLocationLoggingProhibitted"  # AWS's spelling
    text = (
        "Cross S3 location logging not allowed. The bucket to be logged is in"
        " {SourceBucketLocation}, the target in {TargetBucketLocation}."
    )


class NoSuchBucketPolicy(Fault):
    code = "NoSuchBucketPolicy"
    text = "The bucket policy does not exist"
    detail_text = "The bucket {bucket} has no policy."


class NoSuchCORSConfiguration(Fault):
    code = "NoSuchCORSConfiguration"
    text = "The CORS configuration does not exist"
    detail_text = "The bucket {bucket} has no CORS configuration."


class NoSuchTagSet(Fault):
    code = "NoSuchTagSet"
    text = "The TagSet does not exist"
    detail_text = "The bucket {bucket} has no tags."


class InvalidTag(Fault):
    code, text = "InvalidTag", "{reason}"


class TooManyTags(Fault):
    code, text = "InvalidTag", "{whose} can have {limit} tags, these are {count}."


class NoSuchLifecycleConfiguration(Fault):
    code = "NoSuchLifecycleConfiguration"
    text = "The lifecycle configuration does not exist"
    detail_text = "The bucket {bucket} has no lifecycle configuration."


class NoSuchWebsiteConfiguration(Fault):
    code = "NoSuchWebsiteConfiguration"
    text = "The specified bucket does not have a website configuration"
    detail_text = "The bucket {bucket} has no website configuration."


class ReplicationConfigurationNotFound(Fault):
    code = "ReplicationConfigurationNotFoundError"
    text = "The replication configuration was not found"
    detail_text = "The bucket {bucket} has no replication configuration."


class EncryptionConfigurationNotFound(Fault):
    code = "ServerSideEncryptionConfigurationNotFoundError"
    text = "The server side encryption configuration was not found"
    detail_text = "The bucket {bucket} has no encryption configuration."


class ObjectLockConfigurationNotFound(Fault):
    code = "ObjectLockConfigurationNotFoundError"
    text = "Object Lock configuration does not exist for this bucket"
    detail_text = "The bucket {bucket} has no object lock configuration."


class VersioningNotEnabled(Fault):
    code = "InvalidBucketState"
    text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
    detail_text = "The bucket is {bucket}."


class InvalidRetentionPeriod(Fault):
    code = "InvalidRetentionPeriod"
    text = "The default retention of {value} {unit} is not possible. Use 1 to {limit}."


class NoSuchObjectLockConfiguration(Fault):
    code = "NoSuchObjectLockConfiguration"
    text = "The specified object does not have a ObjectLock configuration"
    detail_text = "The object {key} has no object lock configuration."


class NoSuchPublicAccessBlock(Fault):
    code = "NoSuchPublicAccessBlockConfiguration"
    text = "The public access block configuration was not found"
    detail_text = "The bucket {bucket} has no public access block configuration."


class OwnershipControlsNotFound(Fault):
    code = "OwnershipControlsNotFoundError"
    text = "The bucket ownership controls were not found"
    detail_text = "The bucket {bucket} has no ownership controls."


class NoSuchConfiguration(Fault):
    code = "NoSuchConfiguration"
    text = "The specified configuration does not exist."
    detail_text = "The bucket {bucket} has no configuration {id}."


class InvalidBucketState(Fault):
    code = "InvalidBucketState"
    text = (
        "An Object Lock configuration is present on this bucket, so the versioning state cannot"
        " be changed."
    )
    detail_text = "The bucket {bucket} has object lock: its versioning cannot be suspended."


class IllegalVersioningConfiguration(Fault):
    code = "IllegalVersioningConfigurationException"
    text = "The Versioning element must be specified"
    detail_text = "The versioning configuration has no Status. Use Enabled or Suspended."
