"""Accounts, users, access keys and certificates in the database; verifies no signature."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from eucabox import ascii_text, ids, steady_clock
from eucabox.config import Config
from eucabox.errors import (
    EmailTaken,
    InvalidParameterValue,
    NameHeld,
    NoActiveCredential,
    NoSigningCertificate,
    NoSuchUser,
    UserExists,
)
from eucabox.iam.access_keys import create_access_key
from eucabox.iam.authorization import Authorization
from eucabox.iam.caller import Caller, Credential
from eucabox.iam.certificate_authority import CertificateAuthority
from eucabox.iam.instance_sessions import InstanceSessions
from eucabox.iam.key_use import KeyUse
from eucabox.iam.known_keys import MOST_KNOWN, KnownKeys
from eucabox.iam.provider_keys import ProviderKeys
from eucabox.iam.rows import UserRow
from eucabox.iam.second_factors import SecondFactors
from eucabox.iam.sessions import TEMPORARY, Sessions, secret_purpose
from eucabox.iam.signing_certificates import issue_certificate
from eucabox.schema import AccountRow
from eucabox.seal import Seal
from eucabox.state import RowType, State

ADMINISTRATOR = "eucalyptus", "admin"  # the names that Eucalyptus gave its first account and user
SET_BACK = timedelta(hours=1)  # a clock set back by less does not make old signatures new
SIGNATURE_LIFE = timedelta(minutes=31)  # 15 minutes of skew either way, and a minute to spare
NEVER = "never"
TWIN_SECONDS = 5
_CALLER = """select account_id, account_name, canonical_id, user_id, user_name, path, admin,
  is_root, email, disabled from users join accounts using (account_id)"""


class CallerRow(TypedDict):
    """A user with its account."""

    account_id: str
    account_name: str
    canonical_id: str
    user_id: str
    user_name: str
    path: str
    admin: int
    is_root: int
    email: str


class UserKeyRow(TypedDict):
    """An access key of a known user."""

    access_key_id: str


class UserCertificateRow(TypedDict):
    """A certificate of a known user with its private key, sealed."""

    certificate: str
    private_key: bytes


class KeyRow(CallerRow):
    """An access key with its user."""

    secret: bytes
    status: str
    disabled: int


@dataclass(frozen=True)
class UserCredentials:
    """All that a user's clients need: an access key, and a certificate with its private key."""

    caller: Caller
    secret: str
    certificate: str
    private_key: str


@dataclass(frozen=True)
class SigningPair:
    """A certificate and its private key, as PEM."""

    certificate: str
    private_key: str = field(repr=False)


class Accounts:
    """Accounts and users in the database, with the cloud's certificate authority beside it."""

    def __init__(self, config: Config, state: State) -> None:
        self._state = state
        self.key_use = KeyUse(state, config.cloud.region)
        self.known_keys = KnownKeys(state, self._load_credential, self.key_use)
        # Each thread's cache of access keys, dropped when the database changes.
        self._seal = Seal(config.cloud.data_dir / "key")
        self._open_secret = lru_cache(maxsize=MOST_KNOWN)(self._unseal_secret)
        self.authorization = Authorization(state, self._seal)
        self.sessions = Sessions(state, self._seal)
        self.second_factors = SecondFactors(state, self._seal)
        self.provider_keys = ProviderKeys()
        self.instance_sessions = InstanceSessions(state, self._seal, self.sessions)
        self.authority = CertificateAuthority(
            config.cloud.data_dir / "ca", self._seal, config.certified
        )

    def ensure_administrator(self) -> Caller:
        """Return the administrator, made with an access key and a certificate if missing."""
        found = self._find_administrator()  # without the lock of a write: pages ask for him too
        if found is not None:
            return found
        with self._state.transaction():
            account, user = ADMINISTRATOR
            return self._find_administrator() or self._create(account, user, admin=True)

    def _find_administrator(self) -> Caller | None:
        sql = f"{_CALLER} where account_name = ? and user_name = ?"
        row = self._state.select_one(CallerRow, sql, ADMINISTRATOR)
        return _to_caller(row) if row else None

    def create_user(self, name: str, email: str = "") -> Caller:
        """Create a user with an account of the same name, an access key and a certificate.

        Raises UserExists, EmailTaken, NameHeld where a person asks for an account of that name, or
        InvalidParameterValue for a name that is not 1 to 63 letters, digits or `-_.@+=,`, and for
        a bad e-mail address.
        """
        plain = name.isascii() and all(each.isalnum() or each in "-_.@+=," for each in name)
        if not plain or not 1 <= len(name) <= 63 or name.startswith((".", "-")):
            reason = "Use 1 to 63 letters, digits or -_.@+=, and begin with a letter or digit."
            raise InvalidParameterValue(parameter="UserName", value=name, reason=reason)
        with self._state.transaction():
            if self._state.one("select 1 from accounts where account_name = ?", (name,)):
                raise UserExists(name=name)
            if self._state.one("select 1 from sign_ups where lower(user_name) = lower(?)", (name,)):
                raise NameHeld(name=name)
            caller = self._create(name, name, admin=False)
            if email:
                self.set_email(caller, email)
            return caller

    def set_email(self, user: Caller, email: str) -> None:
        """Set the e-mail address of the user's account, "" for none.

        Raises EmailTaken or InvalidParameterValue.
        """
        address = ascii_text.lower(ascii_text.strip(email))
        name, _, host = address.rpartition("@")
        plain = address.isascii() and address.isprintable() and not set(address) & set(' ,;"<>')
        if address and not (plain and name and host and len(address) <= 254):
            reason = "Give an address such as ann@example.com."
            raise InvalidParameterValue(parameter="Email", value=email[:60], reason=reason)
        with self._state.transaction():
            owner = self.get_by_email(address)
            if owner and owner["account_id"] != user.account_id:
                raise EmailTaken(email=address, account=owner["account_name"])
            self._state.update("accounts", {"account_id": user.account_id}, email=address)

    def users(self) -> list[Caller]:
        """Return every user, the administrator first."""
        rows = self._state.select(
            CallerRow, f"{_CALLER} order by admin desc, account_name, is_root desc, user_name"
        )
        return [_to_caller(row) for row in rows]

    def user(self, name: str) -> Caller:
        """Return the user of that name, or ACCOUNT/NAME; raises NoSuchUser."""
        account, _, user = name.rpartition("/")
        users = [each for each in self.users() if each.user_name == user]
        users = [each for each in users if account in ("", each.account_name)]
        users.sort(key=lambda each: not each.is_root)  # who has an account of its own comes first
        if not users:
            names = ", ".join(f"{each.account_name}/{each.user_name}" for each in self.users())
            raise NoSuchUser(name=name, known=f"There are: {names}.")
        return users[0]

    def user_of(self, account_id: str, user_id: str = "") -> Caller:
        """Return the user of an account that has the id, its root without one; raises
        NoSuchUser."""
        sql = f"{_CALLER} where account_id = ? order by is_root desc"
        rows = self._state.select(CallerRow, sql, (account_id,))
        users = [_to_caller(row) for row in rows if user_id in ("", row["user_id"])]
        if not users:
            raise NoSuchUser(name=user_id or account_id, known="It is gone.")
        return users[0]

    def credential(self, access_key_id: str) -> Credential | None:
        """Return the access key of that id with its secret, or None.

        Temporary ones too, whose end and whose token are for the caller to compare.
        """
        return self.known_keys.credential(access_key_id)

    def _load_credential(self, access_key_id: str) -> Credential | None:
        if access_key_id.startswith(TEMPORARY):
            return self.sessions.load_credential(access_key_id, self._load_user)
        sql = f"""select k.secret, k.status, c.* from access_keys k join ({_CALLER}) c
          using (user_id) where access_key_id = ?"""
        row = self._state.select_one(KeyRow, sql, (access_key_id,))
        if row is None:
            return None
        secret = self._open_secret(row["secret"], access_key_id)
        active = row["status"] == "Active" and not row["disabled"]
        return Credential(_to_caller(row, access_key_id), secret, active)

    def _load_user(self, user_id: str) -> Caller | None:
        sql = f"{_CALLER} where user_id = ? and disabled = 0"
        row = self._state.select_one(CallerRow, sql, (user_id,))
        return _to_caller(row) if row is not None else None

    def _unseal_secret(self, sealed: bytes, access_key_id: str) -> str:
        return self._seal.open(sealed, secret_purpose(access_key_id)).decode()

    def secrets(self) -> list[str]:
        """Return every access secret and every MFA device's seed, so that reports can leave them
        out."""
        rows = self._state.query(
            """select access_key_id, secret from access_keys
              union all select access_key_id, secret from sessions"""
        )
        keys = [self._unseal_secret(row["secret"], row["access_key_id"]) for row in rows]
        return [*keys, *self.second_factors.list_seeds()]

    def user_credentials(self, caller: Caller) -> UserCredentials:
        """Return a user's newest active access key and certificate, with their secrets."""
        credential = self.find_newest_key(caller)
        pair = self._find_newest(UserCertificateRow, "certificates", "private_key", caller)
        private_key = self._seal.open(pair["private_key"], "user key").decode()
        return UserCredentials(
            credential.caller, credential.secret, pair["certificate"], private_key
        )

    def find_newest_key(self, caller: Caller) -> Credential:
        """Return a user's newest active access key; raises NoActiveCredential."""
        key = self._find_newest(UserKeyRow, "access_keys", "secret", caller)
        credential = self.credential(key["access_key_id"])
        assert credential is not None
        return credential

    def signing_pair(self, caller: Caller) -> SigningPair:
        """Return an active certificate with its private key: the newest of the caller, else one of
        its account's root, else one of another user; raises NoSigningCertificate."""
        sql = """select certificate, private_key from certificates join users using (user_id)
          where account_id = ? and status = 'Active' and private_key is not null
          order by user_id = ? desc, is_root desc, certificates.created desc limit 1"""
        values = (caller.account_id, caller.user_id)
        row = self._state.select_one(UserCertificateRow, sql, values)
        if row is None:
            raise NoSigningCertificate(account=caller.account_name)
        private_key = self._seal.open(row["private_key"], "user key").decode()
        return SigningPair(row["certificate"], private_key)

    def certificates(self, account_id: str | None = None) -> list[str]:
        """Return the active users' certificates as PEM, of one account or of all."""
        sql = """select certificate from certificates join users using (user_id)
          where status = 'Active' and coalesce(?, account_id) = account_id"""
        return [row["certificate"] for row in self._state.query(sql, (account_id,))]

    def get_by_account_id(self, account_id: str) -> AccountRow | None:
        """Return the account's row (account_id, account_name, canonical_id, created) or None."""
        sql = "select * from accounts where account_id = ?"
        return self._state.select_one(AccountRow, sql, (account_id,))

    def get_by_canonical_id(self, canonical_id: str) -> AccountRow | None:
        """Return the row of the account with this canonical id, or None."""
        sql = "select * from accounts where canonical_id = ?"
        return self._state.select_one(AccountRow, sql, (canonical_id,))

    def get_by_email(self, email: str) -> AccountRow | None:
        """Return the row of the account with an e-mail address, or None."""
        address = ascii_text.lower(ascii_text.strip(email))
        sql = "select * from accounts where email = ?"
        row = self._state.select_one(AccountRow, sql, (address,))
        return row if address else None

    def knows_principal(self, account: str, user: str = "") -> bool:
        """Tell whether there is an account with this id or name and, if named, that user in it."""
        sql = """select user_name from accounts join users using (account_id)
          where account_id = ? or (account_name = ? and not account_name glob ?)"""
        rows = self._state.query(sql, (account, account, "[0-9]" * 12))
        return any(user in ("", row["user_name"]) for row in rows)

    def knows_role(self, account: str, role: str) -> bool:
        """Tell whether the account of this id or name has a role of that name."""
        sql = """select 1 from roles join accounts using (account_id) where role_name = ?
          and (account_id = ? or (account_name = ? and not account_name glob ?))"""
        return self._state.one(sql, (role, account, account, "[0-9]" * 12)) is not None

    @cached_property
    def cloud_certificate(self) -> str:
        """The certificate that bundles are encrypted for, as PEM."""
        pem = self.authority.cloud_certificate.public_bytes(serialization.Encoding.PEM)
        return pem.decode()

    @property
    def cloud_private_key(self) -> rsa.RSAPrivateKey:
        """The key that opens bundles and signs instance identity documents."""
        return self.authority.cloud_private_key

    @property
    def seal(self) -> Seal:
        """What closes and opens the secrets in the database."""
        return self._seal

    def server_certificate(self) -> tuple[Path, Path]:
        """Return the files of the TLS certificate (with its chain) and of its key."""
        return self.authority.server_files()

    def record_signature(self, signature: str, expires: datetime | None = None) -> bool:
        """Remember a request's signature for as long as it is valid; False if it was replayed.

        Signatures tell seconds apart at best, so a client that asks the same twice at once signs
        the same twice: a signature counts as replayed once TWIN_SECONDS have passed. `expires`
        is the end of a signature that says so itself, up to seven days ahead.
        """
        now = datetime.now(UTC)
        forgotten = ids.time_text(now - SET_BACK)
        end = max(now, expires or now) + SIGNATURE_LIFE
        times = {"expires": ids.time_text(end), "first_used": steady_clock.reading()}
        with self._state.transaction() as database:
            database.execute("delete from used_signatures where expires < ?", (forgotten,))
            sql = "select first_used from used_signatures where signature = ?"
            row = self._state.one(sql, (signature,))
            if row is None:
                self._state.insert("used_signatures", {"signature": signature, **times})
                return True
        return steady_clock.seconds_since(row["first_used"] or NEVER, "") < TWIN_SECONDS

    def _find_newest(
        self, row_type: type[RowType], table: str, sealed: str, caller: Caller
    ) -> RowType:
        sql = f"""select * from {table} where user_id = ? and status = 'Active'
          and {sealed} is not null order by created desc limit 1"""
        row = self._state.select_one(row_type, sql, (caller.user_id,))
        if row is None:
            raise NoActiveCredential(name=caller.user_name, what=table)
        return row

    def _create(self, account: str, user: str, admin: bool) -> Caller:
        now = ids.now()
        account_id, canonical_id, user_id = ids.account_id(), ids.canonical_id(), ids.user_id()
        account_row = {
            "account_id": account_id,
            "account_name": account,
            "canonical_id": canonical_id,
            "created": now,
        }
        user_row = {
            "user_id": user_id,
            "account_id": account_id,
            "user_name": user,
            "admin": int(admin),
            "is_root": 1,
            "created": now,
        }
        with self._state.transaction():
            self._state.insert("accounts", account_row)
            self._state.insert("users", user_row)
            (row,) = self._state.select(
                UserRow, "select * from users where user_id = ?", (user_id,)
            )
            create_access_key(self._state, self._seal, row)
            issue_certificate(self._state, self.authority, self._seal, row, account)
        return Caller(account_id, account, canonical_id, user_id, user, admin, is_root=True)


def _to_caller(row: CallerRow, access_key_id: str = "") -> Caller:
    return Caller(
        account_id=row["account_id"],
        account_name=row["account_name"],
        canonical_id=row["canonical_id"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        admin=bool(row["admin"]),
        access_key_id=access_key_id,
        email=row["email"],
        is_root=bool(row["is_root"]),
        path=row["path"],
    )
