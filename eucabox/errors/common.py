"""Faults of the door, the machine, accounts, the network and the guests' metadata."""

import os

from eucabox.errors.fault import Fault


class InvalidAction(Fault):
    code, text = "InvalidAction", "The action {action} is not valid for this web service."


class UnsupportedOperation(Fault):
    code, text = "UnsupportedOperation", "{what}"


class ServiceNotServed(UnsupportedOperation):
    text = (
        "This cloud does not serve {name}. It has EC2, S3 and STS: point this client at the service"
        " itself, or do without."
    )


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


class ProgramFailed(Fault):
    code, text = "InternalError", "{program} failed with status {status}: {reason}"


class ProgramMissing(Fault):
    code = "InternalError"
    text = "The program {program} is not installed. Install the package {package}."


class ConfigError(Fault):
    """A wrong setting: another start fails too until the administrator has corrected it."""

    code, text = "ConfigError", "{file}: [{section}] {key}: {reason}"
    exit_status = os.EX_CONFIG


class ConfigUnreadable(ConfigError):
    text = "{file} can't be read as a configuration: {reason}."


class ListenFailed(Fault):
    code = "ConfigError"
    text = "Can't listen on {address} port {port}: {reason}. Set [{section}] {key} in {file}."


class DataFolderInUse(Fault):
    code = "ConfigError"
    text = "{folder} is in use by process {pid}: stop that eucabox, or set [cloud] data_dir."


class DataFolderUnusable(ConfigError):
    text = (
        "{folder}: {reason}. Run as {owner}, give the folder to the user that runs eucabox, or set"
        " [cloud] data_dir to a folder of yours."
    )


class FilesOfAnotherUser(ConfigError):
    text = (
        "{file} belongs to the user {owner}, and {folder} to {user}: a eucabox that ran as {owner},"
        " such as that of a clone, left its data there. End it if it runs; then type: sudo chown -R"
        " -h {user} {folder}"
    )


class DataOfAnotherUser(ConfigError):
    text = (
        "{folder} belongs to the user {owner}: with files of root in it that user's eucabox could"
        " not start any more. Type: {command}"
    )


class LogFileUnusable(ConfigError):
    text = "{file}: {reason}. Set [cloud] log_file to a file that eucabox may write."


class NotSetUp(Fault):
    code = "ConfigError"
    text = (
        "{folder} holds no cloud yet: start it once, by `systemctl start eucabox` or `eucabox"
        " serve`, or set [cloud] data_dir."
    )


class StateTooNew(ConfigError):
    text = (
        "{file} was written by eucabox {writer} (schema {schema}), and this is eucabox {this}, that"
        " knows schemas up to {known}. Install eucabox {writer} or later. Or remove {file},"
        " {file}-wal and {file}-shm and put {copy} in their place: what was changed since is lost."
    )


class StateTooOld(ConfigError):
    text = (
        "{file} is an older eucabox's (schema {schema}), and eucabox {this} works with schema"
        " {known}. Restart eucabox: its start makes a copy and brings the file up to date."
    )


class StateNotCopied(Fault):
    text = (
        "{file} has to be brought up to date, and could not be copied to {folder} first: {reason}."
        " Nothing was changed. Make room or mend the folder, and start eucabox again."
    )


class LibvirtUnreachable(Fault):
    code = "InternalError"
    text = "libvirt at {uri} can't be reached: {reason}. Start libvirtd, or set [node] libvirt_uri."


class DomainFailed(Fault):
    code, text = "InternalError", "libvirt could not {action} {id}: {reason}"


class DomainHung(Fault):
    code = "InternalError"
    text = (
        "The hypervisor's process of {id} does not answer libvirt: no end of '{action}' after"
        " {seconds:.0f} s. Reboot or terminate the instance; see `eucabox doctor` on the host."
    )


class DomainNotOurs(Fault):
    code = "InternalError"
    text = "libvirt has a domain {id} that is not of this cloud; it is left alone."


class HypervisorUnusable(Fault):
    code, text = "InternalError", "The hypervisor {name} can't be used: {reason}."


class ProgramUntrusted(Fault):
    code, text = "InternalError", "{file} is not run: {reason}."


class DomainXmlRefused(Fault):
    code = "InternalError"
    text = "The program {program} that [node] {key} names did not give usable domain XML: {reason}"


class HookRefused(Fault):
    code, text = "InternalError", "The hook {program} refused the launch at {event}: {reason}"


class ConsoleUnreadable(Fault):
    code = "InternalError"
    text = (
        "The console file of {id} can't be read: {reason}. Give it to the user that runs eucabox."
    )


class ScreenUnreadable(Fault):
    code, text = "UnsupportedOperation", "There is no picture of the screen of {id}: {reason}."


class ScreenUnavailable(Fault):
    code, text = "UnsupportedOperation", "The screen of {id} can't be shown: {reason}."


class ScreenMissing(Fault):
    code = "UnsupportedOperation"
    text = (
        "{id} has no screen to show: it does not run, or it was launched by an earlier eucabox."
        " Stop and start it, or launch another."
    )


class SerialConsoleUnavailable(Fault):
    code, text = "UnsupportedOperation", "{id} has no serial console to type at: {reason}."


class ScreensBusy(Fault):
    code = "RequestLimitExceeded"
    text = "{count} pictures of screens are being made, which is the limit. Try again in a moment."


class LaunchCancelled(Fault):
    code, text = "InternalError", "The launch of {id} was cancelled."


class NoSuchUser(Fault):
    code, text = "NoSuchEntity", "The user {name} does not exist. {known}"


class UserExists(Fault):
    code, text = "EntityAlreadyExists", "The user {name} exists already."


class EmailTaken(Fault):
    code, text = "EntityAlreadyExists", "The address {email} is the account {account}'s already."


class NoActiveCredential(Fault):
    code, text = "NoSuchEntity", "The user {name} has no active row in {what}."


class NoSigningCertificate(Fault):
    code = "NoSuchEntity"
    text = (
        "Nobody of the account {account} has an active signing certificate whose private key this"
        " cloud keeps. Make one by CreateSigningCertificate."
    )


class KeyFileUnusable(ConfigError):
    text = "{file}: {reason}"


class InsufficientFreeAddresses(Fault):
    code = "InsufficientFreeAddressesInSubnet"
    text = (
        "All {count} addresses that this cloud has for instances are in use. Terminate an"
        " instance, or let the administrator give more in [network] subnet or addresses."
    )


class NetworkUnusable(Fault):
    code, text = "UnsupportedOperation", "{reason}"


class InstanceRoleRefused(Fault):
    code = "AssumeRoleUnauthorizedAccess"
    text = (
        "EC2 cannot assume the role {name}. Its trust policy has to allow sts:AssumeRole to the"
        " service ec2.amazonaws.com."
    )


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
