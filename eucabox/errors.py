"""Every fault a caller can meet, as an AWS code and a text; never an HTTP status or an envelope."""

from typing import Any, ClassVar


class Fault(Exception):
    """A fault with the caller's own facts in it.

    `code` is the AWS error code; `text` a format string over the keyword facts; `facts` keeps
    them for protocols that answer with extra elements. Messages are pure ASCII.
    """

    code: ClassVar[str] = "InternalError"
    text: ClassVar[str] = "An internal error has occurred. The log has the cause."

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.message = self._say(facts)
        super().__init__(self.message)

    def _say(self, facts: dict[str, Any]) -> str:
        said = self.text.format(**facts)
        return said.encode("ascii", "backslashreplace").decode("ascii")


# --- the door: any service ---------------------------------------------------------------------


class InvalidAction(Fault):
    code, text = "InvalidAction", "The action {action} is not valid for this web service."


class UnsupportedOperation(Fault):
    code, text = "UnsupportedOperation", "{what}"


class UnsupportedParameter(Fault):
    code = "UnsupportedOperation"
    text = "The parameter {parameter} of {action} is not supported by this cloud; leave it out."


class MissingParameter(Fault):
    code = "MissingParameter"
    text = "The request must contain the parameter {parameter}."


class UnknownParameter(Fault):
    code, text = "UnknownParameter", "The parameter {parameter} is not recognized."


class MalformedQueryString(Fault):
    code, text = "MalformedQueryString", "The request can't be read: {reason}"


class FormTooLarge(Fault):
    code = "RequestEntityTooLarge"
    text = "The parameters of this request are larger than {limit} {unit}. Send fewer at a time."


class UnknownApiVersion(Fault):
    code = "NoSuchVersion"
    text = "The requested version ({version}) of this service does not exist. It is a date."


class InvalidParameterValue(Fault):
    code = "InvalidParameterValue"
    text = "Value ({value}) for parameter {parameter} is invalid. {reason}"


class InvalidParameterCombination(Fault):
    code, text = "InvalidParameterCombination", "{reason}"


class UnauthorizedOperation(Fault):
    code = "UnauthorizedOperation"
    text = "You are not authorized to perform this operation: {reason}"


class DryRunOperation(Fault):
    code = "DryRunOperation"
    text = "Request would have succeeded, but DryRun flag is set."


class MissingAuthenticationToken(Fault):
    code = "MissingAuthenticationToken"
    text = "The request is not signed. Sign {action} with an access key of this cloud."


class ReplayedRequest(Fault):
    code = "AuthFailure"
    text = (
        "This signed {action} request was carried out before and is not carried out again."
        " Sign a new request."
    )


class ServiceUnavailable(Fault):
    code, text = "ServiceUnavailable", "{reason}"


# --- the machine -------------------------------------------------------------------------------


class ProgramFailed(Fault):
    code, text = "InternalError", "{program} failed with status {status}: {reason}"


class ProgramMissing(Fault):
    code = "InternalError"
    text = "The program {program} is not installed. Install the package {package}."


class ConfigError(Fault):
    code, text = "ConfigError", "{file}: [{section}] {key}: {reason}"


class ListenFailed(Fault):
    code = "ConfigError"
    text = "Can't listen on {address} port {port}: {reason}. Set [{section}] {key} in {file}."


class DataFolderInUse(Fault):
    code = "ConfigError"
    text = "{folder} is in use by process {pid}: stop that eucabox, or set [cloud] data_dir."


class DataFolderUnusable(Fault):
    code = "ConfigError"
    text = "{folder}: {reason}. Run as root, or set [cloud] data_dir to a folder of yours."


class NotSetUp(Fault):
    code = "ConfigError"
    text = "{folder} holds no cloud yet: start `eucabox serve` once, or set [cloud] data_dir."


class StateTooNew(Fault):
    code = "ConfigError"
    text = "{file} was written by a newer eucabox (schema {found}, this one knows {known})."


class LibvirtUnreachable(Fault):
    code = "InternalError"
    text = "libvirt at {uri} can't be reached: {reason}. Start libvirtd, or set [node] libvirt_uri."


class DomainFailed(Fault):
    code, text = "InternalError", "libvirt could not {action} {id}: {reason}"


class DomainNotOurs(Fault):
    code = "InternalError"
    text = "libvirt has a domain {id} that is not of this cloud; it is left alone."


class HypervisorUnusable(Fault):
    code, text = "InternalError", "The hypervisor {name} can't be used: {reason}."


class ConsoleUnreadable(Fault):
    code = "InternalError"
    text = "The console file of {id} can't be read: {reason}. Run eucabox as root."


class LaunchCancelled(Fault):
    code, text = "InternalError", "The launch of {id} was cancelled."


# --- accounts ----------------------------------------------------------------------------------


class NoSuchUser(Fault):
    code, text = "NoSuchEntity", "The user {name} does not exist. {known}"


class UserExists(Fault):
    code, text = "EntityAlreadyExists", "The user {name} exists already."


class NoActiveCredential(Fault):
    code, text = "NoSuchEntity", "The user {name} has no active row in {what}."


class KeyFileUnusable(Fault):
    code = "ConfigError"
    text = "{file}: {reason}"


# --- EC2 ---------------------------------------------------------------------------------------


class InvalidNextToken(Fault):
    code = "InvalidNextToken"
    text = "The NextToken is not one that this cloud gave out. Begin again without it."


class InstanceNotFound(Fault):
    code, text = "InvalidInstanceID.NotFound", "The instance ID '{id}' does not exist."


class InstanceIdMalformed(Fault):
    code = "InvalidInstanceID.Malformed"
    text = "Invalid instance ID '{id}'. An instance ID is i- and 17 digits of 0-9a-f."


class IncorrectInstanceState(Fault):
    code = "IncorrectInstanceState"
    text = "The instance '{id}' is {state}; {action} needs an instance that is {needed}."


class TerminationProtected(Fault):
    code = "OperationNotPermitted"
    text = (
        "The instance '{id}' may not be terminated. Set its disableApiTermination attribute to"
        " false by ModifyInstanceAttribute and try again."
    )


class ImageNotFound(Fault):
    code, text = "InvalidAMIID.NotFound", "The image ID '{id}' does not exist."


class ImageIdMalformed(Fault):
    code = "InvalidAMIID.Malformed"
    text = "Invalid image ID '{id}'. An image ID is emi-, eki- or eri- and 8 digits of 0-9a-f."


class ImageUnavailable(Fault):
    code, text = "InvalidAMIID.Unavailable", "The image '{id}' can't be used: {reason}"


class InsufficientInstanceCapacity(Fault):
    code = "InsufficientInstanceCapacity"
    text = (
        "There is room for {free} more instances of type {type}, and {asked} were asked for."
        " Terminate an instance or choose a smaller type."
    )


class IdempotentParameterMismatch(Fault):
    code = "IdempotentParameterMismatch"
    text = "The client token '{token}' was used within 24 hours with other parameters."


class IdempotentInstanceTerminated(Fault):
    code = "IdempotentInstanceTerminated"
    text = "The instances of the client token '{token}' are terminated and gone. Use a new token."


class UserDataMalformed(Fault):
    code, text = "InvalidUserData.Malformed", "The user data is not valid base64. Encode it."


class InvalidInstanceType(Fault):
    code = "InvalidInstanceType"
    text = "The instance type '{type}' does not exist. There are: {known}."


class KeyPairNotFound(Fault):
    code, text = "InvalidKeyPair.NotFound", "The key pair '{name}' does not exist."


class KeyPairExists(Fault):
    code, text = "InvalidKeyPair.Duplicate", "The key pair '{name}' already exists."


class InvalidKeyFormat(Fault):
    code = "InvalidKey.Format"
    text = "The key is not usable: {reason} Give an OpenSSH or PEM public key, RSA or ED25519."


class GroupNotFound(Fault):
    code, text = "InvalidGroup.NotFound", "The security group '{group}' does not exist."


class GroupIdMalformed(Fault):
    code = "InvalidGroupId.Malformed"
    text = "Invalid security group ID '{id}'. A security group ID is sg- and 17 digits of 0-9a-f."


class GroupExists(Fault):
    code, text = "InvalidGroup.Duplicate", "The security group '{name}' already exists."


class GroupReserved(Fault):
    code, text = "InvalidGroup.Reserved", "The security group name '{name}' is reserved."


class GroupInUse(Fault):
    code = "DependencyViolation"
    text = "The security group '{id}' is in use by {users}. Free it first."


class GroupNotDeletable(Fault):
    code, text = "CannotDelete", "The security group '{name}' can't be deleted by a user."


class SecurityGroupLimitExceeded(Fault):
    code, text = "SecurityGroupLimitExceeded", "An account has at most {most} security groups."


class RulesLimitExceeded(Fault):
    code = "RulesPerSecurityGroupLimitExceeded"
    text = "A security group has at most {most} rules."


class PermissionExists(Fault):
    code, text = "InvalidPermission.Duplicate", "The rule ({rule}) already exists in '{group}'."


class PermissionNotFound(Fault):
    code, text = "InvalidPermission.NotFound", "The rule ({rule}) does not exist in '{group}'."


class PermissionMalformed(Fault):
    code, text = "InvalidPermission.Malformed", "The rule is malformed: {reason}"


class GroupRuleNotFound(Fault):
    code = "InvalidSecurityGroupRuleId.NotFound"
    text = "The security group rule ID '{id}' does not exist."


class TagLimitExceeded(Fault):
    code, text = "TagLimitExceeded", "The resource '{id}' would have more than {most} tags."


class InvalidId(Fault):
    code, text = "InvalidID", "The ID '{id}' is not the ID of a resource that can have tags."


class VpcNotFound(Fault):
    code, text = "InvalidVpcID.NotFound", "The VPC ID '{id}' does not exist."


class SubnetNotFound(Fault):
    code, text = "InvalidSubnetID.NotFound", "The subnet ID '{id}' does not exist."


# --- S3 ----------------------------------------------------------------------------------------


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


class NoSuchVersion(Fault):
    code = "NoSuchVersion"
    text = "The version {version} does not exist. Buckets here keep one version, 'null'."


class NoSuchBucketPolicy(Fault):
    code, text = "NoSuchBucketPolicy", "The bucket {bucket} has no policy."


class NoSuchCORSConfiguration(Fault):
    code, text = "NoSuchCORSConfiguration", "The bucket {bucket} has no CORS configuration."


class NoSuchTagSet(Fault):
    code, text = "NoSuchTagSet", "The bucket {bucket} has no tags."


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


# --- signatures --------------------------------------------------------------------------------
# Facts with a capital letter are the extra elements of an S3 error answer.


class AccessKeyRefused(Fault):
    code, text = "AuthFailure", "The access key ID {AWSAccessKeyId} {reason}"


class ClientTokenRefused(Fault):
    code, text = "InvalidClientTokenId", "The access key ID {AWSAccessKeyId} {reason}"


class InvalidAccessKeyId(Fault):
    code, text = "InvalidAccessKeyId", "The access key ID {AWSAccessKeyId} {reason}"


class SignatureDoesNotMatch(Fault):
    code = "SignatureDoesNotMatch"
    text = (
        "The request signature we calculated does not match the signature you provided."
        " Check your secret access key and signing method.{detail}"
    )


class ChunkSignatureDoesNotMatch(Fault):
    code = "SignatureDoesNotMatch"
    text = "The signature of {part} of the body does not match: it was changed on its way."


class RequestExpired(Fault):
    code, text = "RequestExpired", "Request has expired. {reason}"


class RequestTimeTooSkewed(Fault):
    code, text = "RequestTimeTooSkewed", "The request time and this cloud's differ. {reason}"


class PresignedExpired(Fault):
    code, text = "AccessDenied", "Request has expired"


class SignatureRefused(Fault):
    code, text = "AccessDenied", "{reason}"


class IncompleteSignature(Fault):
    code, text = "IncompleteSignature", "{reason}"


class AuthorizationHeaderMalformed(Fault):
    code, text = "AuthorizationHeaderMalformed", "The authorization header is malformed; {reason}"


class AuthorizationQueryParametersError(Fault):
    code, text = "AuthorizationQueryParametersError", "{reason}"


class AuthorizationTypeUnsupported(Fault):
    code, text = "InvalidArgument", "Unsupported Authorization Type. {reason}"


class MissingSecurityHeader(Fault):
    code = "MissingSecurityHeader"
    text = "Your request is missing a required header: {MissingHeaderName}"


class InvalidToken(Fault):
    code = "InvalidToken"
    text = "The security token is not valid: sign with an access key of this cloud, without one."


class ContentHashMismatch(Fault):
    code = "XAmzContentSHA256Mismatch"
    text = "The provided x-amz-content-sha256 header does not match what was computed."


class ContentHashForm(Fault):
    code, text = "InvalidArgument", "{reason}"


class DecodedLengthMissing(Fault):
    code = "MissingContentLength"
    text = "A body in aws-chunked coding needs a number in the header x-amz-decoded-content-length."


class BodyBrokenOff(Fault):
    code, text = "IncompleteBody", "The body is not what its headers promise: {reason}"


class MalformedChunk(Fault):
    code, text = "InvalidRequest", "The aws-chunked body is not well-formed: {reason}"


class ChecksumTwice(Fault):
    code = "InvalidRequest"
    text = "Expecting a single x-amz-checksum- value: it is sent as a header and as a trailer."


class MalformedTrailer(Fault):
    code = "MalformedTrailerError"
    text = "The request contained trailing data that was not well-formed: {reason}"


# --- images ------------------------------------------------------------------------------------


class InvalidManifest(Fault):
    code, text = "InvalidManifest", "The manifest {name} cannot be used: {reason}"


class ImageTooLarge(Fault):
    code = "InvalidParameterCombination"
    text = (
        "The image {id} needs {needed} MiB of disk and the instance type {type} has {disk} MiB."
        " Use a larger instance type."
    )


class ImageLocationInvalid(Fault):
    code = "InvalidParameterValue"
    text = (
        "Value ({location}) for parameter ImageLocation is invalid. {reason}"
        " It is a bucket, a slash and the key of a manifest or of a disk."
    )


class DiskImageRefused(Fault):
    code, text = "InvalidParameterValue", "The disk image {name} is refused: {reason}"


class BundleFailed(Fault):
    code, text = "InvalidParameterValue", "{name} cannot be bundled: {reason}"


class GuestNotBuilt(Fault):
    code, text = "InternalError", "The tiny guest cannot be built: {reason}"


# --- buckets ------------------------------------------------------------------------------------


class NoSuchBucket(Fault):
    code, text = "NoSuchBucket", "The bucket {name} does not exist."


class BucketAlreadyExists(Fault):
    code = "BucketAlreadyExists"
    text = "The bucket {name} belongs to another account. Bucket names are shared: choose another."


class BucketAlreadyOwnedByYou(Fault):
    code, text = "BucketAlreadyOwnedByYou", "The bucket {name} exists already and is yours."


class BucketNotEmpty(Fault):
    code = "BucketNotEmpty"
    text = "The bucket {name} is not empty: {what} is in it. Delete its objects first."


class InvalidBucketName(Fault):
    code = "InvalidBucketName"
    text = (
        "The bucket name {name} is not valid: use 3 to 63 lower-case letters, digits, dots and"
        " hyphens, beginning and ending with a letter or digit."
    )


class NoSuchKey(Fault):
    code, text = "NoSuchKey", "The key {key} does not exist in the bucket {bucket}."


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


class IncompleteBody(Fault):
    code = "IncompleteBody"
    text = "The body has {found} bytes, but the request says {stated}. Send it again."


class EntityTooLarge(Fault):
    code = "EntityTooLarge"
    text = "The body is larger than {limit} bytes. Send it in parts (multipart upload)."


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


class StoreInUse(Fault):
    code = "ConfigError"
    text = "{folder} is in use by process {pid}: stop that eucabox, or set [buckets] path."


class PartNumberBeyond(Fault):
    code = "InvalidPartNumber"
    text = "The object has {parts} parts, there is no part {number}."


class InvalidStorageClass(Fault):
    code, text = "InvalidStorageClass", "The storage class {value} is unknown. Use STANDARD."


# --- network -----------------------------------------------------------------------------------


class InsufficientFreeAddresses(Fault):
    code = "InsufficientFreeAddressesInSubnet"
    text = (
        "All {count} addresses that this cloud has for instances are in use. Terminate an"
        " instance, or let the administrator give more in [network] subnet or addresses."
    )


class NetworkUnusable(Fault):
    code, text = "UnsupportedOperation", "{reason}"


# --- metadata ----------------------------------------------------------------------------------


class MetadataNotFound(Fault):
    code, text = "MetadataNotFound", "There is no metadata at {path}."


class MetadataUnauthorized(Fault):
    code = "MetadataUnauthorized"
    text = "{reason} Get a token by PUT /latest/api/token and send it with the request."


class MetadataForbidden(Fault):
    code, text = "MetadataForbidden", "{reason}"


class MetadataBadRequest(Fault):
    code, text = "MetadataBadRequest", "{reason}"


class MetadataMethodNotAllowed(Fault):
    code, text = "MetadataMethodNotAllowed", "{method} is not allowed on {path}."
