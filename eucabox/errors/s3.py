"""Faults of S3's verbs and of the bucket store."""

from eucabox.errors.fault import Fault


class AccessDenied(Fault):
    code, text = "AccessDenied", "Access Denied. {reason}"


class S3NotImplemented(Fault):
    code = "NotImplemented"
    text = "{what} is not implemented by this cloud. {hint}"


class InvalidArgument(Fault):
    code, text = "InvalidArgument", "The value '{value}' of {argument} is not valid. {reason}"


class InvalidRequest(Fault):
    code, text = "InvalidRequest", "{reason}"


class InvalidRange(Fault):
    code = "InvalidRange"
    text = "The range {requested} lies outside of the object, which has {size} bytes."


class MalformedXML(Fault):
    code, text = (
        "MalformedXML",
        "The XML in the body is not as the schema of {shape} wants it: {reason}",
    )


class MalformedACL(Fault):
    code, text = "MalformedACLError", "{reason}"


class UnresolvableGrantee(Fault):
    code = "UnresolvableGrantByEmailAddress"
    text = "The grantee {grantee} is not an account here. Name it by its canonical id."


class MalformedPolicy(Fault):
    code, text = "MalformedPolicy", "{reason}"


class AccessControlListNotSupported(Fault):
    code = "AccessControlListNotSupported"
    text = (
        "The bucket {bucket} does not allow ACLs: its owner has all of it (BucketOwnerEnforced)."
        " Leave the ACL out, or send bucket-owner-full-control with an object."
    )


class InvalidBucketAcl(Fault):
    code = "InvalidBucketAclWithObjectOwnership"
    text = (
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting: {bucket}"
        " grants others something. Set its ACL to private first."
    )


class TooManyBuckets(Fault):
    code = "TooManyBuckets"
    text = (
        "The account has {used} buckets; the administrator of this cloud allows {most}"
        " ([limits] buckets). Delete one, or ask for more."
    )


class ObjectTooLarge(Fault):
    code = "EntityTooLarge"
    text = (
        "The object would be larger than {most} MiB, the most that this cloud allows ({setting})."
    )


class QuotaExceeded(Fault):
    code = "QuotaExceeded"
    text = (
        "{what} would hold more than {most} MiB, the most that this cloud allows ({setting})."
        " Delete objects, or ask its administrator for more."
    )


class InvalidTargetBucket(Fault):
    code = "InvalidTargetBucketForLogging"
    text = "The bucket {bucket} cannot take access logs. {reason}"


class CrossLocationLogging(Fault):
    code = "CrossLocationLoggingProhibitted"  # AWS's spelling
    text = (
        "Cross S3 location logging not allowed. The bucket to be logged is in"
        " {SourceBucketLocation}, the target in {TargetBucketLocation}."
    )


class MethodNotAllowed(Fault):
    code = "MethodNotAllowed"
    text = "The method {method} is not allowed against this resource."


class MissingContentLength(Fault):
    code = "MissingContentLength"
    text = "The request has a body without a length. Send Content-Length, or a chunked body."


class MetadataTooLarge(Fault):
    code = "MetadataTooLarge"
    text = "The user metadata has {size} bytes; an object can keep {limit}."


class MissingRequestBody(Fault):
    code, text = "MissingRequestBodyError", "Request body is empty. Send the XML of the request."


class RequestBodyTooLarge(Fault):
    code = "EntityTooLarge"
    text = "The body of this request has more than {limit} bytes. Send fewer entries."


class NotModified(Fault):
    code, text = "NotModified", "The object has not changed as of {condition}."


class NoSuchBucketPolicy(Fault):
    code, text = "NoSuchBucketPolicy", "The bucket {bucket} has no policy."


class NoSuchCORSConfiguration(Fault):
    code, text = "NoSuchCORSConfiguration", "The bucket {bucket} has no CORS configuration."


class NoSuchTagSet(Fault):
    code, text = "NoSuchTagSet", "The bucket {bucket} has no tags."


class InvalidTag(Fault):
    code, text = "InvalidTag", "{reason}"


class TooManyTags(Fault):
    code, text = "InvalidTag", "{whose} can have {limit} tags, these are {count}."


class NoSuchLifecycleConfiguration(Fault):
    code = "NoSuchLifecycleConfiguration"
    text = "The bucket {bucket} has no lifecycle configuration."


class NoSuchWebsiteConfiguration(Fault):
    code, text = "NoSuchWebsiteConfiguration", "The bucket {bucket} has no website configuration."


class ReplicationConfigurationNotFound(Fault):
    code = "ReplicationConfigurationNotFoundError"
    text = "The bucket {bucket} has no replication configuration."


class EncryptionConfigurationNotFound(Fault):
    code = "ServerSideEncryptionConfigurationNotFoundError"
    text = "The bucket {bucket} has no encryption configuration."


class ObjectLockConfigurationNotFound(Fault):
    code = "ObjectLockConfigurationNotFoundError"
    text = "The bucket {bucket} has no object lock configuration."


class VersioningNotEnabled(Fault):
    code = "InvalidBucketState"
    text = (
        "Versioning must be 'Enabled' on the bucket {bucket} to apply an Object Lock configuration."
    )


class InvalidRetentionPeriod(Fault):
    code = "InvalidRetentionPeriod"
    text = "The default retention of {value} {unit} is not possible. Use 1 to {limit}."


class NoSuchObjectLockConfiguration(Fault):
    code = "NoSuchObjectLockConfiguration"
    text = "The object {key} has no object lock configuration."


class NoSuchPublicAccessBlock(Fault):
    code = "NoSuchPublicAccessBlockConfiguration"
    text = "The bucket {bucket} has no public access block configuration."


class OwnershipControlsNotFound(Fault):
    code = "OwnershipControlsNotFoundError"
    text = "The bucket {bucket} has no ownership controls."


class NoSuchConfiguration(Fault):
    code, text = "NoSuchConfiguration", "The bucket {bucket} has no configuration {id}."


class NoSuchBucket(Fault):
    code, text = "NoSuchBucket", "The bucket {name} does not exist."


class BucketAlreadyExists(Fault):
    code = "BucketAlreadyExists"
    text = "The bucket {name} belongs to another account. Bucket names are shared: choose another."


class BucketNameInTheWay(BucketAlreadyExists):
    text = (
        "In the store's folder something is called {name} that is no bucket. Choose another name,"
        " or have the administrator make it one by `eucabox bucket rescan`, or remove it."
    )


class BucketAlreadyOwnedByYou(Fault):
    code, text = "BucketAlreadyOwnedByYou", "The bucket {name} exists already and is yours."


class InvalidBucketState(Fault):
    code = "InvalidBucketState"
    text = "The bucket {bucket} has object lock: its versioning cannot be suspended."


class BucketNotEmpty(Fault):
    code = "BucketNotEmpty"
    text = "The bucket {name} is not empty: {what} is in it. Delete its objects first."


class InvalidBucketName(Fault):
    code = "InvalidBucketName"
    text = (
        "The bucket name {name} is not valid: use 3 to 63 lower-case letters, digits, dots and"
        " hyphens, beginning and ending with a letter or digit; no IP address, and nothing that AWS"
        " reserves, as xn-- in front or -s3alias at the end."
    )


class BucketNameInCapitals(InvalidBucketName):
    text = (
        "The bucket name {name} is not valid: a name has no capital letters. Use {lower}; names as"
        " they once were are made at the path /services/objectstorage alone."
    )


class NoSuchKey(Fault):
    code, text = "NoSuchKey", "The key {key} does not exist in the bucket {bucket}."


class NoSuchVersion(NoSuchKey):
    code, text = "NoSuchVersion", "The key {key} has no version {version}."


class IsDeleteMarker(NoSuchKey):
    code = "MethodNotAllowed"
    text = "The version {version} of {key} is a delete marker, which can only be deleted."


class InvalidVersionId(Fault):
    code = "InvalidArgument"
    text = "Invalid version id specified: {value}. Use null or one of a listing."

    def __init__(self, **facts: object) -> None:
        super().__init__(argument="versionId", **facts)


class IllegalVersioningConfiguration(Fault):
    code = "IllegalVersioningConfigurationException"
    text = "The versioning configuration has no Status. Use Enabled or Suspended."


class InvalidKey(Fault):
    code, text = "InvalidURI", "The object key {reason}."


class KeyTooLong(Fault):
    code = "KeyTooLongError"
    text = "The object key has {size} bytes; at most {limit} are possible."


class BadDigest(Fault):
    code = "BadDigest"
    text = "The {algorithm} of the body is {found}, but the request says {stated}. Send it again."


class InvalidDigest(Fault):
    code = "InvalidDigest"
    text = "The Content-MD5 of the request is not the base64 form of 16 bytes."


class InvalidChecksum(Fault):
    code, text = "InvalidRequest", "Value for checksum {algorithm} is invalid: {reason}."


class MalformedChecksum(Fault):
    code, text = "BadDigest", "The checksum {algorithm} of the request is invalid: {reason}."


class ChecksumMismatch(Fault):
    code = "InvalidRequest"
    text = "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual: {found}."


class IncompleteBody(Fault):
    code = "IncompleteBody"
    text = "The body has {found} bytes, but the request says {stated}. Send it again."


class EntityTooLarge(Fault):
    code = "EntityTooLarge"
    text = "The body is larger than {limit} bytes. Send it in parts (multipart upload)."


class CopiedPartTooLarge(Fault):
    code = "InvalidRequest"
    text = (
        "The specified copy source is larger than the maximum allowable size for a copy source:"
        " {limit} bytes. Copy it by ranges, in parts."
    )


class JoinedTooLarge(Fault):
    code = "EntityTooLarge"
    text = "The parts have {size} bytes together, an object has at most {limit}. Name fewer parts."


class EntityTooSmall(Fault):
    code = "EntityTooSmall"
    text = "Part {number} has {size} bytes; every part but the last needs at least {limit}."


class NoSuchUpload(Fault):
    code = "NoSuchUpload"
    text = "The upload {upload_id} does not exist: it was completed or aborted, or never began."


class InvalidPart(Fault):
    code = "InvalidPart"
    text = "Part {number} was not uploaded, or its ETag or checksum is not the one you name."


class InvalidPartNumber(Fault):
    code, text = "InvalidArgument", "The part number {number} is not between 1 and {limit}."


class InvalidPartOrder(Fault):
    code = "InvalidPartOrder"
    text = "The list of parts is not in ascending order: {number} follows {previous}."


class MalformedPartList(Fault):
    code, text = "MalformedXML", "The list of parts is empty. Name at least one part."


class InvalidObjectSize(Fault):
    code = "InvalidRequest"
    text = "The parts have {found} bytes together, but the request says {stated}."


class PreconditionFailed(Fault):
    code = "PreconditionFailed"
    text = "At least one of the preconditions you specified did not hold: {condition}."


class DiskFull(Fault):
    code = "InsufficientStorage"
    text = "The disk of the bucket store is full. Nothing was stored; free some space first."


class StorageFailed(Fault):
    code = "InternalError"
    text = "The disk of the bucket store refused the operation: {reason}."


class BucketUnusable(Fault):
    code = "InternalError"
    text = "The folder of bucket {name} can't be used ({reason}): no link is followed in it."


class StoreInUse(Fault):
    code = "ConfigError"
    text = "{folder} is in use by process {pid}: stop that eucabox, or set [buckets] path."


class PartNumberBeyond(Fault):
    code = "InvalidPart"
    text = "The object has {parts} parts, there is no part {number}."


class InvalidStorageClass(Fault):
    code, text = "InvalidStorageClass", "The storage class {value} is unknown. Use STANDARD."


class PreflightInvalid(Fault):
    code, text = "BadRequest", "{reason}"


class CrossOriginRefused(Fault):
    code, text = "AccessForbidden", "CORSResponse: {reason}"


class InvalidRedirectLocation(Fault):
    code = "InvalidRedirectLocation"
    text = (
        "The website redirect location must begin with 'http://', 'https://' or '/', and have at"
        " most {limit} characters."
    )


class InvalidObjectState(Fault):
    code = "InvalidObjectState"
    text = "The object {key} has the storage class {StorageClass}, from which nothing is restored."


class NoSuchTorrent(Fault):
    code = "NoSuchKey"
    text = "There is no torrent of the key {key} in the bucket {bucket}. Get the object itself."


class ObjectDamaged(Fault):
    code = "InternalError"
    text = "The encrypted object {what} is damaged: {reason}. Put it again, or restore its file."


class EncryptionUnfit(Fault):
    code, text = "InvalidRequest", "{reason}"


class EncryptionArgument(Fault):
    code, text = "InvalidArgument", "{reason}"


class KeysUnusable(Fault):
    code = "KMS.KeyUnavailableException"
    text = "The keys of encrypted objects can't be used: {file}: {reason}. Put back that file."


class KmsKeyNotFound(Fault):
    code = "KMS.NotFoundException"
    text = (
        "The KMS key {name} does not exist. Name none, for aws/s3, or one that the administrator"
        " has in [buckets] kms_keys."
    )


class KmsKeyDisabled(Fault):
    code = "KMS.DisabledException"
    text = (
        "The KMS key {arn} is disabled. The administrator enables it by its name in [buckets]"
        " kms_keys."
    )
