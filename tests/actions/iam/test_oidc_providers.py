"""The verbs of identity providers, as IAM answers."""

from typing import Any

import pytest

from eucabox.actions import perform
from eucabox.errors import Fault
from tests.actions.stand_ins import ALICE, BOB, World

URL = "https://login.example.com:8443/realms/demo"
ARN = f"arn:aws:iam::{ALICE.account_id}:oidc-provider/login.example.com:8443/realms/demo"
THUMB = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"


class Providers:
    """IAM's verbs of providers, as Alice calls them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def do(self, name: str, caller: Any = ALICE, **params: Any) -> Any:
        return perform("iam", name, self.world.call(caller), params)

    def refuse(self, name: str, caller: Any = ALICE, **params: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self.do(name, caller, **params)
        return caught.value

    def create(self, url: str = URL, **params: Any) -> str:
        params = {"client_id_list": ["shop"], "thumbprint_list": [THUMB], **params}
        answer = self.do("CreateOpenIDConnectProvider", url=url, **params)
        return str(answer["open_id_connect_provider_arn"])

    def get(self, arn: str = ARN) -> Any:
        return self.do("GetOpenIDConnectProvider", open_id_connect_provider_arn=arn)


@pytest.fixture
def providers(world: World) -> Providers:
    return Providers(world)


def test_a_provider_is_shown_as_it_was_made(providers: Providers) -> None:
    assert providers.create(tags=[{"key": "team", "value": "b"}]) == ARN
    shown = providers.get()
    assert shown.pop("create_date")
    assert shown == {
        "url": "login.example.com:8443/realms/demo",
        "client_id_list": ["shop"],
        "thumbprint_list": [THUMB],
        "tags": [{"key": "team", "value": "b"}],
    }
    listed = providers.do("ListOpenIDConnectProviders")
    assert listed == {"open_id_connect_provider_list": [{"arn": ARN}]}


def test_a_url_is_one_providers(providers: Providers) -> None:
    providers.create()
    for url in (URL, URL + "/"):
        fault = providers.refuse("CreateOpenIDConnectProvider", url=url)
        assert (fault.code, fault.message) == (
            "EntityAlreadyExists",
            f"Provider with url {url} already exists.",
        )
    assert providers.do("CreateOpenIDConnectProvider", BOB, url=URL)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"url": "http://example.com"}, "InvalidInput"),
        ({"url": "example.com"}, "InvalidInput"),
        ({"url": "https://"}, "InvalidInput"),
        ({"url": "https://example.com/?x=1"}, "InvalidInput"),
        ({"url": "https://ann@example.com/"}, "InvalidInput"),
        ({"url": "https://example.com:99999"}, "InvalidInput"),
        ({"url": "https://example.com/a b"}, "InvalidInput"),
        ({"url": ""}, "ValidationError"),
        ({"url": "https://" + "x" * 250}, "ValidationError"),
        ({"client_id_list": ["x"] * 101}, "ValidationError"),
        ({"client_id_list": [""]}, "ValidationError"),
        ({"client_id_list": ["x" * 256]}, "ValidationError"),
        ({"thumbprint_list": [THUMB] * 6}, "ValidationError"),
        ({"thumbprint_list": ["ab"]}, "ValidationError"),
        ({"tags": [{"key": "aws:x", "value": ""}]}, "InvalidInput"),
    ],
)
def test_what_is_no_provider(providers: Providers, params: dict[str, Any], code: str) -> None:
    fault = providers.refuse("CreateOpenIDConnectProvider", **{"url": URL, **params})
    assert fault.code == code, fault.message
    listed = providers.do("ListOpenIDConnectProviders")
    assert listed == {"open_id_connect_provider_list": []}


def test_this_hosts_own_provider_needs_no_tls(providers: Providers) -> None:
    for url in ("http://localhost:8080/x", "http://127.0.0.1", "http://[::1]:8080/y"):
        assert providers.create(url).endswith(url.removeprefix("http://"))


def test_clients_come_and_go(providers: Providers) -> None:
    arn = {"open_id_connect_provider_arn": providers.create()}
    for name in ("mail", "mail"):
        providers.do("AddClientIDToOpenIDConnectProvider", client_id=name, **arn)
    assert providers.get()["client_id_list"] == ["shop", "mail"]
    for name in ("shop", "shop"):
        providers.do("RemoveClientIDFromOpenIDConnectProvider", client_id=name, **arn)
    assert providers.get()["client_id_list"] == ["mail"]
    fault = providers.refuse("AddClientIDToOpenIDConnectProvider", client_id="", **arn)
    assert fault.code == "ValidationError"
    for number in range(99):
        providers.do("AddClientIDToOpenIDConnectProvider", client_id=f"{number}", **arn)
    fault = providers.refuse("AddClientIDToOpenIDConnectProvider", client_id="more", **arn)
    assert fault.code == "LimitExceeded"


def test_thumbprints_and_tags(providers: Providers) -> None:
    arn = {"open_id_connect_provider_arn": providers.create()}
    other = "0" * 40
    providers.do("UpdateOpenIDConnectProviderThumbprint", thumbprint_list=[other], **arn)
    assert providers.get()["thumbprint_list"] == [other]
    tag = {"key": "team", "value": "b"}
    providers.do("TagOpenIDConnectProvider", tags=[tag], **arn)
    listed = providers.do("ListOpenIDConnectProviderTags", **arn)
    assert listed == {"tags": [tag], "is_truncated": False}
    providers.do("UntagOpenIDConnectProvider", tag_keys=["team"], **arn)
    assert providers.get()["tags"] == []


def test_a_provider_that_is_gone_or_anothers_is_not_found(providers: Providers) -> None:
    arn = {"open_id_connect_provider_arn": providers.create(tags=[{"key": "a", "value": "b"}])}
    assert providers.refuse("GetOpenIDConnectProvider", BOB, **arn).code == "NoSuchEntity"
    assert providers.refuse("DeleteOpenIDConnectProvider", BOB, **arn).code == "NoSuchEntity"
    providers.do("DeleteOpenIDConnectProvider", **arn)
    fault = providers.refuse("GetOpenIDConnectProvider", **arn)
    assert fault.message == f"OpenIDConnect Provider not found for arn {ARN}"
    assert not providers.world.state.query("select 1 from iam_tags")
    fault = providers.refuse("GetOpenIDConnectProvider", open_id_connect_provider_arn="x" * 30)
    assert fault.code == "InvalidInput"


def test_an_account_has_a_limit_of_providers(providers: Providers) -> None:
    for number in range(100):
        providers.create(f"https://example.com/{number}")
    assert providers.refuse("CreateOpenIDConnectProvider", url=URL).code == "LimitExceeded"
