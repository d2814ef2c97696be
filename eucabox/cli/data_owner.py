"""Whose data a command works on: no command of root's leaves a file of root's in another's data."""

import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eucabox.config import Config
from eucabox.errors import DataOfAnotherUser
from eucabox.run import replace

UNITS = tuple(
    Path(folder, "eucabox.service")
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
)
# -P: Python imports nothing from the current folder, which may belong to any user.
COMMAND = ("-P", "-m", "eucabox")
# The same as the service's, so that a command can remove its network.
CAPABILITIES = "-all,+net_admin,+net_raw,+net_bind_service"


def refuse_for_root(config: Config) -> None:
    """Raise DataOfAnotherUser, which names the right command, if root would serve a user's data."""
    owner = _find_other_owner(config)
    if owner:
        folder = config.cloud.data_dir
        command = "systemctl start eucabox" if is_unit_installed() else f"chown -R root {folder}"
        raise DataOfAnotherUser(folder=folder, owner=owner.pw_name, command=command)


def become_owner(config: Config) -> None:
    """Run this command again as the owner of the data, if root typed it and the owner is not root.

    It has the service's capabilities and groups, and no more.
    """
    owner = _find_other_owner(config)
    if owner:
        sets = (f"--{kind}={CAPABILITIES}" for kind in ("inh-caps", "ambient-caps"))
        user = (f"--reuid={owner.pw_name}", f"--regid={owner.pw_gid}", "--init-groups")
        bounds = f"--bounding-set={CAPABILITIES}"
        command = (sys.executable, *COMMAND, *sys.argv[1:])
        replace("setpriv", *user, *sets, bounds, "--no-new-privs", *command)


@contextmanager
def act_as_owner(config: Config) -> Iterator[None]:
    """Have the rights of the data's owner within the block, if this process is root.

    A link that the owner put there leads root to no file that the owner may not open.
    """
    owner = _find_other_owner(config)
    if owner is None:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups(os.getgrouplist(owner.pw_name, owner.pw_gid))
    os.setegid(owner.pw_gid)
    os.seteuid(owner.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def give_to_caller(folder: Path, files: Iterable[str]) -> None:
    """Give files that sudo wrote to the user who typed the command, if that user owns their folder
    or the one above it."""
    caller = _find_caller()
    place = folder.resolve()
    if not caller or caller[0] not in (place.stat().st_uid, place.parent.stat().st_uid):
        return
    written = [place / each for each in files]
    for path in dict.fromkeys([place, *(each.parent for each in written), *written]):
        os.chown(path, *caller, follow_symlinks=False)


def give_file_to_caller(file: Path) -> None:
    """Give a file that sudo wrote to the user who typed the command, if that user owns its folder.

    The folder is held open: another that is put in its place gets nothing.
    """
    caller = _find_caller()
    if not caller:
        return
    folder = os.open(file.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        if os.fstat(folder).st_uid == caller[0]:
            os.chown(file.name, *caller, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(folder)


def _find_caller() -> tuple[int, int] | None:
    """Return user and group of who typed the command that sudo runs as root, or None."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not (uid.isdigit() and gid.isdigit()):
        return None
    return int(uid), int(gid)


def is_unit_installed() -> bool:
    """Tell whether systemd runs here and has eucabox's unit."""
    return Path("/run/systemd/system").is_dir() and any(each.exists() for each in UNITS)


def _find_other_owner(config: Config) -> pwd.struct_passwd | None:
    """Return the owner of the data directory if this process is root and the owner is not.

    Raises DataOfAnotherUser for an owner that this host has no user of.
    """
    folder = config.cloud.data_dir
    if os.geteuid() != 0 or not folder.exists():
        return None
    uid = folder.stat().st_uid
    try:
        return pwd.getpwuid(uid) if uid else None
    except KeyError:  # such as a user who was deleted
        user = "eucabox:eucabox" if is_unit_installed() else "root"
        command = f"chown -R {user} {folder}"
        owner = f"{uid}, whom this host does not know"
        raise DataOfAnotherUser(folder=folder, owner=owner, command=command) from None
