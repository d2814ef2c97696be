"""The line that logs in to an instance; every part of it can be pasted into a shell."""

import re
import shlex
from collections.abc import Sequence

from eucabox.console.compute import ListedLine, ShownTag

USER_TAG = "ssh-user"
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
UNSAFE = re.compile(r"[^A-Za-z0-9._@+-]+", re.ASCII)
MOST_NAME = 100


def name_key_file(key_name: str) -> str:
    """Return the name of the file that a key pair's private key is kept in."""
    return f"{UNSAFE.sub('_', key_name)[:MOST_NAME].lstrip('.-') or 'key'}.pem"


def write_ssh_line(instance: ListedLine) -> str:
    """Return the line for a running instance with an address; "" for another.

    The user is root, or what the instance's tag `ssh-user` says.
    """
    address = instance["public_ip_address"] or instance["private_ip_address"]
    if instance["state"]["name"] != "running" or not address:
        return ""
    key_name = instance["key_name"]
    key = ["-i", name_key_file(key_name)] if key_name else []
    return shlex.join(["ssh", *key, f"{_find_user(instance['tags'])}@{address}"])


def _find_user(tags: Sequence[ShownTag]) -> str:
    wanted = next((each["value"] for each in tags if each["key"] == USER_TAG), "")
    return wanted if USER.fullmatch(wanted) else "root"
