import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eucabox import api
from eucabox.config import Config
from eucabox.ec2 import instance_profiles
from eucabox.errors import (
    Fault,
    MetadataBadRequest,
    MetadataForbidden,
    MetadataMethodNotAllowed,
    MetadataNotFound,
    MetadataUnauthorized,
)
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from eucabox.wire import metadata
from eucabox.wire.metadata import TTL
from eucabox.wire.request import Answer, Request
from tests.rows import add_instance, add_profile

TREE = {
    "dynamic": {"instance-identity": {"document": "{}", "signature": "MA=="}},
    "meta-data": {
        "instance-id": "i-1",
        "empty": "",
        "network": {"interfaces": {"macs": {"d0:0d:00:00:00:01": {"device-number": "0"}}}},
        "public-keys": {"0=my key": {"openssh-key": "ssh-rsa AAAA\n"}},
        "security-groups": "a\nb",
        "tags": {"instance": {"0=x": "y", "Name": "n"}},
    },
    "user-data": b"\x00\xff",
}


def request(path: str, method: str = "GET", **headers: str) -> Request:
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Request(method=method, target=path, path=path, query="", headers=named)


def get(path: str, tree: dict[str, Any] = TREE) -> Answer:
    return metadata.answer(metadata.understand(request(path)), tree)


def text(path: str) -> str:
    body = get(path).body
    assert isinstance(body, bytes)
    return body.decode()


def test_a_leaf_is_plain_text_as_it_is() -> None:
    answer = get("/latest/meta-data/instance-id")
    assert (answer.status, answer.body) == (200, b"i-1")
    assert ("Content-Type", "text/plain") in answer.headers
    assert ("Server", "EC2ws") in answer.headers


def test_user_data_is_bytes() -> None:
    answer = get("/latest/user-data")
    assert answer.body == b"\x00\xff"
    assert ("Content-Type", "application/octet-stream") in answer.headers


@pytest.mark.parametrize("version", ["latest", "1.0", "2009-04-04", "2021-03-23", "2031-12-31"])
def test_every_version_has_the_same(version: str) -> None:
    assert text(f"/{version}/meta-data/instance-id") == "i-1"


def test_listings() -> None:
    assert "latest" in text("/").split("\n")
    assert text("/latest") == text("/latest/") == "dynamic\nmeta-data\nuser-data"
    assert text("/latest/meta-data/") == text("/latest/meta-data")
    assert text("/latest/meta-data/").split("\n") == [
        "empty",
        "instance-id",
        "network/",
        "public-keys/",
        "security-groups",
        "tags/",
    ]
    assert text("/latest/meta-data/network/interfaces/macs/") == "d0:0d:00:00:00:01/"


def test_keys_are_listed_by_index_and_name_and_found_by_index() -> None:
    base = "/latest/meta-data/public-keys"
    assert text(f"{base}/") == "0=my key"
    assert text(f"{base}/0") == text(f"{base}/0/") == "openssh-key"
    assert text(f"{base}/0/openssh-key") == "ssh-rsa AAAA\n"


def test_a_tag_is_found_by_all_of_its_key() -> None:
    assert text("/latest/meta-data/tags/instance/0=x") == "y"
    assert text("/latest/meta-data/tags/instance/0%3Dx") == "y"


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/no",
        "/latest/meta-data/instance-id/more",
        "/latest/meta-data/public-keys/1",
        "/latest/meta-data/../user-data",
        "/latest/api",
        "/newest/meta-data",
        "/2009-4-4/meta-data",
        "/favicon.ico",
        "/%ff%00",
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    with pytest.raises(MetadataNotFound) as caught:
        get(path)
    assert metadata.refuse(caught.value, "").status == 404


def test_no_user_data_is_404() -> None:
    with pytest.raises(MetadataNotFound):
        get("/latest/user-data", {"meta-data": {}})


def walk(path: str) -> dict[str, Any]:
    """Read all there is the way cloud-init does: what is listed is asked for."""
    found: dict[str, Any] = {}
    for line in text(path).splitlines():
        index, equals, _ = line.partition("=")
        if line.endswith("/"):
            found[line] = walk(path + line)
        elif equals and "public-keys" in path:
            found[line] = text(f"{path}{index}/openssh-key")
        else:
            found[line] = text(path + line)
    return found


def test_every_listed_leaf_answers() -> None:
    found = walk("/2021-03-23/meta-data/")
    assert found["public-keys/"] == {"0=my key": "ssh-rsa AAAA\n"}
    assert found["tags/"] == {"instance/": {"0=x": "y", "Name": "n"}}
    assert found["empty"] == ""


def test_every_leaf_of_a_real_instance_answers_through_the_door(
    config: Config, state: State, accounts: Accounts
) -> None:
    """The whole road, walked as cloud-init does it, with a session token."""
    account_id = accounts.create_user("ann").account_id
    instance_id = add_instance(
        state,
        account_id=account_id,
        key_name="mine",
        public_key="ssh-rsa AAAA mine",
        user_data=b"#!/bin/sh\n",
        metadata_options='{"http_tokens": "required", "instance_metadata_tags": "enabled"}',
    )
    add_profile(state, account_id, "web", role="app")
    profile = instance_profiles.get_profile(state, account_id, {"name": "web"})
    instance_profiles.associate(state, instance_id, profile)
    network = SimpleNamespace(owns_address=lambda ip, mac: True, api_address="172.30.64.1")
    cloud = SimpleNamespace(config=config, state=state, accounts=accounts, network=network)
    app = api.create_metadata_app(cast(Any, cloud))

    hops: list[int] = []

    def ask(path: str, method: str = "GET", **headers: str) -> str:
        sent = {name.lower().replace("_", "-"): value for name, value in headers.items()}
        request = app.build_request(method, path, sent, io.BytesIO(), None, "172.30.64.4")
        answer = app.handle(request)
        hops.extend([answer.hops] if answer.hops else [])
        status, _, pieces = api.http_response(request, answer)
        body = b"".join(pieces)
        assert status == "200 OK", (path, status, body)
        return body.decode()

    token = ask("/latest/api/token", "PUT", **{TTL.upper().replace("-", "_"): "60"})
    paths: list[str] = []

    def walk_all(path: str) -> None:
        for line in ask(path, X_AWS_EC2_METADATA_TOKEN=token).splitlines():
            name = line.partition("=")[0] + "/" if "=" in line else line
            paths.append(path + name)
            if name.endswith("/"):
                walk_all(path + name)
            else:
                ask(path + name, X_AWS_EC2_METADATA_TOKEN=token)

    for top in ("meta-data/", "dynamic/"):
        walk_all(f"/latest/{top}")
    assert "/latest/meta-data/public-keys/0/openssh-key" in paths
    assert "/latest/meta-data/network/interfaces/macs/d0:0d:ac:1e:40:04/device-number" in paths
    assert "/latest/dynamic/instance-identity/document" in paths
    assert "/latest/meta-data/services/endpoint" in paths
    assert "/latest/meta-data/iam/info" in paths
    role = "/latest/meta-data/iam/security-credentials/app"
    assert role in paths
    members = json.loads(ask(role, X_AWS_EC2_METADATA_TOKEN=token))
    assert members["Code"] == "Success"
    assert accounts.credential(members["AccessKeyId"])
    found = ask("/latest/meta-data/instance-id", X_AWS_EC2_METADATA_TOKEN=token)
    assert found == instance_id
    assert ask("/latest/user-data", X_AWS_EC2_METADATA_TOKEN=token) == "#!/bin/sh\n"
    assert hops == [1], "the token's answer is the only one that is kept near"


# --- credentials of a role -----------------------------------------------------------------------


def test_credentials_have_ec2s_form() -> None:
    understood = metadata.understand(
        request("/latest/meta-data/iam/security-credentials/app%2Cx/", **{metadata.TOKEN: "AAA="})
    )
    assert understood.name == "GetInstanceCredentials"
    assert understood.params == {"role_name": "app,x", "token": "AAA="}
    result = {
        "code": "Success",
        "last_updated": datetime(2026, 11, 23, 1, 2, 3, 456, UTC),
        "type": "AWS-HMAC",
        "access_key_id": "ASIAEXAMPLE",
        "secret_access_key": "a/b+c",
        "token": "t",
        "expiration": datetime(2026, 11, 23, 2, 2, 3, 456, UTC),
    }
    answer = metadata.answer(understood, result)
    assert answer.status == 200
    assert ("Content-Type", "text/plain") in answer.headers
    assert answer.body == (
        b'{\n  "Code" : "Success",\n  "LastUpdated" : "2026-11-23T01:02:03Z",\n'
        b'  "Type" : "AWS-HMAC",\n  "AccessKeyId" : "ASIAEXAMPLE",\n'
        b'  "SecretAccessKey" : "a/b+c",\n  "Token" : "t",\n'
        b'  "Expiration" : "2026-11-23T02:02:03Z"\n}'
    )


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/iam/security-credentials/a/b",
        "/latest/meta-data/iam/info",
        "/meta-data/iam/security-credentials/a",
        "/latest/user-data",
    ],
)
def test_other_paths_make_no_credentials(path: str) -> None:
    try:
        assert metadata.understand(request(path)).name == "GetMetadata"
    except MetadataNotFound:
        assert not path.startswith("/latest")


# --- tokens ------------------------------------------------------------------------------------


def test_a_token_is_made_by_put() -> None:
    understood = metadata.understand(request("/latest/api/token", "PUT", **{TTL: "60"}))
    assert (understood.name, understood.params) == ("CreateToken", {"seconds": 60})
    answer = metadata.answer(understood, {"token": "AAA=", "seconds": 60, "hops": 2})
    assert (answer.body, answer.hops) == (b"AAA=", 2)
    assert get("/latest/meta-data/instance-id").hops == 0, "only a token is kept near"
    assert (TTL, "60") in answer.headers


def test_a_token_travels_in_a_header() -> None:
    header = {"X-aws-ec2-metadata-token": "AAA="}
    assert metadata.understand(request("/", **header)).params == {"token": "AAA="}
    assert metadata.understand(request("/")).params == {}


@pytest.mark.parametrize("ttl", [None, "", "x", "-1", "1.5", "\u0661", "9" * 5000])
def test_a_life_that_is_no_number_is_refused(ttl: str | None) -> None:
    headers = {} if ttl is None else {TTL: ttl}
    with pytest.raises(MetadataBadRequest):
        metadata.understand(request("/latest/api/token", "PUT", **headers))


def test_no_token_for_a_proxy() -> None:
    headers = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
    with pytest.raises(MetadataForbidden):
        metadata.understand(request("/latest/api/token", "PUT", **headers))


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("PUT", "/latest/meta-data"), ("GET", "/latest/api/token"), ("DELETE", "/x")],
)
def test_other_methods_are_refused(method: str, path: str) -> None:
    with pytest.raises(MetadataMethodNotAllowed) as caught:
        metadata.understand(request(path, method))
    assert metadata.refuse(caught.value, "").status == 405


def test_a_fault_is_one_line_of_text() -> None:
    answer = metadata.refuse(MetadataUnauthorized(reason="No."), "")
    assert answer.status == 401
    assert isinstance(answer.body, bytes)
    assert answer.body.startswith(b"No. Get a token")
    assert metadata.refuse(Fault(), "").status == 500
