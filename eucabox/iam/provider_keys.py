"""The keys of identity providers: fetched or given as a file, and remembered; checks no token."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from eucabox import gil_turns
from eucabox.errors import IdentityProviderUnreachable, InvalidIdentityToken
from eucabox.iam.identity_providers import ProviderUrl
from eucabox.iam.rows import OidcProviderRow

Fetch = Callable[[str], bytes]
DISCOVERY = "/.well-known/openid-configuration"
FRESH, STALE = 3600.0, 86_400.0  # seconds: when keys are fetched again, how long they may serve
AGAIN = 60.0  # seconds between two tries, whoever asks for which key
PATIENCE = 10.0  # seconds that one thread waits for another's fetching
MOST_ASKING = 3  # threads that fetch or wait: a provider that hangs must not take all of the server
MOST_PROVIDERS, MOST_KEYS = 200, 100
RSA_BITS = range(2048, 8193)
USABLE = {"RSA": ("RS256", "RS384", "RS512"), "EC": ("ES256", "ES384", "ES512")}


@dataclass(frozen=True)
class ProviderKey:
    """A public key with its id ("" for none) and the algorithms that it may check."""

    key_id: str
    key: PyJWK
    algorithms: tuple[str, ...]


@dataclass
class _Known:
    """What is known of a provider: its keys, when they came, when they were last asked for."""

    keys: tuple[ProviderKey, ...] = ()
    fetched: float = float("-inf")
    tried: float = float("-inf")
    problem: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def needs(self, key_id: str, now: float) -> bool:
        """Tell whether the keys are to be fetched for the sake of a key."""
        return now - self.fetched > FRESH or not _choose(self.keys, key_id)


class ProviderKeys:
    """Finds the keys of a provider. `fetch` returns a document; the server sets it, and without it
    only keys that were given as a file are found."""

    def __init__(self) -> None:
        self.fetch: Fetch | None = None
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_ASKING)

    def find(self, provider: OidcProviderRow, key_id: str) -> list[ProviderKey]:
        """Return the keys of an id, of "" all; none where the provider has no such key.

        Raises IdentityProviderUnreachable, and InvalidIdentityToken for a file that has no keys.
        """
        if provider["jwks"]:
            return _choose(_parse(provider["jwks"]), key_id)
        known = self._remember(provider["provider_id"])
        if known.needs(key_id, time.monotonic()):
            self._refresh(known, provider, key_id)
        chosen = _choose(known.keys, key_id)
        if not chosen and known.problem:
            raise IdentityProviderUnreachable(reason=known.problem)
        return chosen

    def _remember(self, provider_id: str) -> _Known:
        with self._lock:
            known = self._known.setdefault(provider_id, _Known())
            self._known.move_to_end(provider_id)
            if len(self._known) > MOST_PROVIDERS:
                self._known.popitem(last=False)
            return known

    def _refresh(self, known: _Known, provider: OidcProviderRow, key_id: str) -> None:
        gil_turns.yield_leadership()  # another computer may take its time
        place = self._places.acquire(blocking=False)
        try:
            if not (place and known.lock.acquire(timeout=PATIENCE)):
                reason = f"The identity provider {provider['url']} is being asked. Try again."
                raise IdentityProviderUnreachable(reason=reason)
            try:
                self._try_again(known, provider, key_id)
            finally:
                known.lock.release()
        finally:
            if place:
                self._places.release()

    def _try_again(self, known: _Known, provider: OidcProviderRow, key_id: str) -> None:
        now = time.monotonic()
        if not known.needs(key_id, now) or now - known.tried < AGAIN:
            return
        known.tried = now
        try:
            known.keys, known.fetched, known.problem = self._fetch(provider["url"]), now, ""
        except IdentityProviderUnreachable as problem:
            known.problem = problem.message
            if now - known.fetched > STALE:
                known.keys = ()

    def _fetch(self, issuer: str) -> tuple[ProviderKey, ...]:
        if self.fetch is None:
            raise IdentityProviderUnreachable(reason="This process asks no identity providers.")
        document = _read_json(self.fetch(issuer + DISCOVERY), issuer)
        place = document.get("jwks_uri")
        if str(document.get("issuer", "")).rstrip("/") != issuer:
            reason = f"The configuration of {issuer} names another issuer."
            raise IdentityProviderUnreachable(reason=reason)
        if not isinstance(place, str) or ProviderUrl.parse(place) is None:
            reason = f"The configuration of {issuer} names no jwks_uri with https."
            raise IdentityProviderUnreachable(reason=reason)
        return parse_keys(self.fetch(place).decode("utf-8", "replace"), issuer)


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
