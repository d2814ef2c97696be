"""Buckets are listed with what they hold, made, emptied and deleted."""

import json

import pytest

from eucabox.bucket import Store
from eucabox.console.pages.buckets import bucket_list
from eucabox.console.site import Console
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.console.buckets.conftest import BUCKET, follow, put
from tests.console.conftest import Visit, give_password


@pytest.mark.not_fast
def test_a_bucket_from_its_making_to_its_end(own: Visit, store: Store) -> None:
    made = own.post("/buckets", {"name": BUCKET, "versioning": "yes"})
    assert "is made" in follow(own, made)
    put(store, "a", b"12345")
    put(store, "a", b"123")
    page = own.get("/buckets").text
    assert f'href="/buckets/{BUCKET}"' in page
    assert "3 B" in page
    assert "enabled" in page
    assert "No bucket yet" not in page
    assert BUCKET not in own.get("/buckets-list?q=other").text
    settings = own.get(f"/buckets/{BUCKET}/settings").text
    assert "<dd>1, 5 B</dd>" in settings, "the older version"
    refused = follow(own, own.post(f"/buckets/{BUCKET}/delete", {"confirm": "typed otherwise"}))
    assert "Nothing is deleted" in refused
    full = follow(own, own.post(f"/buckets/{BUCKET}/delete", {"confirm": BUCKET}))
    assert "one object and 1 older versions" in full
    emptied = follow(own, own.post(f"/buckets/{BUCKET}/empty", {"confirm": BUCKET}))
    assert "2 objects and versions are deleted." in emptied
    assert "Left" not in emptied
    gone = follow(own, own.post(f"/buckets/{BUCKET}/delete", {"confirm": BUCKET}))
    assert "is deleted" in gone
    assert store.buckets() == []


def test_a_name_that_can_not_be_is_refused_with_the_reason(own: Visit, store: Store) -> None:
    for name in ("", "A", "../up", "a" * 64, "b\r\nX: y", "<script>"):
        page = own.post("/buckets", {"name": name})
        assert page.status_code == 400, name
        assert "X" not in page.headers
        assert "<script>" not in page.text
    assert store.buckets() == []


def test_emptying_goes_on_where_it_was_cut(
    own: Visit, store: Store, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_list, "PIECE", 2)
    monkeypatch.setattr(bucket_list, "MOST_SECONDS", -1.0)
    for key in "abc":
        put(store, key)
    page = follow(own, own.post(f"/buckets/{bucket}/empty", {"confirm": bucket}))
    assert "2 objects and versions are deleted. Left: one object. Press once more" in page
    monkeypatch.setattr(bucket_list, "MOST_SECONDS", 20.0)
    assert "Left" not in follow(own, own.post(f"/buckets/{bucket}/empty", {"confirm": bucket}))


def allow(state: State, user_id: str, *actions: str, resource: str = "*") -> None:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    state.delete("inline_policies", {"owner_id": user_id})
    state.insert(
        "inline_policies", {"owner_id": user_id, "policy_name": "own", "document": document}
    )


def test_a_user_sees_and_may_what_its_policy_says(
    console: Console, root: Caller, accounts: Accounts, state: State, store: Store, bucket: str
) -> None:
    put(store, "seen.txt")
    user_id = create_user(state, root.account_id, "bob", "/")["user_id"]
    row = state.one("select password, password_created from users where user_id=?", (root.user_id,))
    assert row
    state.update("users", {"user_id": user_id}, **{name: str(each) for name, each in row.items()})
    visit = Visit(console)
    assert visit.sign_in("bob", account="eucalyptus").status_code == 303
    listing = visit.get("/buckets")
    assert "not authorized to perform: s3:ListAllMyBuckets" in listing.text
    assert "New bucket" not in listing.text
    assert visit.get(f"/buckets/{bucket}").status_code == 403
    for page in ("access", "settings", "object?key=seen.txt", "download?key=seen.txt"):
        assert visit.get(f"/buckets/{bucket}/{page}").status_code == 403
    allow(state, user_id, "s3:ListBucket")
    opened = visit.post("/buckets/open", {"name": bucket})
    assert opened.location == f"/buckets/{bucket}"
    page = visit.get(opened.location).text
    assert "seen.txt" in page
    assert 'id="upload"' not in page
    assert 'name="chosen"' not in page
    settings = visit.get(f"/buckets/{bucket}/settings").text
    assert "Delete the bucket" not in settings
    assert "CORS" not in settings
    refused = visit.post(f"/buckets/{bucket}/empty", {"confirm": bucket})
    assert "not authorized" in visit.get(refused.location or "").text
    assert visit.post("/buckets", {"name": "bobs-own"}).status_code == 403
    assert [each.name for each in store.buckets()] == [bucket]
    assert store.head(bucket, "seen.txt")


@pytest.mark.not_fast
def test_the_bucket_of_another_account_is_as_its_policy_says(
    console: Console, accounts: Accounts, state: State, store: Store, bucket: str
) -> None:
    carol = accounts.create_user("carol")
    give_password(state, carol)
    visit = Visit(console)
    assert visit.sign_in("carol").status_code == 303
    assert visit.get(f"/buckets/{bucket}").status_code == 403
    assert visit.get("/buckets/there-is-none").status_code == 404
    statement = {
        "Effect": "Allow", "Principal": {"AWS": carol.account_id}, "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{bucket}",
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    store.set_bucket_setting(bucket, "policy", document)
    page = visit.get(f"/buckets/{bucket}")
    assert page.status_code == 200
    assert "of another account" in page.text
    assert 'id="upload"' not in page.text
