"""Who may do what to buckets and objects: users, sessions of roles, and their policies, beside the
bucket's policy and ACLs."""

import json
from dataclasses import replace
from typing import Any

import pytest

from eucabox.errors import (
    AccessDenied,
    Fault,
    MalformedPolicy,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
)
from eucabox.iam.caller import Caller
from eucabox.iam.users import erase_user
from eucabox.s3 import bucket_policies
from tests.actions.people import People, document, statement
from tests.actions.stand_ins import ADMIN, ALICE, BOB

ARN = "arn:aws:s3:::shop"
EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture
def shop(people: People) -> People:
    """Alice's bucket with an object."""
    people.do("s3:CreateBucket", ALICE, bucket="shop")
    people.do("s3:PutObject", ALICE, bucket="shop", key="k", body=b"x")
    return people


def put_policy(people: People, *statements: dict[str, Any]) -> None:
    people.do("s3:PutBucketPolicy", ALICE, bucket="shop", policy=document(*statements))


def grant(principal: str, action: str, resource: str = f"{ARN}/*", **more: Any) -> dict[str, Any]:
    return {**statement(action, resource, **more), "Principal": {"AWS": principal}}


def refused(people: People, verb: str, caller: Caller | None, **params: Any) -> str:
    """Return the sentence of a refusal."""
    with pytest.raises(AccessDenied) as fault:
        people.do(f"s3:{verb}", caller, **{"bucket": "shop", **params})
    return fault.value.sentence


def may(people: People, verb: str, caller: Caller | None, **params: Any) -> bool:
    try:
        answer = people.do(f"s3:{verb}", caller, **{"bucket": "shop", **params})
    except AccessDenied:
        return False
    if isinstance(answer, dict) and "body" in answer:
        answer["body"].close()
    return True


# --- within an account ---------------------------------------------------------------------------


def test_a_user_without_policy_gets_nothing_of_its_account(shop: People) -> None:
    eve = shop.user("eve")
    assert refused(shop, "GetObject", eve, key="k") == (
        f"User: {eve.arn} is not authorized to perform: s3:GetObject on resource:"
        f' "{ARN}/k" because no identity-based policy allows the s3:GetObject action'
    )
    for verb, params in (
        ("PutObject", {"key": "k", "body": b""}),
        ("DeleteObject", {"key": "k"}),
        ("ListObjectsV2", {}),
        ("HeadBucket", {}),
        ("DeleteBucket", {}),
        ("PutBucketPolicy", {"policy": "{}"}),
        ("CreateMultipartUpload", {"key": "k"}),
    ):
        refused(shop, verb, eve, **params)
    with pytest.raises(AccessDenied, match="s3:ListAllMyBuckets because"):
        shop.do("s3:ListBuckets", eve)
    with pytest.raises(AccessDenied, match="s3:CreateBucket on resource"):
        shop.do("s3:CreateBucket", eve, bucket="hers")
    with pytest.raises(NoSuchBucket):
        shop.do("s3:CreateBucket", ALICE, bucket="none") and shop.do(
            "s3:HeadBucket", ALICE, bucket="other"
        )


def test_either_the_users_policy_or_the_buckets_is_enough_at_home(shop: People) -> None:
    eve = shop.user("eve", statement("s3:GetObject", f"{ARN}/*"))
    assert may(shop, "GetObject", eve, key="k")
    assert not may(shop, "PutObject", eve, key="k", body=b"")
    put_policy(shop, grant(eve.arn, "s3:PutObject"))
    assert may(shop, "PutObject", eve, key="k", body=b"")
    ann = shop.user("ann")
    put_policy(shop, grant(ALICE.account_id, "s3:*"))
    assert not may(shop, "GetObject", ann, key="k"), "the account hands on what it is given"
    put_policy(shop, grant("*", "s3:GetObject"))
    assert may(shop, "GetObject", ann, key="k")


def show_principals(people: People) -> list[Any]:
    text = people.do("s3:GetBucketPolicy", ALICE, bucket="shop")["policy"]
    return [each["Principal"]["AWS"] for each in json.loads(text)["Statement"]]


def test_whom_a_policy_names_it_means_and_nobody_of_the_same_name_later(shop: People) -> None:
    eve, job = shop.user("eve", path="/staff/"), shop.session("Job")
    role = f"arn:aws:iam::{ALICE.account_id}:role/Job"
    named = [eve.arn, role, job.arn, "arn:aws:iam::alice:user/alice", "arn:aws:iam::bob:root"]
    put_policy(shop, *(grant(each, "s3:GetObject") for each in named))
    root = f"arn:aws:iam::{ALICE.account_id}:user/alice"
    others = [root, f"arn:aws:iam::{BOB.account_id}:root"]
    assert show_principals(shop) == [eve.arn, role, job.arn, *others]
    for caller in (eve, job, BOB):
        assert may(shop, "GetObject", caller, key="k")
    shop.state.update("users", {"user_id": eve.user_id}, user_name="eva")
    shop.state.update("roles", {"role_name": "Job"}, role_name="Task")
    task = role.replace("Job", "Task")
    assert show_principals(shop)[:2] == [eve.arn.replace("eve", "eva"), task]
    assert may(shop, "GetObject", replace(eve, user_name="eva"), key="k")
    erase_user(shop.state, eve.user_id)
    shop.state.delete("roles", {"role_name": "Task"})
    again = shop.user("eve", path="/staff/")
    assert not may(shop, "GetObject", again, key="k")
    shown = [eve.user_id, "AROAJOB", "AROAJOB:job", *others]
    assert show_principals(shop) == shown


@pytest.mark.parametrize(
    "name", ["user/eve", "user/other/eve", "user/Eve", "user/nobody", "role/staff/eve"]
)
def test_a_policy_names_users_and_roles_with_their_paths(shop: People, name: str) -> None:
    shop.user("eve", path="/staff/")
    with pytest.raises(MalformedPolicy, match="Invalid principal in policy"):
        put_policy(shop, grant(f"arn:aws:iam::{ALICE.account_id}:{name}", "s3:GetObject"))
    with pytest.raises(MalformedPolicy, match="Invalid principal in policy"):
        put_policy(shop, grant("AIDAAAAAAAAAAAAAAAAAA", "s3:GetObject"))


def test_a_policy_stored_with_names_means_at_the_next_start_who_has_them(shop: People) -> None:
    eve, store = shop.user("eve", path="/staff/"), shop.cloud.store
    home = f"arn:aws:iam::{ALICE.account_id}:user"
    named = [f"{home}/eve", f"{home}/ann", "arn:aws:iam::nobody:root"]
    old = document(*(grant(each, "s3:GetObject") for each in named))
    store.set_bucket_setting("shop", "policy", old)
    for name, text in (("broken", "{"), ("plain", document(grant("*", "s3:GetObject")))):
        shop.do("s3:CreateBucket", ALICE, bucket=name)
        store.set_bucket_setting(name, "policy", text)
    ann = shop.user("ann", root=BOB)
    assert bucket_policies.name_by_ids(shop.state, store) == 1
    assert bucket_policies.name_by_ids(shop.state, store) == 0
    assert may(shop, "GetObject", eve, key="k")
    assert not may(shop, "GetObject", shop.user("ann"), key="k"), "it was nobody's name then"
    assert not may(shop, "GetObject", ann, key="k")
    shown = show_principals(shop)
    assert shown[0] == eve.arn
    assert [each[:4] for each in shown[1:]] == ["AIDA", "AIDA"]
    assert store.bucket("broken").settings["policy"] == "{"


def test_a_denial_anywhere_counts(shop: People) -> None:
    eve = shop.user("eve", statement("s3:*"), statement("s3:GetObject", Effect="Deny"))
    put_policy(shop, grant("*", "s3:*"))
    assert "explicit deny in an identity-based policy: own" in refused(
        shop, "GetObject", eve, key="k"
    )
    ann = shop.user("ann", statement("s3:*"))
    put_policy(shop, grant("*", "s3:PutObject", Effect="Deny"))
    assert "explicit deny in a resource-based policy" in refused(
        shop, "PutObject", ann, key="k", body=b""
    )
    put_policy(shop, grant("*", "s3:*", ARN, Effect="Deny"))
    refused(shop, "DeleteBucketPolicy", ann)
    refused(shop, "PutBucketPolicy", ann, policy="{}")
    shop.do("s3:DeleteBucketPolicy", ALICE, bucket="shop")


def test_a_boundary_and_a_session_limit(shop: People) -> None:
    fence = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    eve = shop.user("eve", statement("s3:*"), permissions_boundary=fence)
    assert may(shop, "GetObject", eve, key="k")
    assert "no permissions boundary allows" in refused(shop, "PutObject", eve, key="k", body=b"")
    job = shop.session("Job", statement("s3:*"), policies=(document(statement("s3:List*")),))
    assert may(shop, "ListObjectsV2", job)
    assert "no session policy allows" in refused(shop, "GetObject", job, key="k")
    put_policy(shop, grant("*", "s3:GetObject"))
    assert not may(shop, "GetObject", job, key="k"), "what everybody gets, the session limits"
    put_policy(shop, grant(job.arn, "s3:GetObject"))
    assert may(shop, "GetObject", job, key="k"), "what it is given by name, nothing limits"


def test_a_role_is_named_by_its_arn_and_by_its_session(shop: People) -> None:
    job = shop.session("Job")
    assert not may(shop, "GetObject", job, key="k")
    put_policy(shop, grant(f"arn:aws:iam::{ALICE.account_id}:role/Job", "s3:GetObject"))
    assert may(shop, "GetObject", job, key="k")
    put_policy(shop, grant(f"arn:aws:sts::{ALICE.account_id}:assumed-role/Job/job", "s3:GetObject"))
    assert may(shop, "GetObject", job, key="k")
    other = shop.session("Other")
    assert not may(shop, "GetObject", other, key="k")


@pytest.mark.parametrize("spelling", ["root", "user/bob"])
def test_both_spellings_of_a_root_match(shop: People, spelling: str) -> None:
    arn = f"arn:aws:iam::{BOB.account_id}:{spelling}"
    put_policy(shop, grant(arn, "s3:GetObject"))
    assert may(shop, "GetObject", BOB, key="k")
    only = {"ArnNotEquals": {"aws:PrincipalArn": arn}}
    allow = grant(BOB.account_id, "s3:GetObject")
    put_policy(shop, allow, grant("*", "s3:GetObject", Effect="Deny", Condition=only))
    assert may(shop, "GetObject", BOB, key="k")
    assert not may(shop, "GetObject", ALICE, key="k")


# --- across accounts ------------------------------------------------------------------------------


def test_across_accounts_both_sides_must_allow(shop: People) -> None:
    mal = shop.user("mal", root=BOB)
    put_policy(shop, grant(BOB.account_id, "s3:GetObject"))
    assert may(shop, "GetObject", BOB, key="k")
    assert "no identity-based policy allows" in refused(shop, "GetObject", mal, key="k")
    shop.allow(mal.user_id, statement("s3:*"))
    assert may(shop, "GetObject", mal, key="k")
    assert "no resource-based policy allows" in refused(shop, "PutObject", mal, key="k", body=b"")
    put_policy(shop, grant(mal.arn, "s3:GetObject"))
    shop.allow(mal.user_id)
    assert not may(shop, "GetObject", mal, key="k")
    put_policy(shop, grant("*", "s3:GetObject"))
    assert may(shop, "GetObject", None, key="k")
    assert not may(shop, "GetObject", mal, key="k"), "signed, it counts as across accounts"


def test_an_acl_counts_for_an_account_whose_users_need_a_policy_too(shop: People) -> None:
    shop.do("s3:PutObjectAcl", ALICE, bucket="shop", key="k", grant_read=f"id={BOB.canonical_id}")
    mal = shop.user("mal", root=BOB)
    assert may(shop, "GetObject", BOB, key="k")
    assert not may(shop, "GetObject", mal, key="k")
    shop.allow(mal.user_id, statement("s3:GetObject"))
    assert may(shop, "GetObject", mal, key="k")
    eve = shop.user("eve")
    assert not may(shop, "GetObject", eve, key="k"), "the owner's own grant is the root's"


def test_what_is_public_the_buckets_own_users_may_read(shop: People) -> None:
    shop.do("s3:PutObjectAcl", ALICE, bucket="shop", key="k", acl="public-read")
    eve = shop.user("eve")
    assert may(shop, "GetObject", eve, key="k")
    assert not may(shop, "PutObject", eve, key="k", body=b"")
    shop.allow(eve.user_id, statement("s3:*", Effect="Deny"))
    assert not may(shop, "GetObject", eve, key="k")


def test_an_object_of_another_account_is_not_the_buckets_owners_users_to_read(
    shop: People,
) -> None:
    put_policy(shop, grant(BOB.account_id, "s3:PutObject"))
    shop.do("s3:PutObject", BOB, bucket="shop", key="his", body=b"")
    eve = shop.user("eve", statement("s3:*"))
    put_policy(shop, grant(eve.arn, "s3:GetObject"))
    assert not may(shop, "GetObject", eve, key="his")
    mal = shop.user("mal", root=BOB)
    assert not may(shop, "GetObject", mal, key="his")
    shop.allow(mal.user_id, statement("s3:GetObject"))
    assert may(shop, "GetObject", mal, key="his")


def test_the_administrator_reads_and_its_users_do_not(shop: People) -> None:
    assert may(shop, "GetObject", ADMIN, key="k")
    helper = shop.user("helper", statement("*"), root=ADMIN)
    assert not may(shop, "GetObject", helper, key="k")


# --- attacks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["../k", "home/../k", "home//../../k", "Home/k", "home", " home/k", "home\\..\\k"]
)
def test_no_spelling_of_a_key_leaves_its_prefix(shop: People, key: str) -> None:
    eve = shop.user("eve", statement("s3:*Object", f"{ARN}/home/*"))
    inside = key.startswith("home/")
    for verb, more in (("PutObject", {"body": b"new"}), ("DeleteObject", {})):
        assert may(shop, verb, eve, key=key, **more) == inside
    content = shop.do("s3:GetObject", ALICE, bucket="shop", key="k")["body"]
    assert b"".join(content) == b"x"
    content.close()


def test_a_denied_prefix_has_no_other_spelling(shop: People) -> None:
    denial = statement("s3:*", f"{ARN}/secret/*", Effect="Deny")
    eve = shop.user("eve", statement("s3:*"), denial)
    shop.do("s3:PutObject", ALICE, bucket="shop", key="secret/a", body=b"")
    assert not may(shop, "GetObject", eve, key="secret/a")
    for key in ("x/../secret/a", "./secret/a", "/secret/a", "secret%2Fa"):
        with pytest.raises(Fault) as fault:
            shop.do("s3:GetObject", eve, bucket="shop", key=key)
        assert isinstance(fault.value, NoSuchKey)
    source = {"bucket": "shop", "key": "secret/a"}
    assert not may(shop, "CopyObject", eve, key="copy", copy_source=source)


def test_a_copy_needs_its_source(shop: People) -> None:
    eve = shop.user("eve", statement("s3:PutObject", f"{ARN}/mine/*"))
    source = {"bucket": "shop", "key": "k"}
    told = refused(shop, "CopyObject", eve, key="mine/k", copy_source=source)
    assert "s3:GetObject" in told
    missing = {"bucket": "shop", "key": "none"}
    assert refused(shop, "CopyObject", eve, key="mine/k", copy_source=missing) == told.replace(
        "/k", "/none"
    )
    upload = shop.do("s3:CreateMultipartUpload", eve, bucket="shop", key="mine/k")
    part = {"key": "mine/k", "upload_id": upload["upload_id"], "part_number": 1}
    assert "s3:GetObject" in refused(shop, "UploadPartCopy", eve, **part, copy_source=source)
    shop.allow(eve.user_id, statement("s3:PutObject", f"{ARN}/mine/*"), statement("s3:GetObject"))
    assert may(shop, "CopyObject", eve, key="mine/k", copy_source=source)
    shop.do("s3:PutObjectTagging", ALICE, bucket="shop", key="k",
            tagging={"tag_set": [{"key": "a", "value": "b"}]})  # fmt: skip
    assert "s3:GetObjectTagging" in refused(
        shop, "CopyObject", eve, key="mine/k", copy_source=source
    )


def test_an_upload_is_not_completed_by_a_user_who_may_not_write(shop: People) -> None:
    ann, eve = shop.user("ann", statement("s3:PutObject")), shop.user("eve")
    upload_id = shop.do("s3:CreateMultipartUpload", ann, bucket="shop", key="big")["upload_id"]
    named = {"key": "big", "upload_id": upload_id}
    part = shop.do("s3:UploadPart", ann, bucket="shop", **named, part_number=1, body=b"p")
    parts = {"parts": [{"part_number": 1, "e_tag": part["e_tag"]}]}
    refused(shop, "UploadPart", eve, **named, part_number=2, body=b"q")
    told = refused(shop, "CompleteMultipartUpload", eve, **named, multipart_upload=parts)
    gone = {**named, "upload_id": "0" * len(upload_id)}
    assert told == refused(shop, "CompleteMultipartUpload", eve, **gone, multipart_upload=parts)
    refused(shop, "ListParts", eve, **named)
    refused(shop, "AbortMultipartUpload", eve, **named)
    shop.allow(ann.user_id)
    refused(shop, "CompleteMultipartUpload", ann, **named, multipart_upload=parts)
    shop.allow(eve.user_id, statement("s3:PutObject", f"{ARN}/big"))
    assert may(shop, "CompleteMultipartUpload", eve, **named, multipart_upload=parts)
    with pytest.raises(NoSuchUpload):
        shop.do("s3:ListParts", ALICE, bucket="shop", **gone)


def test_what_is_not_there_is_refused_like_what_is(shop: People) -> None:
    eve = shop.user("eve")
    for verb in ("GetObject", "HeadObject", "GetObjectAcl", "GetObjectTagging", "DeleteObject"):
        told = [refused(shop, verb, eve, key=key).replace(f"/{key}", "") for key in ("k", "no")]
        assert told[0] == told[1]
    version = [
        refused(shop, "GetObject", eve, key="k", version_id=each) for each in ("null", "none")
    ]
    assert version[0] == version[1]
    shop.allow(eve.user_id, statement("s3:GetObject"))
    assert "s3:ListBucket" in refused(shop, "GetObject", eve, key="no")
    shop.allow(eve.user_id, statement(["s3:GetObject", "s3:ListBucket"]))
    with pytest.raises(NoSuchKey):
        shop.do("s3:GetObject", eve, bucket="shop", key="no")


def test_each_entry_of_a_batch_is_asked_for(shop: People) -> None:
    eve = shop.user("eve", statement("s3:DeleteObject", f"{ARN}/mine/*"))
    entries = [{"key": "mine/a"}, {"key": "k"}]
    answer = shop.do("s3:DeleteObjects", eve, bucket="shop", delete={"objects": entries})
    assert [each["key"] for each in answer["deleted"]] == ["mine/a"]
    assert [(each["key"], each["code"]) for each in answer["errors"]] == [("k", "AccessDenied")]
    assert may(shop, "HeadObject", ALICE, key="k")


def test_a_bucket_is_not_given_away_by_creating_it_again(shop: People) -> None:
    eve = shop.user("eve", statement("s3:CreateBucket"))
    for more in (
        {"acl": "public-read"},
        {"grant_read": f"uri={EVERYONE}"},
        {"object_ownership": "ObjectWriter"},
        {"object_lock_enabled_for_bucket": True},
        {"create_bucket_configuration": {"tags": [{"key": "a", "value": "b"}]}},
    ):
        assert not may(shop, "CreateBucket", eve, **more)
    assert not may(shop, "ListObjectsV2", None)
    assert may(shop, "CreateBucket", eve)
    here = {"StringEquals": {"s3:LocationConstraint": "eu-west-1"}}
    shop.allow(eve.user_id, statement("s3:CreateBucket", Condition=here))
    place = {"create_bucket_configuration": {"location_constraint": "eu-west-1"}}
    assert may(shop, "CreateBucket", eve, bucket="placed", **place)
    assert not may(shop, "CreateBucket", eve, bucket="elsewhere")


def test_nothing_of_a_body_is_read_of_who_has_no_chance(shop: People) -> None:
    def read() -> dict[str, object]:
        raise AssertionError("the body was read")

    eve, mal = shop.user("eve"), shop.user("mal", root=BOB)
    for caller in (eve, mal):
        for name, verb in (("shop", "PutBucketTagging"), ("new", "CreateBucket")):
            call = replace(shop.call(caller), document=read)
            with pytest.raises(AccessDenied):
                shop.perform("s3", verb, call, {"bucket": name})
    shop.allow(eve.user_id, statement("s3:PutBucketTagging"))
    call = replace(shop.call(eve), document=read)
    with pytest.raises(AssertionError):
        shop.perform("s3", "PutBucketTagging", call, {"bucket": "shop"})


def test_tags_of_a_bucket_by_s3_control_need_their_own_action(shop: People) -> None:
    eve = shop.user("eve", statement("s3:PutBucketTagging"))
    named = {"account_id": ALICE.account_id, "resource_arn": ARN}
    tags = [{"key": "a", "value": "b"}]
    with pytest.raises(AccessDenied, match="s3:TagResource"):
        shop.do("s3control:TagResource", eve, **named, tags=tags)
    shop.allow(eve.user_id, statement("s3:TagResource", ARN))
    shop.do("s3control:TagResource", eve, **named, tags=tags)
    with pytest.raises(AccessDenied):
        shop.do("s3control:UntagResource", eve, **named, tag_keys=["a"])


def test_a_website_is_served_as_to_anybody_whoever_asks(shop: People) -> None:
    site = {"index_document": {"suffix": "k"}}
    shop.do("s3:PutBucketWebsite", ALICE, bucket="shop", website_configuration=site)
    eve = shop.user("eve", statement("s3:*"))
    with pytest.raises(AccessDenied):
        shop.do("website:GetPage", eve, bucket="shop", path="")


def test_conditions_of_s3_hold_in_a_users_policy(shop: People) -> None:
    inside = {"StringLike": {"s3:prefix": "home/${aws:username}/*"}}
    eve = shop.user("eve", statement("s3:ListBucket", Condition=inside))
    assert may(shop, "ListObjectsV2", eve, prefix="home/eve/")
    assert not may(shop, "ListObjectsV2", eve, prefix="home/ann/")
    assert not may(shop, "ListObjectsV2", eve)
    assert not may(shop, "HeadBucket", eve)
    tagged = {"StringEquals": {"s3:ExistingObjectTag/team": "${aws:PrincipalTag/team}"}}
    shop.allow(eve.user_id, statement("s3:GetObject", Condition=tagged))
    shop.do("s3:PutObjectTagging", ALICE, bucket="shop", key="k",
            tagging={"tag_set": [{"key": "team", "value": "red"}]})  # fmt: skip
    assert not may(shop, "GetObject", eve, key="k")
    shop.state.insert("iam_tags", {"resource_id": eve.user_id, "key": "team", "value": "red"})
    assert may(shop, "GetObject", eve, key="k")


def test_a_policy_that_is_taken_away_counts_no_more(shop: People) -> None:
    eve = shop.user("eve", statement("s3:GetObject"))
    for _ in range(2):
        assert may(shop, "GetObject", eve, key="k")
        shop.allow(eve.user_id)
        assert not may(shop, "GetObject", eve, key="k")
        shop.allow(eve.user_id, statement("s3:GetObject"))
    text = json.dumps({"Version": "2012-10-17", "Statement": "not a policy"})
    shop.state.update("inline_policies", {"owner_id": eve.user_id}, document=text)
    assert not may(shop, "GetObject", eve, key="k"), "what can't be read denies"
