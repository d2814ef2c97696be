"""The identity providers (OpenID Connect) of accounts, as IAM keeps them; checks no token."""

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eucabox import ids
from eucabox.errors import EntityAlreadyExists, InvalidInput, LimitExceeded, NoSuchEntity
from eucabox.iam.constraints import check_arn, check_count, check_length
from eucabox.iam.rows import OidcProviderRow
from eucabox.state import State

ARN = re.compile(r"arn:aws:iam::(\d{12}):oidc-provider/([!-~]+)", re.ASCII)
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~%@+-]*)*)",
    re.ASCII,
)
LONGEST_URL, LONGEST_CLIENT = 255, 255
MOST_PROVIDERS, MOST_CLIENTS, MOST_THUMBPRINTS = 100, 100, 5
LOOPBACK = "localhost"


def create_provider(
    state: State, account_id: str, url: str, client_ids: Sequence[str], thumbprints: Sequence[str]
) -> OidcProviderRow:
    """Add a provider to an account.

    Raises ValidationError, InvalidInput, EntityAlreadyExists, LimitExceeded.
    """
    check_url(url)
    row: OidcProviderRow = {
        "provider_id": ids.new("oidc"),
        "account_id": account_id,
        "url": url.rstrip("/"),
        "client_ids": json.dumps(_check_clients(client_ids)),
        "thumbprints": json.dumps(_check_thumbprints(thumbprints)),
        "jwks": "",
        "created": ids.now(),
    }
    with state.transaction():
        present = list_providers(state, account_id)
        if provider_name(row["url"]) in {provider_name(each["url"]) for each in present}:
            raise EntityAlreadyExists(reason=f"Provider with url {url} already exists.")
        if len(present) >= MOST_PROVIDERS:
            limit = f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MOST_PROVIDERS}"
            raise LimitExceeded(reason=limit)
        state.insert("oidc_providers", row)
    return row


def list_providers(state: State, account_id: str) -> list[OidcProviderRow]:
    """Return the providers of an account, which are 100 at most, by their URLs."""
    sql = "select * from oidc_providers where account_id = ? order by url"
    return state.select(OidcProviderRow, sql, (account_id,))


def list_all_providers(state: State) -> list[OidcProviderRow]:
    """Return the providers of all accounts, for the administrator of the host."""
    sql = "select * from oidc_providers order by account_id, url"
    return state.select(OidcProviderRow, sql)


def get_provider(state: State, account_id: str, arn: str) -> OidcProviderRow:
    """Return the provider of an ARN; raises ValidationError, InvalidInput, NoSuchEntity."""
    check_arn("openIDConnectProviderArn", arn)
    match = ARN.fullmatch(arn)
    if match is None:
        raise InvalidInput(reason=f"Invalid ARN: {arn[:200]}")
    for row in list_providers(state, account_id):
        if provider_arn(row) == arn:
            return row
    raise NoSuchEntity(reason=f"OpenIDConnect Provider not found for arn {arn[:300]}")


def find_by_issuer(state: State, account_id: str, issuer: str) -> OidcProviderRow | None:
    """Return the provider of an account that issues tokens in this name, or None."""
    for row in list_providers(state, account_id):
        if row["url"] == issuer.rstrip("/") or provider_name(row["url"]) == issuer:
            return row
    return None


def provider_name(url: str) -> str:
    """Return a provider's URL without its scheme, as ARNs and condition keys have it."""
    return url.partition("://")[2].rstrip("/")


def provider_arn(row: OidcProviderRow) -> str:
    """Return the ARN of a provider."""
    return f"arn:aws:iam::{row['account_id']}:oidc-provider/{provider_name(row['url'])}"


def add_client(state: State, row: OidcProviderRow, client_id: str) -> None:
    """Add a client id, if it is not there; raises ValidationError, LimitExceeded."""
    clients = list_clients(row)
    _check_clients([client_id])
    if client_id in clients:
        return
    if len(clients) >= MOST_CLIENTS:
        limit = f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}"
        raise LimitExceeded(reason=limit)
    _update(state, row, client_ids=json.dumps([*clients, client_id]))


def remove_client(state: State, row: OidcProviderRow, client_id: str) -> None:
    """Take a client id away, whether it is there or not; raises ValidationError."""
    _check_clients([client_id])
    left = [each for each in list_clients(row) if each != client_id]
    _update(state, row, client_ids=json.dumps(left))


def replace_thumbprints(state: State, row: OidcProviderRow, thumbprints: Sequence[str]) -> None:
    """Give a provider other thumbprints; raises ValidationError."""
    _update(state, row, thumbprints=json.dumps(_check_thumbprints(thumbprints)))


def set_keys(state: State, url: str, jwks: str, account_id: str = "") -> int:
    """Give the providers of a URL, of one account or of all, their keys as a JSON Web Key Set, ""
    to have them fetched; return how many there were."""
    sql = "select * from oidc_providers where account_id = ? or ? = ''"
    rows = state.select(OidcProviderRow, sql, (account_id, account_id))
    chosen = [each for each in rows if provider_name(each["url"]) == provider_name(url)]
    with state.transaction():
        for row in chosen:
            _update(state, row, jwks=jwks)
    return len(chosen)


def list_clients(row: OidcProviderRow) -> list[str]:
    """Return the client ids of a provider: the audiences for whom its tokens count."""
    clients: list[str] = json.loads(row["client_ids"])
    return clients


@dataclass(frozen=True)
class ProviderUrl:
    """The parts of a provider's URL, or of one that it names."""

    scheme: str
    host: str  # in lower case, an IPv6 address without its brackets
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "ProviderUrl | None":
        """Return the parts of a URL with https, or with http of this host itself, or None."""
        match = URL.fullmatch(url)
        if match is None or "/.." in match["path"]:
            return None
        scheme, host = match["scheme"], match["host"].strip("[]").lower()
        port = int(match["port"] or (443 if scheme == "https" else 80))
        if not 0 < port < 65536 or (scheme != "https" and not is_loopback(host)):
            return None
        return cls(scheme, host, port, match["path"])


def check_url(url: str) -> None:
    """Raise ValidationError or InvalidInput unless a URL can be a provider's."""
    check_length("url", url, LONGEST_URL, 1)
    if ProviderUrl.parse(url) is None:
        reason = f"Invalid Open ID Connect Provider URL: {url}. Use one that begins with https://."
        raise InvalidInput(reason=reason)


def is_loopback(host: str) -> bool:
    """Tell whether a name or an address is this host's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == LOOPBACK


def _check_clients(client_ids: Sequence[str]) -> list[str]:
    check_count("clientIDList", client_ids, MOST_CLIENTS)
    for each in client_ids:
        check_length("clientID", each, LONGEST_CLIENT, 1)
    return _drop_twins(client_ids)


def _check_thumbprints(thumbprints: Sequence[str]) -> list[str]:
    check_count("thumbprintList", thumbprints, MOST_THUMBPRINTS)
    for each in thumbprints:
        check_length("thumbprint", each, 40, 40)
    return _drop_twins(thumbprints)


def _drop_twins(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _update(state: State, row: OidcProviderRow, **columns: str) -> None:
    state.update("oidc_providers", {"provider_id": row["provider_id"]}, **columns)
