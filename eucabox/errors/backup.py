"""Faults of a backup and of its restore: what is wrong with the file or the folder."""

from eucabox.errors.common import ConfigError
from eucabox.errors.fault import Fault


class BackupExists(Fault):
    text = "{file} is there already and stays as it is. Name another file, or remove it first."


class BackupInUse(Fault):
    text = "Another command is writing {file}. Wait for its end, or name another file."


class BackupInsideData(Fault):
    text = (
        "{file} would lie in {folder}, which the backup is of: it would be lost with it. Name a"
        " file on another disk."
    )


class BackupNotWritten(Fault):
    text = (
        "{file} could not be written: {reason}. Make room or mend the disk, and type the same"
        " command again: it goes on where it stopped."
    )


class BackupNotResumed(Fault):
    text = (
        "{file} can't go on: {reason}. Type the command as it was begun, or have --anew begin from"
        " the start."
    )


class NoPassphrase(Fault):
    text = "A backup needs a passphrase: {reason}."


class NotABackup(Fault):
    text = "{file} is not a backup of eucabox that this version can read: {reason}."


class WrongPassphrase(Fault):
    text = "The passphrase does not open {file}."


class BackupDamaged(Fault):
    text = "{file} is damaged at byte {offset}, {place}: {reason}. Take another backup."


class BackupTooNew(Fault):
    text = (
        "{file} was made by eucabox {program} (schema {schema}), and this is eucabox {this}, that"
        " knows schemas up to {known}. Install eucabox {program} or later, and restore again."
    )


class SourceChanged(Fault):
    text = (
        "{what} was changed by hand, or by another program, while it was read. Let nobody write"
        " there, and type the same command again: it goes on where it stopped."
    )


class RestoreNotWritten(Fault):
    text = (
        "{folder} could not be filled: {reason}. Make room or mend the disk, and type the same"
        " command again: it begins anew."
    )


class FolderNotEmpty(Fault):
    text = (
        "{folder} is not empty: it holds {name}. A restore needs an empty folder. Stop eucabox,"
        " then move what is in it elsewhere, or set {setting} to another folder."
    )


class FolderMissing(Fault):
    text = (
        "{folder} is not there, and the service's user has to own it. Type: install -d -o eucabox"
        " -g eucabox -m 0751 {folder}"
    )


class RestoreUnfinished(ConfigError):
    text = (
        "{folder} holds a restore that was not finished. Type `eucabox restore FILE` again, which"
        " begins anew; or empty the folder."
    )


class OtherBucketFolder(Fault):
    text = (
        "The restore that was not finished put its buckets into {before}, and [buckets] path is"
        " {now}. Set it as it was, or empty {folder} and {before}."
    )
