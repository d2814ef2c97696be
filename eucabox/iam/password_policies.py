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

    def to_api(self) -> dict[str, object]:
        """Return the policy in the members of the API."""
        told = {**asdict(self), "expire_passwords": self.max_password_age > 0}
        if not self.max_password_age:
            del told["max_password_age"]
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
    text = json.dumps(asdict(policy)) if policy else ""
    state.update("accounts", {"account_id": account_id}, password_policy=text)


def is_expired(state: State, user: UserRow) -> bool:
    """Whether a user's password is older than the account's policy allows."""
    policy = read_policy(state, user["account_id"])
    if policy is None or not policy.max_password_age or not user["password_created"]:
        return False
    end = ids.parse_time(user["password_created"]) + timedelta(days=policy.max_password_age)
    return datetime.now(UTC) > end
