"""The keys of identity providers: fetched or given as a file, and remembered; checks no token."""

import json
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from eucabox import gil_turns
from eucabox.errors import IdentityProviderUnreachable, InvalidIdentityToken
from eucabox.iam.identity_providers import ProviderUrl
from eucabox.iam.rows import OidcProviderRow

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger("eucabox.iam")
Fetch = Callable[[str], bytes]
DISCOVERY = "/.well-known/openid-configuration"
FRESH, STALE = 3600.0, 86_400.0  # seconds: when keys are fetched again, how long they may serve
AGAIN = 60.0  # seconds between two tries, whoever asks for which key
PATIENCE = 10.0  # seconds that a request waits for keys, and that both documents may take
# A provider that hangs must not take all of the server, nor the providers of one account all that
# there is for the others.
MOST_FETCHING, MOST_OF_ACCOUNT = 6, 2  # providers that are being asked: in all, of one account
MOST_WAITING = 2  # requests that wait for one provider
MOST_PROVIDERS, MOST_KEYS = 200, 100
RSA_BITS = range(2048, 8193)
USABLE = {"RSA": ("RS256", "RS384", "RS512"), "EC": ("ES256", "ES384", "ES512")}


@dataclass(frozen=True)
class ProviderKey:
    """A public key with its id ("" for none) and the algorithms that it may check."""

    key_id: str
    key: "PyJWK"
    algorithms: tuple[str, ...]


@dataclass
class _Known:
    """What is known of a provider: its keys, when they came, when they were last asked for, and
    how many requests wait for them."""

    keys: tuple[ProviderKey, ...] = ()
    fetched: float = float("-inf")
    tried: float = float("-inf")
    problem: str = ""
    waiting: int = 0
    fetching: threading.Event | None = None  # which is set when the keys have come, or have not

    def needs(self, key_id: str, now: float) -> bool:
        """Tell whether the keys are to be fetched for the sake of a key."""
        return now - self.fetched > FRESH or not _choose(self.keys, key_id)

    def is_due(self, key_id: str, now: float) -> bool:
        """Tell whether that may be now."""
        return self.needs(key_id, now) and now - self.tried >= AGAIN


class ProviderKeys:
    """Finds the keys of a provider. `fetch` returns a document; the server sets it, and without it
    only keys that were given as a file are found.

    Keys are fetched by a thread of their own, which holds the account's place until it ends;
    requests wait no longer than PATIENCE, and not at all where too many wait.
    """

    def __init__(self) -> None:
        self.fetch: Fetch | None = None
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._fetching: Counter[str] = Counter()  # providers that are being asked, by account

    def find(self, provider: OidcProviderRow, key_id: str) -> list[ProviderKey]:
        """Return the keys of an id, of "" all; none where the provider has no such key.

        Raises IdentityProviderUnreachable, and InvalidIdentityToken for a file that has no keys.
        """
        if provider["jwks"]:
            return _choose(_parse(provider["jwks"]), key_id)
        known = self._remember(provider["provider_id"])
        problem = ""
        if known.needs(key_id, time.monotonic()):
            try:
                self._refresh(known, provider, key_id)
            except IdentityProviderUnreachable as fault:  # older keys may do
                problem = fault.message
        chosen = _choose(known.keys, key_id)
        if not chosen and (problem or known.problem):
            raise IdentityProviderUnreachable(reason=problem or known.problem)
        return chosen

    def _remember(self, provider_id: str) -> _Known:
        with self._lock:
            known = self._known.setdefault(provider_id, _Known())
            self._known.move_to_end(provider_id)
            if len(self._known) > MOST_PROVIDERS:
                self._known.popitem(last=False)
            return known

    def _refresh(self, known: _Known, provider: OidcProviderRow, key_id: str) -> None:
        """Wait until the keys are fetched, where they are to be; raises
        IdentityProviderUnreachable where that can't be waited for."""
        gil_turns.yield_leadership()  # another computer may take its time
        fetching = self._begin(known, provider, key_id)
        if fetching is None:
            return
        try:
            if not fetching.wait(PATIENCE):
                raise _take_too_long(provider["url"])
        finally:
            with self._lock:
                known.waiting -= 1

    def _begin(
        self, known: _Known, provider: OidcProviderRow, key_id: str
    ) -> threading.Event | None:
        """Have the keys fetched, unless they are already, and return what tells the end of that;
        None where it is too early for another try."""
        now, account_id = time.monotonic(), provider["account_id"]
        with self._lock:
            fetching = known.fetching
            if fetching is None and not known.is_due(key_id, now):
                return None
            has_place = fetching is not None or self._has_place(account_id)
            if known.waiting >= MOST_WAITING or not has_place:
                reason = f"The identity provider {provider['url']} is being asked. Try again."
                raise IdentityProviderUnreachable(reason=reason)
            if fetching is None:
                fetching = threading.Event()
                arguments = (known, provider, fetching)
                name = "provider-keys"
                threading.Thread(target=self._try, args=arguments, name=name, daemon=True).start()
                known.fetching, known.tried = fetching, now
                self._fetching[account_id] += 1
            known.waiting += 1
            return fetching

    def _has_place(self, account_id: str) -> bool:
        of_account, in_all = self._fetching[account_id], self._fetching.total()
        return of_account < MOST_OF_ACCOUNT and in_all < MOST_FETCHING

    def _try(self, known: _Known, provider: OidcProviderRow, done: threading.Event) -> None:
        now, keys, problem = time.monotonic(), None, ""
        try:
            keys = self._fetch(provider["url"])
        except IdentityProviderUnreachable as fault:
            problem = fault.message
        except Exception:  # those who wait must hear of it
            log.exception("role=cloud the keys of %s can't be fetched", provider["url"])
            problem = f"The keys of {provider['url']} can't be fetched: see the log."
        with self._lock:
            known.problem, known.fetching = problem, None
            if keys is not None:
                known.keys, known.fetched = keys, now
            elif now - known.fetched > STALE:
                known.keys = ()
            self._fetching[provider["account_id"]] -= 1
            self._fetching += Counter()  # which drops what is 0
        done.set()

    def _fetch(self, issuer: str) -> tuple[ProviderKey, ...]:
        if self.fetch is None:
            raise IdentityProviderUnreachable(reason="This process asks no identity providers.")
        end = time.monotonic() + PATIENCE
        document = _read_json(self.fetch(issuer + DISCOVERY), issuer)
        place = document.get("jwks_uri")
        if str(document.get("issuer", "")).rstrip("/") != issuer:
            reason = f"The configuration of {issuer} names another issuer."
            raise IdentityProviderUnreachable(reason=reason)
        if not isinstance(place, str) or ProviderUrl.parse(place) is None:
            reason = f"The configuration of {issuer} names no jwks_uri with https."
            raise IdentityProviderUnreachable(reason=reason)
        if time.monotonic() > end:
            raise _take_too_long(issuer)
        return parse_keys(self.fetch(place).decode("utf-8", "replace"), issuer)


def _take_too_long(url: str) -> IdentityProviderUnreachable:
    reason = f"The identity provider {url} takes longer than {PATIENCE:g} s."
    return IdentityProviderUnreachable(reason=reason)


def parse_keys(text: str, issuer: str) -> tuple[ProviderKey, ...]:
    """Return the keys of a JSON Web Key Set that can check a token.

    Raises IdentityProviderUnreachable where there is none.
    """
    entries = _read_json(text.encode(), issuer).get("keys")
    keys = entries[:MOST_KEYS] if isinstance(entries, list) else []
    usable = tuple(key for each in keys if (key := _read_key(each)) is not None)
    if not usable:
        reason = f"The key set of {issuer} has no RSA or EC key for signatures."
        raise IdentityProviderUnreachable(reason=reason)
    return usable


def _read_json(document: bytes, issuer: str) -> dict[str, object]:
    try:
        read = json.loads(document)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        reason = f"What the identity provider {issuer} answers is no JSON object."
        raise IdentityProviderUnreachable(reason=reason)
    return read


def _read_key(entry: object) -> ProviderKey | None:
    """Return a key, None for one that is of another kind, for encryption, or broken."""
    from jwt import PyJWK, PyJWTError  # only clouds with identity providers need it

    if not isinstance(entry, dict) or entry.get("kty") not in USABLE:
        return None
    algorithms: tuple[str, ...] = USABLE[entry["kty"]]
    if "alg" in entry:
        algorithms = tuple(each for each in algorithms if each == entry["alg"])
    if not algorithms or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK.from_dict(entry, algorithms[0])
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    size = getattr(key.key, "key_size", 0)
    if entry["kty"] == "RSA" and size not in RSA_BITS:
        return None
    return ProviderKey(str(entry.get("kid", "")), key, algorithms)


@lru_cache(64)
def _parse(text: str) -> tuple[ProviderKey, ...]:
    try:
        return parse_keys(text, "the file")
    except IdentityProviderUnreachable as problem:
        raise InvalidIdentityToken(reason=problem.message) from None


def _choose(keys: tuple[ProviderKey, ...], key_id: str) -> list[ProviderKey]:
    return [each for each in keys if key_id in ("", each.key_id)]
