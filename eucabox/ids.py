"""Names of things and moments in time: makes and reads them, never looks one up."""

import random
import secrets
import string
import uuid
import zlib
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

SHORT = frozenset({"emi", "eki", "eri"})  # Eucalyptus clients print these in a narrow column
ACCESS_KEY_ALPHABET = string.ascii_uppercase + "234567"
SECRET_ALPHABET = string.ascii_letters + string.digits + "+/"


def new(prefix: str) -> str:
    """Return a new id: 8 hex digits behind an image's prefix, 17 behind any other."""
    digits = 8 if prefix in SHORT else 17
    return f"{prefix}-{secrets.token_hex(9)[:digits]}"


def account_id() -> str:
    """Return a new 12-digit account number; the first digit is never 0, so no tool drops it."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def canonical_id() -> str:
    """Return a new S3 canonical user id: 64 hex digits."""
    return secrets.token_hex(32)


def access_key_id() -> str:
    """Return a new access key id: AKIA and 16 letters or digits."""
    return "AKIA" + _pick(ACCESS_KEY_ALPHABET, 16)


def secret_key() -> str:
    """Return a new secret access key of 40 characters."""
    return _pick(SECRET_ALPHABET, 40)


def temporary_access_key_id() -> str:
    """Return a new access key id of temporary credentials: ASIA and 16 letters or digits."""
    return "ASIA" + _pick(ACCESS_KEY_ALPHABET, 16)


def user_id() -> str:
    """Return a new IAM user id: AIDA and 16 letters or digits."""
    return "AIDA" + _pick(ACCESS_KEY_ALPHABET, 16)


def group_id() -> str:
    """Return a new IAM group id: AGPA and 16 letters or digits."""
    return "AGPA" + _pick(ACCESS_KEY_ALPHABET, 16)


def role_id() -> str:
    """Return a new IAM role id: AROA and 16 letters or digits."""
    return "AROA" + _pick(ACCESS_KEY_ALPHABET, 16)


def instance_profile_id() -> str:
    """Return a new id of an instance profile: AIPA and 16 letters or digits."""
    return "AIPA" + _pick(ACCESS_KEY_ALPHABET, 16)


def policy_id() -> str:
    """Return a new id of a managed policy: ANPA and 16 letters or digits."""
    return "ANPA" + _pick(ACCESS_KEY_ALPHABET, 16)


def certificate_id() -> str:
    """Return a new signing certificate id of 24 capital letters and digits."""
    return _pick(ACCESS_KEY_ALPHABET, 24)


def request_id() -> str:
    """Return a new request id."""
    # A version 4 UUID, in a tenth of the time of Python's; nobody need be unable to guess it.
    digits = f"{random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def domain_uuid() -> str:
    """Return a new domain UUID that begins `ec2`, which is how cloud-init knows EC2."""
    return str(uuid.UUID("ec2" + secrets.token_hex(15)[:29]))


def tap_prefix(bridge: str) -> str:
    """Return how the names of all taps on a bridge begin, and of no other bridge of the host."""
    return f"eu{zlib.crc32(bridge.encode()) & 0xFFFF:04x}"


def tap(instance_id: str, bridge: str) -> str:
    """Return the name of an instance's device on the host, which has 15 characters at most."""
    return tap_prefix(bridge) + instance_id.removeprefix("i-")[:9]


def now() -> str:
    """Return this moment as the database writes it: ISO 8601, UTC, milliseconds."""
    return time_text(datetime.now(UTC))


def time_text(moment: datetime) -> str:
    """Write an aware datetime as ISO 8601 UTC text with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(moment: datetime) -> str:
    """Write an aware datetime as HTTP does: `Mon, 23 Nov 2026 01:02:03 GMT`."""
    return _http_date(moment.astimezone(UTC).replace(microsecond=0))


@lru_cache(1024)  # few objects are read often
def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@lru_cache(256)  # a row's time is shown in several places
def parse_time(text: str) -> datetime:
    """Read what `time_text` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _pick(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
