"""Faults of S3's verbs and of the bucket store."""

from eucabox.errors.fault import Fault


class AccessDenied(Fault):
    code = "AccessDenied"
    text = "Access Denied"
    detail_text = "{reason}"


class AnonymousUpload(AccessDenied):
    text = "Anonymous users cannot initiate multipart uploads. Please authenticate."
    detail_text = ""


class AnonymousCopy(AccessDenied):
    text = "Anonymous users cannot copy objects. Please authenticate."
    detail_text = ""


class ObjectLocked(AccessDenied):
    text = "Access Denied because object protected by object lock."


class S3NotImplemented(Fault):
    code = "NotImplemented"
    text = "A header you provided implies functionality that is not implemented"
    detail_text = "{what} is not implemented by this cloud. {hint}"


class InvalidArgument(Fault):
    code, text = "InvalidArgument", "The value '{value}' of {argument} is not valid. {reason}"


class InvalidRequest(Fault):
    code, text = "InvalidRequest", "{reason}"


class InvalidRange(Fault):
    code = "InvalidRange"
    text = "The requested range is not satisfiable"
    detail_text = "The object has {size} bytes; {requested} lies outside of it."


class MalformedXML(Fault):
    code = "MalformedXML"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    detail_text = "In {shape}: {reason}"


class TooManyBuckets(Fault):
    code = "TooManyBuckets"
    text = "You have attempted to create more buckets than allowed"
    detail_text = (
        "The account has {used} buckets; the administrator of this cloud allows {most}"
        " ([limits] buckets). Delete one, or ask for more."
    )


class ObjectTooLarge(Fault):
    code = "EntityTooLarge"
    text = "Your proposed upload exceeds the maximum allowed size"
    detail_text = (
        "The object would be larger than {most} MiB, the most that this cloud allows ({setting})."
    )


class QuotaExceeded(Fault):
    code = "QuotaExceeded"
    text = (
        "{what} would hold more than {most} MiB, the most that this cloud allows ({setting})."
        " Delete objects, or ask its administrator for more."
    )


class MethodNotAllowed(Fault):
    code = "MethodNotAllowed"
    text = "The specified method is not allowed against this resource."
    detail_text = "The method is {method}."


class MissingContentLength(Fault):
    code = "MissingContentLength"
    text = "You must provide the Content-Length HTTP header."
    detail_text = "Or send a chunked body."


class MetadataTooLarge(Fault):
    code = "MetadataTooLarge"
    text = "Your metadata headers exceed the maximum allowed metadata size"
    detail_text = "The user metadata has {size} bytes; an object can keep {limit}."


class MissingRequestBody(Fault):
    code = "MissingRequestBodyError"
    text = "Request Body is empty"
    detail_text = "Send the XML of the request."


class RequestBodyTooLarge(Fault):
    code = "EntityTooLarge"
    text = "The body of this request has more than {limit} bytes. Send fewer entries."


class NotModified(Fault):
    code, text = "NotModified", "The object has not changed as of {condition}."


class NoSuchBucket(Fault):
    code = "NoSuchBucket"
    text = "The specified bucket does not exist"
    detail_text = "There is no bucket {name}."


class BucketAlreadyExists(Fault):
    code = "BucketAlreadyExists"
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all"
        " users of the system. Please select a different name and try again."
    )
    detail_text = "The bucket {name} belongs to another account."


class BucketNameInTheWay(BucketAlreadyExists):
    detail_text = (
        "In the store's folder something is called {name} that is no bucket. Choose another"
        " name, or have the administrator make it one by `eucabox bucket rescan`, or remove it."
    )


class BucketAlreadyOwnedByYou(Fault):
    code = "BucketAlreadyOwnedByYou"
    text = "Your previous request to create the named bucket succeeded and you already own it."
    detail_text = "The bucket {name} exists already and is yours."


class BucketNotEmpty(Fault):
    code = "BucketNotEmpty"
    text = "The bucket you tried to delete is not empty"
    detail_text = "{what} is in {name}. Delete its objects first."


class InvalidBucketName(Fault):
    code = "InvalidBucketName"
    text = "The specified bucket is not valid."
    detail_text = (
        "The bucket name {name} is not valid: use 3 to 63 lower-case letters, digits, dots and"
        " hyphens, beginning and ending with a letter or digit; no IP address, and nothing that"
        " AWS reserves, as xn-- in front or -s3alias at the end."
    )


class BucketNameInCapitals(InvalidBucketName):
    text = (
        "The bucket name {name} is not valid: a name has no capital letters. Use {lower};"
        " names with capitals, as Eucalyptus had them, can only be made at the path"
        " /services/objectstorage."
    )


class NoSuchKey(Fault):
    code = "NoSuchKey"
    text = "The specified key does not exist."
    detail_text = "There is no {key} in the bucket {bucket}."


class NoSuchVersion(NoSuchKey):
    code = "NoSuchVersion"
    text = "The specified version does not exist."
    detail_text = "The key {key} has no version {version}."


class IsDeleteMarker(NoSuchKey):
    code = "MethodNotAllowed"
    text = "The specified method is not allowed against this resource."
    detail_text = "The version {version} of {key} is a delete marker, which can only be deleted."


class InvalidVersionId(Fault):
    code = "InvalidArgument"
    text = "Invalid version id specified"
    detail_text = "{value} is none. Use null or one of a listing."

    def __init__(self, **facts: object) -> None:
        super().__init__(argument="versionId", **facts)


class InvalidKey(Fault):
    code = "InvalidURI"
    text = "Couldn't parse the specified URI."
    detail_text = "The object key {reason}."


class KeyTooLong(Fault):
    code = "KeyTooLongError"
    text = "Your key is too long"
    detail_text = "The object key has {size} bytes; at most {limit} are possible."


class BadDigest(Fault):
    code = "BadDigest"
    text = "The {algorithm} you specified did not match the calculated checksum."
    detail_text = "It is {found}, the request says {stated}. Send the body again."


class ContentMd5Mismatch(BadDigest):
    text = "The Content-MD5 you specified did not match what we received."
    detail_text = "The MD5 is {found}, the request says {stated}. Send the body again."


class InvalidDigest(Fault):
    code = "InvalidDigest"
    text = "The Content-MD5 you specified was invalid."
    detail_text = "It is not the base64 form of 16 bytes."


class ChecksumUnknown(Fault):
    code = "InvalidRequest"
    text = (
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types:"
        " [{known}]"
    )
    detail_text = "There is no {algorithm}."


class ChecksumTypeUnfit(Fault):
    code = "InvalidRequest"
    text = "The {kind} checksum type cannot be used with the {algorithm} checksum algorithm."


class ChecksumHeaderUnknown(Fault):
    code = "InvalidRequest"
    text = "The algorithm type you specified in x-amz-checksum- header is invalid."
    detail_text = "It is {name}. Use one of {known}."


class ChecksumHeaderInvalid(Fault):
    code = "InvalidRequest"
    text = "Value for {name} header is invalid."
    detail_text = "{reason}"


class ChecksumTrailerInvalid(ChecksumHeaderInvalid):
    text = "Value for {name} trailing header is invalid."


class ChecksumMissing(Fault):
    code = "InvalidRequest"
    text = (
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or"
        " x-amz-trailer headers were found."
    )


class ChecksumsSeveral(Fault):
    code = "InvalidRequest"
    text = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."


class TrailerUnsupported(Fault):
    code = "InvalidRequest"
    text = "The value specified in the x-amz-trailer header is not supported"
    detail_text = "{reason}"


class MalformedChecksum(Fault):
    code = "BadDigest"
    text = "The {algorithm} you specified did not match the calculated checksum."
    detail_text = "It is {reason}."


class ChecksumMismatch(Fault):
    code = "InvalidRequest"
    text = (
        "Checksum Type mismatch occurred, expected checksum Type: {expected},"
        " actual checksum Type: {found}"
    )


class IncompleteBody(Fault):
    code = "IncompleteBody"
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    detail_text = "The body has {found} bytes, the request says {stated}. Send it again."


class EntityTooLarge(Fault):
    code = "EntityTooLarge"
    text = "Your proposed upload exceeds the maximum allowed size"
    detail_text = "The limit is {limit} bytes. Send it in parts (multipart upload)."


class CopiedPartTooLarge(Fault):
    code = "InvalidRequest"
    text = (
        "The specified copy source is larger than the maximum allowable size for a copy source:"
        " {limit}"
    )
    detail_text = "Copy it by ranges, in parts."


class JoinedTooLarge(Fault):
    code = "EntityTooLarge"
    text = "Your proposed upload exceeds the maximum allowed object size."
    detail_text = (
        "The parts have {size} bytes together, an object has at most {limit}. Name fewer parts."
    )


class EntityTooSmall(Fault):
    code = "EntityTooSmall"
    text = "Your proposed upload is smaller than the minimum allowed size"
    detail_text = "Part {number} has {size} bytes; every part but the last needs at least {limit}."


class NoSuchUpload(Fault):
    code = "NoSuchUpload"
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may"
        " have been aborted or completed."
    )
    detail_text = "There is no upload {upload_id}."


class InvalidPart(Fault):
    code = "InvalidPart"
    text = (
        "One or more of the specified parts could not be found.  The part may not have been"
        " uploaded, or the specified entity tag may not match the part's entity tag."
    )
    detail_text = "Part {number} was not uploaded, or its ETag or checksum is not the one you name."


class InvalidPartNumber(Fault):
    code = "InvalidArgument"
    text = "Part number must be an integer between 1 and {limit}, inclusive"
    detail_text = "It is {number}."


class InvalidPartOrder(Fault):
    code = "InvalidPartOrder"
    text = "The list of parts was not in ascending order. Parts must be ordered by part number."
    detail_text = "{number} follows {previous}."


class MalformedPartList(Fault):
    code = "MalformedXML"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    detail_text = "The list of parts is empty. Name at least one part."


class InvalidObjectSize(Fault):
    code = "InvalidRequest"
    text = (
        "The provided 'x-amz-mp-object-size' header value {stated} does not match what was"
        " computed: {found}"
    )


class PreconditionFailed(Fault):
    code = "PreconditionFailed"
    text = "At least one of the pre-conditions you specified did not hold"
    detail_text = "It is {condition}."


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


class FileSystemUnfit(Fault):
    code = "ConfigError"
    text = (
        "The file system of {folder} does not {what}: {reason}. Buckets would lose objects there:"
        " set [buckets] path to another one; docs/scaling.md says which will do."
    )
    exit_status = 78


class PartNumberBeyond(Fault):
    code = "InvalidPart"
    text = "The requested partnumber is not satisfiable"
    detail_text = "The object has {parts} parts, there is no part {number}."


class InvalidStorageClass(Fault):
    code = "InvalidStorageClass"
    text = "The storage class you specified is not valid"
    detail_text = "The storage class {value} is unknown. Use STANDARD."


class PreflightInvalid(Fault):
    code, text = "BadRequest", "{reason}"


class CrossOriginRefused(Fault):
    code, text = "AccessForbidden", "CORSResponse: {reason}"


class InvalidRedirectLocation(Fault):
    code = "InvalidRedirectLocation"
    text = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
    detail_text = "It has {limit} characters at most."


class InvalidObjectState(Fault):
    code = "InvalidObjectState"
    text = "The operation is not valid for the object's storage class"
    detail_text = (
        "The object {key} has the storage class {StorageClass}, from which nothing is restored."
    )


class NoSuchTorrent(Fault):
    code = "NoSuchKey"
    text = "The specified key does not exist."
    detail_text = (
        "There is no torrent of the key {key} in the bucket {bucket}. Get the object itself."
    )


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


class RequestHeaderSectionTooLarge(Fault):
    code = "RequestHeaderSectionTooLarge"
    text = (
        "Your request header section exceeds the maximum allowed request header section size."
        " Its path and its query have {size} bytes, of {MaxSizeAllowed} at most."
    )
