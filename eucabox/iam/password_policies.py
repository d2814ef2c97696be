"""What an account asks of its users' passwords, beside what this cloud asks of all; hashes none."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from eucabox import ids
from eucabox.errors import PasswordPolicyViolation
from eucabox.iam.constraints import check_number
from eucabox.iam.passwords import LONGEST
from eucabox.iam.rows import UserRow
from eucabox.state import State

LEAST_LENGTH, LONGEST_AGE = 6, 1095  # as the model has them; the age in days
MOST_FORBIDDEN = 24  # earlier passwords
SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")
VIOLATION = "Password should have"


@dataclass(frozen=True)
class PasswordPolicy:
    """An account's policy; the defaults are what a policy has that says nothing."""

    minimum_password_length: int = LEAST_LENGTH
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase_characters: bool = False
    require_lowercase_characters: bool = False
    allow_users_to_change_password: bool = False
    max_password_age: int = 0  # in days, 0 for no end
    hard_expiry: bool = False
    password_reuse_prevention: int = 0  # how many earlier passwords may not be used again

    def to_api(self) -> dict[str, object]:
        """Return the policy in the members of the API."""
        told = {**asdict(self), "expire_passwords": self.max_password_age > 0}
        for name in ("max_password_age", "password_reuse_prevention"):
            if not told[name]:
                del told[name]
        return told

    def check(self, password: str) -> None:
        """Raise PasswordPolicyViolation with all that a password lacks."""
        kinds = (
            (self.require_symbols, "a symbol", lambda each: each in SYMBOLS),
            (self.require_numbers, "a number", str.isdecimal),
            (self.require_uppercase_characters, "an uppercase letter", str.isupper),
            (self.require_lowercase_characters, "a lowercase letter", str.islower),
        )
        lacks = [what for wanted, what, fits in kinds if wanted and not any(map(fits, password))]
        if len(password) < self.minimum_password_length:
            lacks.insert(0, f"a minimum length of {self.minimum_password_length}")
        if lacks:
            reason = f"{VIOLATION} {', '.join(lacks)}: the account's policy wants it."
            raise PasswordPolicyViolation(reason=reason)


def read_policy(state: State, account_id: str) -> PasswordPolicy | None:
    """Return an account's policy, or None."""
    row = state.one("select password_policy from accounts where account_id = ?", (account_id,))
    stored = row["password_policy"] if row else ""
    return PasswordPolicy(**json.loads(stored)) if stored else None


def save_policy(state: State, account_id: str, policy: PasswordPolicy | None) -> None:
    """Give an account a policy, or none; raises ValidationError."""
    if policy is not None:
        length = policy.minimum_password_length
        check_number("minimumPasswordLength", length, LEAST_LENGTH, LONGEST)
        check_number("maxPasswordAge", policy.max_password_age, 0, LONGEST_AGE)
        forbidden = policy.password_reuse_prevention
        check_number("passwordReusePrevention", forbidden, 0, MOST_FORBIDDEN)
    text = json.dumps(asdict(policy)) if policy else ""
    state.update("accounts", {"account_id": account_id}, password_policy=text)


def is_expired(state: State, user: UserRow) -> bool:
    """Whether a user's password has come to its end."""
    end = find_end(state, user)
    return end is not None and datetime.now(UTC) > end


def find_end(state: State, user: UserRow) -> datetime | None:
    """Return when a user's password ends: at the time that was set for it, or before that at the
    age that the account's policy allows; None for never."""
    ends = [ids.parse_time(user["password_expires"])] if user["password_expires"] else []
    policy = read_policy(state, user["account_id"])
    if policy is not None and policy.max_password_age and user["password_created"]:
        age = timedelta(days=policy.max_password_age)
        ends.append(ids.parse_time(user["password_created"]) + age)
    return min(ends, default=None)
