"""What each request asks of an access key: its owner, the limits of the account, its use; decides
about nothing. It is remembered, so that most requests read none of it from the database."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from eucabox.config import LimitsSection
from eucabox.iam import account_limits
from eucabox.iam.caller import Credential
from eucabox.iam.key_use import ROLE, KeyUse
from eucabox.state import State

MOST_KNOWN = 1000
MOST_NOTED = 10_000
SECONDS = 3600  # in which a key's use of a service is written once


@dataclass(frozen=True)
class _KnownOfKeys:
    """What was read while the database had one identity mark."""

    mark: int
    credentials: dict[str, Credential] = field(default_factory=dict)
    limits: dict[str, tuple[LimitsSection, LimitsSection]] = field(default_factory=dict)


class KnownKeys:
    """The access keys that requests were signed with, known until the database says something else
    of who is who.

    `load` reads one from the database, None where there is none.
    """

    def __init__(
        self, state: State, load: Callable[[str], Credential | None], key_use: KeyUse
    ) -> None:
        self._state = state
        self._load = load
        self._key_use = key_use
        self._noted: dict[tuple[str, str], float] = {}
        self._known = _KnownOfKeys(-1)

    def credential(self, access_key_id: str) -> Credential | None:
        """Return the access key of that id with its secret, or None.

        Temporary ones too, whose end and whose token are for the caller to compare.
        """
        known = self._find_known()
        credential = known.credentials.get(access_key_id) if known else None
        if credential is None:
            credential = self._load(access_key_id)
            if credential is not None and known:
                known.credentials[access_key_id] = credential
        return credential

    def limits(self, configured: LimitsSection, account_id: str) -> LimitsSection:
        """Return the limits of an account: its own, and the configured ones for the rest."""
        known = self._find_known()
        base, limits = known.limits.get(account_id, (None, configured)) if known else (None, None)
        if limits is None or base is not configured:
            limits = account_limits.read_limits(self._state, configured, account_id)
            if known:
                known.limits[account_id] = configured, limits
        return limits

    def note_use(self, credential_id: str, service: str) -> None:
        """Note that a key is used now, or a session of a role, whatever the service; takes a
        microsecond where that was noted within the hour. "" is nothing to note."""
        if credential_id.startswith(ROLE):
            service = ""
        use, now = (credential_id, service), time.monotonic()
        noted = self._noted.get(use)
        if noted is not None and now - noted < SECONDS:
            return
        if len(self._noted) >= MOST_NOTED:
            self._noted.clear()
        self._noted[use] = now
        self._key_use.write(credential_id, service)

    def _find_known(self) -> _KnownOfKeys | None:
        """Return what is remembered; None inside a transaction, which may yet be undone."""
        mark, known = self._state.identity_mark(), self._known
        if mark is None:
            return None
        if known.mark != mark or len(known.credentials) > MOST_KNOWN:
            known = self._known = _KnownOfKeys(mark)
        return known
