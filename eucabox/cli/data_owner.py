"""Whose data a command works on: no command of root's leaves a file of root's in another's data."""

import os
import pwd
import sys
from pathlib import Path

from eucabox.config import Config
from eucabox.errors import DataOfAnotherUser
from eucabox.run import replace

UNITS = tuple(
    Path(folder, "eucabox.service")
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
)
# The same as the service's, so that a command can remove its network.
COMMAND = ("-m", "eucabox")
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


def give_to_caller(folder: Path) -> None:
    """Give what sudo wrote to the user who typed the command, if the parent folder is theirs."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdigit() and gid.isdigit():
        if folder.resolve().parent.stat().st_uid == int(uid):
            for path in (folder, *folder.rglob("*")):
                os.chown(path, int(uid), int(gid), follow_symlinks=False)


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
        command = f"chown -R root {folder}"
        raise DataOfAnotherUser(folder=folder, owner=uid, command=command) from None
