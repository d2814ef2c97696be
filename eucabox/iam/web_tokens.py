"""Tokens of identity providers: whose they are, whether they are genuine, and what they claim."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from eucabox.errors import Fault, IdentityTokenExpired, InvalidIdentityToken
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.identity_providers import find_by_issuer, list_clients, provider_arn, provider_name
from eucabox.iam.provider_keys import ProviderKey, ProviderKeys
from eucabox.iam.rows import OidcProviderRow
from eucabox.iam.session_requests import read_session_tags
from eucabox.state import State

LEEWAY = 60  # seconds that a provider's clock may differ
REQUIRED = ["exp", "iat", "iss", "sub", "aud"]
TAGS = "https://aws.amazon.com/tags"
SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
LONGEST_SUBJECT = 255
MOST_PARTS = 3


@dataclass(frozen=True)
class WebIdentity:
    """Somebody for whom an identity provider vouches."""

    provider: OidcProviderRow
    subject: str
    audience: str
    claims: Mapping[str, object]

    @property
    def provider_arn(self) -> str:
        """The ARN of the provider."""
        return provider_arn(self.provider)

    @property
    def issuer(self) -> str:
        """The issuer as the token has it."""
        return str(self.claims["iss"])

    def list_condition_values(self) -> dict[str, str | list[str]]:
        """Return the condition keys that the claims have values for, each as HOST/PATH:claim.

        `aud` is the authorized party where the token has one, as in AWS; `app_id` is the audience,
        as Amazon's own provider and Ceph name it.
        """
        host = provider_name(self.provider["url"])
        values: dict[str, str | list[str]] = {
            "aud": _text(self.claims.get("azp")) or self.audience,
            "app_id": self.audience,
            "sub": self.subject,
            "oaud": self.audience,
            "azp": _text(self.claims.get("azp")),
            "amr": _texts(self.claims.get("amr")),
            "email": _text(self.claims.get("email")),
        }
        return {f"{host}:{name}": value for name, value in values.items() if value}

    def read_tags(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the session's tags and the names of those that are transitive.

        Raises InvalidIdentityToken.
        """
        claim = self.claims.get(TAGS, {})
        if not isinstance(claim, dict) or not isinstance(claim.get("principal_tags", {}), dict):
            raise InvalidIdentityToken(reason="The claim for session tags has another form.")
        tags = [_read_tag(key, value) for key, value in claim.get("principal_tags", {}).items()]
        transitive = claim.get("transitive_tag_keys", [])
        try:
            return read_session_tags(tags), tuple(_texts(transitive))
        except Fault as problem:
            raise InvalidIdentityToken(reason=problem.message) from None

    @property
    def source_identity(self) -> str:
        """The source identity that the provider gives the session, "" for none."""
        return _text(self.claims.get(SOURCE_IDENTITY))


def read_token(state: State, keys: ProviderKeys, account_id: str, token: str) -> WebIdentity:
    """Check a token with the keys of the account's provider that it names.

    Raises InvalidIdentityToken, IdentityTokenExpired, IdentityProviderUnreachable.
    """
    header, claims = _peek(token)
    provider = find_by_issuer(state, account_id, _text(claims.get("iss")))
    if provider is None:
        raise InvalidIdentityToken(
            reason="No OpenIDConnect provider found in your account for"
            f" {_text(claims.get('iss'))[:200]}"
        )
    chosen = keys.find(provider, _text(header.get("kid")))
    if not chosen:
        reason = "Couldn't retrieve verification key from your identity provider: it has none"
        raise InvalidIdentityToken(reason=f"{reason} of the token's kid.")
    checked = _verify(token, chosen, list_clients(provider))
    subject = _text(checked.get("sub"))
    if not 0 < len(subject) <= LONGEST_SUBJECT:
        raise InvalidIdentityToken(reason="The token's sub has no or too many characters.")
    return WebIdentity(provider, subject, _find_audience(checked, provider), checked)


def _peek(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Return header and claims of a token that nobody has checked."""
    parts = token.split(".")
    if len(parts) != MOST_PARTS or not token.isascii():
        raise InvalidIdentityToken(reason="The ID Token provided is not a valid JWT.")
    header, claims = (_read_part(part) for part in parts[:2])
    return header, claims


def _read_part(part: str) -> dict[str, object]:
    try:
        read = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise InvalidIdentityToken(reason="The ID Token provided is not a valid JWT.")
    return read


def _verify(token: str, keys: list[ProviderKey], clients: list[str]) -> dict[str, object]:
    """Return the claims of a token that one of the keys signed for one of the clients."""
    import jwt  # only clouds with identity providers need it

    problem = "none"
    for each in keys:
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                each.key.key,
                algorithms=list(each.algorithms),
                options={"require": REQUIRED, "verify_aud": False},
                leeway=LEEWAY,
            )
        except jwt.ExpiredSignatureError:
            raise IdentityTokenExpired(reason="its exp is in the past.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as refusal:
            problem = str(refusal)
        else:
            return _check_audience(claims, clients)
    reason = f"The token can't be verified: {problem[:200]}"
    raise InvalidIdentityToken(reason=reason)


def _check_audience(claims: dict[str, object], clients: list[str]) -> dict[str, object]:
    named = {_text(claims.get("azp")), *_texts(claims.get("aud"))}
    if not named & set(clients):
        raise InvalidIdentityToken(reason="Incorrect token audience")
    return claims


def _find_audience(claims: Mapping[str, object], provider: OidcProviderRow) -> str:
    """Return the first audience of a token that the provider is registered for, else its first."""
    audiences, clients = _texts(claims.get("aud")), list_clients(provider)
    return next((each for each in audiences if each in clients), (audiences or [""])[0])


def _read_tag(key: object, value: object) -> IamTag:
    values = _texts(value)
    if len(values) != 1:
        raise InvalidIdentityToken(
            reason=f"The tag {str(key)[:100]} of the token has not one value."
        )
    return {"key": str(key), "value": values[0]}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
