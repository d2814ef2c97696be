"""The policy's editor, and the answer who may read, which is that of a request."""

import json
import re

import pytest

from eucabox.bucket import Store
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.console.buckets.conftest import BUCKET, follow, put
from tests.console.buckets.test_bucket_list import allow
from tests.console.conftest import Visit

AT = f"/buckets/{BUCKET}/access"
ROW = re.compile(
    r'data-label="Who"><strong>([^<]+)</strong>.*?'
    r'data-label="May list">.*?>(yes|no)<.*?data-label="May read">.*?>(yes|no)<'
    r'.*?data-label="May write">.*?>(yes|no)<.*?data-label="Why">([^<]*)<',
    re.DOTALL,
)
ANYBODY = "Anybody, without a key"


def read_answers(page: str) -> dict[str, str]:
    return {who: " ".join(answers) for who, *answers, _ in ROW.findall(page)}


def allow_read(principal: object, effect: str = "Allow") -> str:
    statement = {
        "Effect": effect, "Principal": principal, "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.not_fast
def test_who_may_read_before_and_after_a_policy(
    own: Visit, store: Store, bucket: str, state: State, root: Caller, accounts: Accounts
) -> None:
    user_id = create_user(state, root.account_id, "bob", "/")["user_id"]
    before = read_answers(own.get(AT).text)
    assert before[ANYBODY] == "no no no"
    assert before["Any other account of this cloud"] == "no no no"
    assert before["The user bob"] == "no no no"
    assert before["The root of this account"] == "yes yes yes"
    allow(state, user_id, "s3:GetObject")
    public = allow_read("*")
    tried = own.post(f"{AT}/policy", {"policy": public, "what": "try"})
    assert tried.status_code == 200
    assert "not saved" in tried.text
    assert read_answers(tried.text)[ANYBODY] == "no yes no"
    assert "policy" not in store.bucket(bucket).settings
    saved = follow(own, own.post(f"{AT}/policy", {"policy": public, "what": "save"}))
    answers = read_answers(saved)
    assert answers[ANYBODY] == "no yes no"
    assert answers["The user bob"] == "no yes no"
    assert "public" in own.get("/buckets").text
    follow(own, own.post(f"{AT}/block", {"restrict_public_buckets": "yes"}))
    assert read_answers(own.get(AT).text)[ANYBODY] == "no no no"
    follow(own, own.post(f"{AT}/block"))
    carol = accounts.create_user("carol")
    named = follow(own, own.post(f"{AT}/policy", {"policy": allow_read({"AWS": carol.account_id})}))
    assert read_answers(named)["The account carol"] == "no yes no"
    assert read_answers(named)[ANYBODY] == "no no no"
    denied = follow(own, own.post(f"{AT}/policy", {"policy": allow_read("*", "Deny")}))
    assert read_answers(denied)["The root of this account"] == "yes no yes"
    follow(own, own.post(f"{AT}/policy", {"policy": ""}))
    assert "policy" not in store.bucket(bucket).settings


def test_an_object_of_its_own_access_list(own: Visit, store: Store, bucket: str) -> None:
    put(store, "open", acl={"canned": "public-read"})
    assert read_answers(own.get(f"{AT}?key=open").text)[ANYBODY] == "no yes no"
    assert "access list (ACL) allows" in own.get(f"{AT}?key=open").text
    assert read_answers(own.get(f"{AT}?key=other").text)[ANYBODY] == "no no no"
    follow(own, own.post(f"{AT}/acl", {"acl": "public-read-write"}))
    assert read_answers(own.get(AT).text)[ANYBODY] == "yes no yes"
    follow(own, own.post(f"{AT}/acl", {"acl": "private"}))
    follow(own, own.post(f"{AT}/ownership", {"ownership": "BucketOwnerEnforced"}))
    assert read_answers(own.get(f"{AT}?key=open").text)[ANYBODY] == "no no no"
    assert "Use one of" in follow(own, own.post(f"{AT}/acl", {"acl": "evil"}))


def test_a_wrong_policy_stays_in_the_editor_with_the_reason(
    own: Visit, store: Store, bucket: str
) -> None:
    for text in (
        "nonsense",
        "</textarea><script>alert(1)</script>",
        allow_read("*")[:-1],
        "[" * 9999,
    ):
        for what in ("try", "save"):
            page = own.post(f"{AT}/policy", {"policy": text, "what": what})
            assert page.status_code == 400, text
            assert 'role="alert"' in page.text
            assert "<script>alert" not in page.text
    assert own.post(f"{AT}/policy", {"policy": "x" * 30_000}).status_code == 400
    assert "policy" not in store.bucket(bucket).settings
