"""Identity providers (OpenID Connect), whose people may assume roles; checks no token."""

import json
from collections.abc import Sequence

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.iam import identity_providers as providers
from eucabox.iam.iam_tags import IamTag, check_tags, delete_tags, list_tags, remove_tags, set_tags
from eucabox.iam.identity_providers import get_provider, provider_arn, provider_name
from eucabox.iam.rows import OidcProviderRow


@action("iam", name="CreateOpenIDConnectProvider")
def create_open_id_connect_provider(
    call: Call,
    *,
    url: str,
    client_id_list: Sequence[str] = (),
    thumbprint_list: Sequence[str] = (),
    tags: Sequence[IamTag] = (),
) -> Result:
    """Add a provider to the account."""
    check_tags(tags)
    state = call.cloud.state
    with state.transaction():
        row = providers.create_provider(
            state, call.account_id, url, client_id_list, thumbprint_list
        )
        set_tags(state, row["provider_id"], tags)
    answer: Result = {"open_id_connect_provider_arn": provider_arn(row)}
    return {**answer, "tags": list(tags)} if tags else answer


@action("iam", name="GetOpenIDConnectProvider")
def get_open_id_connect_provider(call: Call, *, open_id_connect_provider_arn: str) -> Result:
    """Return a provider, whose URL has no scheme here."""
    row = _get(call, open_id_connect_provider_arn)
    return {
        "url": provider_name(row["url"]),
        "client_id_list": providers.list_clients(row),
        "thumbprint_list": json.loads(row["thumbprints"]),
        "create_date": ids.parse_time(row["created"]),
        "tags": list_tags(call.cloud.state, row["provider_id"]),
    }


@action("iam", name="ListOpenIDConnectProviders")
def list_open_id_connect_providers(call: Call) -> Result:
    """List the ARNs of the account's providers."""
    rows = providers.list_providers(call.cloud.state, call.account_id)
    return {"open_id_connect_provider_list": [{"arn": provider_arn(each)} for each in rows]}


@action("iam", name="DeleteOpenIDConnectProvider")
def delete_open_id_connect_provider(call: Call, *, open_id_connect_provider_arn: str) -> None:
    """Delete a provider; the sessions that it vouched for go on to their end."""
    with call.cloud.state.transaction():
        row = _get(call, open_id_connect_provider_arn)
        delete_tags(call.cloud.state, row["provider_id"])
        call.cloud.state.delete("oidc_providers", {"provider_id": row["provider_id"]})


@action("iam", name="AddClientIDToOpenIDConnectProvider")
def add_client_id_to_open_id_connect_provider(
    call: Call, *, open_id_connect_provider_arn: str, client_id: str
) -> None:
    """Let tokens for one more audience count."""
    with call.cloud.state.transaction():
        row = _get(call, open_id_connect_provider_arn)
        providers.add_client(call.cloud.state, row, client_id)


@action("iam", name="RemoveClientIDFromOpenIDConnectProvider")
def remove_client_id_from_open_id_connect_provider(
    call: Call, *, open_id_connect_provider_arn: str, client_id: str
) -> None:
    """Let tokens for an audience count no more."""
    with call.cloud.state.transaction():
        row = _get(call, open_id_connect_provider_arn)
        providers.remove_client(call.cloud.state, row, client_id)


@action("iam", name="UpdateOpenIDConnectProviderThumbprint")
def update_open_id_connect_provider_thumbprint(
    call: Call, *, open_id_connect_provider_arn: str, thumbprint_list: Sequence[str]
) -> None:
    """Give a provider other thumbprints, which are kept for clients that compare them."""
    with call.cloud.state.transaction():
        row = _get(call, open_id_connect_provider_arn)
        providers.replace_thumbprints(call.cloud.state, row, thumbprint_list)


@action("iam", name="TagOpenIDConnectProvider")
def tag_open_id_connect_provider(
    call: Call, *, open_id_connect_provider_arn: str, tags: Sequence[IamTag]
) -> None:
    """Give a provider tags, in place of those with the same keys."""
    row = _get(call, open_id_connect_provider_arn)
    set_tags(call.cloud.state, row["provider_id"], tags)


@action("iam", name="UntagOpenIDConnectProvider")
def untag_open_id_connect_provider(
    call: Call, *, open_id_connect_provider_arn: str, tag_keys: Sequence[str]
) -> None:
    """Take tags from a provider."""
    row = _get(call, open_id_connect_provider_arn)
    remove_tags(call.cloud.state, row["provider_id"], tag_keys)


@action("iam", name="ListOpenIDConnectProviderTags")
def list_open_id_connect_provider_tags(call: Call, *, open_id_connect_provider_arn: str) -> Result:
    """List the tags of a provider, which are 50 at most."""
    row = _get(call, open_id_connect_provider_arn)
    return {"tags": list_tags(call.cloud.state, row["provider_id"]), "is_truncated": False}


def _get(call: Call, arn: str) -> OidcProviderRow:
    return get_provider(call.cloud.state, call.account_id, arn)
