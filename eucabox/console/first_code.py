"""The code for the administrator's first password: in a file that the host's owner reads, once."""

import hmac
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from eucabox.atomic_files import write_atomic
from eucabox.config import Config
from eucabox.iam.accounts import ADMINISTRATOR

if TYPE_CHECKING:
    from eucabox.cloud import Cloud
    from eucabox.state import State

log = logging.getLogger("eucabox.console")
FILE = "first-code"  # in the data directory
LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # none that looks like another
GROUPS, IN_A_GROUP = 4, 4  # 78 bits


def get_file(config: Config) -> Path:
    """Return where the code is."""
    return config.cloud.data_dir / FILE


def is_awaited(cloud: "Cloud") -> bool:
    """Whether the administrator has no password yet, and the code waits for its one use."""
    return _lacks_password(cloud.state) and get_file(cloud.config).exists()


def prepare(cloud: "Cloud") -> Path | None:
    """Make a new code where the administrator has no password, as each start does; return its
    file, or None where none is needed, and then take an old one away."""
    file = get_file(cloud.config)
    if not _lacks_password(cloud.state):
        file.unlink(missing_ok=True)
        return None
    groups = ["".join(secrets.choice(LETTERS) for _ in range(IN_A_GROUP)) for _ in range(GROUPS)]
    write_atomic(file, ("-".join(groups) + "\n").encode(), 0o600)
    return file


def announce(cloud: "Cloud") -> None:
    """Make the code where it is needed, and log where it is, never the code itself."""
    file = prepare(cloud)
    if file:
        url = cloud.config.console.url
        log.info("the administrator has no password: the code for %s/first-run is in %s", url, file)


def is_right(cloud: "Cloud", given: str) -> bool:
    """Whether this is the code, in letters of any size, with or without the hyphens."""
    try:
        code = get_file(cloud.config).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return hmac.compare_digest(_normalize(given), _normalize(code))


def _normalize(code: str) -> bytes:
    return "".join(code.split()).replace("-", "").upper().encode()


def _lacks_password(state: "State") -> bool:
    sql = """select password from users join accounts using (account_id)
      where account_name = ? and user_name = ?"""
    row = state.one(sql, ADMINISTRATOR)
    return row is not None and not row["password"]
