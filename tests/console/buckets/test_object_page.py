"""An object's page: links that S3 takes, tags, metadata, access lists."""

import html
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest

from eucabox.bucket import Store
from eucabox.config import ApiSection, Config
from eucabox.console.pages.buckets.object_page import list_endpoints
from eucabox.errors import Fault
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.state import State
from eucabox.wire.request import Request
from eucabox.wire.sign.rest import authenticate_rest
from tests.console.buckets.conftest import BUCKET, follow, put
from tests.console.conftest import Visit

LINK = re.compile(r'id="signed-link">([^<]+)<')


def ask_for(own: Visit, key: str, **form: str) -> str:
    fields = {"endpoint": "http://127.0.0.1:8773", "amount": "5", "unit": "minutes", **form}
    page = own.post(f"/buckets/{BUCKET}/object/link?key={key}", fields)
    assert page.status_code == 200, page.text
    found = LINK.search(page.text)
    assert found
    return html.unescape(found[1])


def verify(link: str, accounts: Accounts, now: datetime) -> Caller | None:
    """Who signed a link, as S3 finds it."""
    parts = urlsplit(link)
    request = Request(
        "GET", link, parts.path, parts.query, {"host": parts.netloc}, scheme=parts.scheme,
        host=parts.netloc,
    )  # fmt: skip
    return authenticate_rest(request, accounts.credential, now).caller


def test_a_link_is_signed_as_s3_wants_it(
    own: Visit, store: Store, bucket: str, accounts: Accounts, root: Caller
) -> None:
    now = datetime.now(UTC)
    for key in ("a", "dir/b c", "\u2713+&=?#", "~_-."):
        put(store, key)
        link = ask_for(own, quote(key, safe=""))
        assert link.startswith(f"http://127.0.0.1:8773/{BUCKET}/")
        assert "X-Amz-Expires=300&" in link
        caller = verify(link, accounts, now + timedelta(seconds=9))
        assert caller
        assert caller.user_id == root.user_id
    with pytest.raises(Fault, match="expired"):
        verify(link, accounts, now + timedelta(minutes=6))
    with pytest.raises(Fault):
        verify(link.replace(f"/{BUCKET}/", f"/{BUCKET}/x"), accounts, now)


def test_a_link_needs_a_known_address_a_time_and_a_key(
    own: Visit, store: Store, bucket: str, state: State, root: Caller
) -> None:
    put(store, "a")
    at = f"/buckets/{BUCKET}/object/link?key=a"
    good = {"endpoint": "http://127.0.0.1:8773", "amount": "1", "unit": "days"}
    for wrong in ({"endpoint": "http://evil.example"}, {"amount": "x"}, {"unit": "years"}):
        assert own.post(at, {**good, **wrong}).status_code == 400
    long = own.post(at, {**good, "amount": "8"})
    assert long.status_code == 400
    assert "7 days" in long.text
    state.update("access_keys", {"user_id": root.user_id}, status="Inactive")
    lacks = own.post(at, good)
    assert lacks.status_code == 404
    assert "make one at Credentials" in lacks.text


def test_links_have_all_addresses_of_the_api() -> None:
    config = Config(api=ApiSection(hosts="s3.example.com", https_port=8443))
    assert list_endpoints(config, "console.example.com:8888") == [
        "http://s3.example.com:8773", "http://127.0.0.1:8773", "https://s3.example.com:8443",
        "https://127.0.0.1:8443",
    ]  # fmt: skip
    config = Config(api=ApiSection(listen="0.0.0.0", https_port=0))
    assert list_endpoints(config, "console.example.com:8888") == [
        "http://console.example.com:8773", "http://127.0.0.1:8773",
    ]  # fmt: skip


def test_tags_metadata_and_access_list(own: Visit, store: Store, bucket: str) -> None:
    put(store, "a", content_type="text/plain", metadata={"old": "1"})
    at = f"/buckets/{BUCKET}/object"
    form = {"tag_key": "team", "tag_value": "<b>red</b>"}
    assert "invalid" in follow(own, own.post(f"{at}/tags?key=a", form))
    page = follow(own, own.post(f"{at}/tags?key=a", {"tag_key": "team", "tag_value": "red/1"}))
    assert 'value="red/1"' in page
    assert store.head(bucket, "a").properties.tags == {"team": "red/1"}
    follow(own, own.post(f"{at}/acl?key=a", {"acl": "public-read"}))
    assert "anybody" in own.get(f"{at}?key=a").text
    new = {"content_type": "text/csv", "cache_control": "no-store", "metadata": "Owner: <i>x</i>\n"}
    page = follow(own, own.post(f"{at}/metadata?key=a", new))
    assert "<i>x" not in page
    properties = store.head(bucket, "a").properties
    assert properties.content_type == "text/csv"
    assert properties.metadata == {"owner": "<i>x</i>"}
    assert properties.headers == {"cache_control": "no-store"}
    assert properties.tags == {"team": "red/1"}, "they stay"
    assert "anybody" in page, "so does the access list"
    assert own.post(f"{at}/metadata?key=a", {"metadata": "no colon"}).status_code == 400
    assert own.post(f"{at}/metadata?key=a", {"metadata": "a\tb: c"}).status_code == 400
    follow(own, own.post(f"{at}/tags?key=a", {"tag_key": "", "tag_value": ""}))
    assert store.head(bucket, "a").properties.tags == {}
    gone = follow(own, own.post(f"{at}/delete?key=a"))
    assert "a is deleted." in gone
    assert "versions stay" not in gone
