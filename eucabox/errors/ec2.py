"""Faults of EC2's verbs and of images."""

from eucabox.errors.fault import Fault


class InvalidNextToken(Fault):
    code = "InvalidNextToken"
    text = "The NextToken is not one that this cloud gave out. Begin again without it."


class FilterLimitExceeded(Fault):
    code = "FilterLimitExceeded"
    text = "A request takes at most {most}; {count} were sent."


class InstanceNotFound(Fault):
    code, text = "InvalidInstanceID.NotFound", "The instance ID '{id}' does not exist."


class InstanceIdMalformed(Fault):
    code = "InvalidInstanceID.Malformed"
    text = "Invalid instance ID '{id}'. An instance ID is i- and 17 digits of 0-9a-f."


class IncorrectInstanceState(Fault):
    code = "IncorrectInstanceState"
    text = "The instance '{id}' is {state}; {action} needs an instance that is {needed}."


class NotStoppable(Fault):
    code = "UnsupportedOperation"
    text = (
        "The instance '{id}' has its root device in the instance store and can't be stopped."
        " Terminate it, or let the administrator set stop_keeps_disk = yes in [node]."
    )


class StopProtected(Fault):
    code = "OperationNotPermitted"
    text = (
        "The instance '{id}' may not be stopped. Set its disableApiStop attribute to false by"
        " ModifyInstanceAttribute and try again."
    )


class InsufficientCapacityToStart(Fault):
    code = "InsufficientInstanceCapacity"
    text = "There is no room to start the instance '{id}' of type {type}. Stop or end another."


class DiskGone(Fault):
    code, text = "InternalError", "The disk of the stopped instance {id} is not there any more."


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


class ImageNotYours(Fault):
    code = "AuthFailure"
    text = "Not authorized for image:{id}. You may launch it, and only its owner may change it."


class ImageNameMalformed(Fault):
    code = "InvalidAMIName.Malformed"
    text = (
        "The AMI name '{name}' is malformed. AMI names must be between 3 and 128 characters long,"
        " and may contain letters, numbers, spaces and ( ) [ ] . / - ' @ _"
    )


class ImageNameExists(Fault):
    code = "InvalidAMIName.Duplicate"
    text = "AMI name {name} is already in use by AMI {id}. Deregister that, or choose another name."


class ImageUnavailable(Fault):
    code, text = "InvalidAMIID.Unavailable", "The image '{id}' can't be used: {reason}"


class ImageAttributeItemInvalid(Fault):
    code = "InvalidAMIAttributeItemValue"
    text = "Invalid attribute item value '{item}' for {kind} item type. {known}"


class InsufficientInstanceCapacity(Fault):
    code = "InsufficientInstanceCapacity"
    text = (
        "There is room for {free} more instances of type {type}, and {asked} were asked for."
        " Terminate an instance or choose a smaller type."
    )


class InstanceLimitExceeded(Fault):
    code = "InstanceLimitExceeded"
    text = (
        "Your account may run {most} instances at a time, runs {used}, and {asked} more were asked"
        " for. Terminate one, or ask the administrator for more."
    )


class VcpuLimitExceeded(Fault):
    code = "VcpuLimitExceeded"
    text = (
        "Your account may use {most} vCPUs at a time, uses {used}, and {asked} more were asked"
        " for. Terminate an instance, or ask the administrator for more."
    )


class ImageLimitExceeded(Fault):
    code = "ResourceLimitExceeded"
    text = "Your account may have {most} images. Deregister one, or ask the administrator for more."


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
    text = (
        "The key is not usable: {reason} Give a public key of OpenSSH,"
        " RFC 4716 or PEM, RSA or ED25519."
    )


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


class TagKeyNotForMetadata(Fault):
    code = "InvalidParameterValue"
    text = (
        r"'{key}' is not a valid tag key. Tag keys must match pattern"
        r" ([0-9a-zA-Z\-_+=,.@:]{{1,255}}), and must not be a reserved name ('.', '..', '_index')."
        " Rename the tag, or leave InstanceMetadataTags disabled."
    )


class InvalidId(Fault):
    code, text = "InvalidID", "The ID '{id}' is not the ID of a resource that can have tags."


class VpcNotFound(Fault):
    code, text = "InvalidVpcID.NotFound", "The VPC ID '{id}' does not exist."


class SubnetNotFound(Fault):
    code, text = "InvalidSubnetID.NotFound", "The subnet ID '{id}' does not exist."


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


class StorageNotPermitted(Fault):
    code = "InvalidRequest"
    text = "You do not have permission to access the storage of this ami. {reason}"


class DiskTooSmall(Fault):
    code = "InternalError"
    text = (
        "The image {name} takes {size} bytes and the disk of this cloud's images has {free} free."
        " Ask the administrator to make room."
    )


class PolicyNotSigned(Fault):
    code = "AuthFailure"
    text = (
        "The UploadPolicySignature is not the UploadPolicy's. Sign its base64 by HMAC-SHA1 with"
        " the secret key of the AWSAccessKeyId."
    )


class BundleNotFound(Fault):
    code, text = "InvalidBundleID.NotFound", "The bundle ID '{id}' does not exist."


class BundlingInProgress(Fault):
    code = "BundlingInProgress"
    text = "The instance '{id}' is being bundled already{task}. Wait until that has ended{cancel}."


class BundleNotCancellable(Fault):
    code, text = "IncorrectState", "The bundle task '{id}' is {state} and can't be cancelled."


class BundleCancelled(Fault):
    code, text = "Client.Cancelled", "The bundle task {id} was cancelled by the user."


class InstanceGone(Fault):
    code = "Client.InstanceTerminated"
    text = "The instance {id} is {state}, so nothing can be made of it."


class SnapshotFailed(Fault):
    code, text = "Server.InternalError", "The disk can't be copied: {reason}."


class ExportFailed(Fault):
    code, text = "Server.InternalError", "The export failed: {reason}."


class ExportNotFound(Fault):
    code = "InvalidParameterValue"
    text = (
        "There is no export {id}: it is over, or eucabox was started again meanwhile. Begin it"
        " once more."
    )


class NotExportable(Fault):
    code, text = "IncorrectState", "{id} can't be exported: {reason}"


class TooManyExports(Fault):
    code = "RequestLimitExceeded"
    text = "{count} exports wait already. Try again once some of them are over."


class BundleFailed(Fault):
    code, text = "InvalidParameterValue", "{name} cannot be bundled: {reason}"


class GuestNotBuilt(Fault):
    code, text = "InternalError", "The guest cannot be built: {reason}"


class FirmwareMissing(Fault):
    code = "InternalError"
    text = (
        "The image boots by UEFI and this host has no UEFI firmware for guests. Ask the"
        " administrator to install it (on Debian the package {package})."
    )


class ArchitectureMismatch(Fault):
    code = "InvalidParameterValue"
    text = (
        "The architecture '{of_type}' of the specified instance type does not match the"
        " architecture '{of_image}' of the specified AMI. Specify an instance type and an AMI that"
        " have matching architectures, and try again. Instances here have this host's architecture."
    )


class SettingUnavailable(Fault):
    code = "UnsupportedOperation"
    text = (
        "The image's setting {setting} is not available under {hypervisor}. Change it with"
        " ModifyImageAttribute and launch again."
    )


class InvalidInstanceProfile(Fault):
    code = "InvalidParameterValue"
    text = (
        "Value ({value}) for parameter iamInstanceProfile.{member} is invalid. Invalid IAM Instance"
        " Profile {noun}"
    )


class InstanceProfileWithoutRole(Fault):
    code = "InvalidParameterValue"
    text = 'IAM Instance Profile "{arn}" has no associated IAM Roles'


class InstanceHasProfile(Fault):
    code, text = "IncorrectState", "There is an existing association for instance {id}"


class AssociationNotFound(Fault):
    code, text = "NoSuchAssociation", "An invalid association-id of '{id}' was given"
