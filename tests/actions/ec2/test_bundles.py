"""Bundle tasks and images of instances: what is checked, written, told and refused."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from eucabox import errors
from eucabox.iam.access_keys import create_access_key
from eucabox.iam.rows import UserRow
from eucabox.iam.signing_certificates import issue_certificate
from tests.actions.people import CONTEXT, People, document, statement
from tests.actions.stand_ins import ADMIN, ALICE, BOB, StandInBundles, World


def storage(secret: str = "secret", key: str = "AKIAALICE", **changes: Any) -> dict[str, Any]:
    members = {
        "expiration": "2099-01-01T00:00:00Z",
        "conditions": [
            {"acl": "ec2-bundle-read"}, {"bucket": "mine"}, ["starts-with", "$key", "p"],
        ],
    }  # fmt: skip
    policy = json.dumps(members).encode()
    text = base64.b64encode(policy)
    signature = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest())
    place = {
        "aws_access_key_id": key,
        "bucket": "mine",
        "prefix": "p/disk",
        "upload_policy": policy,
        "upload_policy_signature": signature.decode(),
    }
    return {"s3": {**place, **changes}}


def runs(world: World, caller: Any = ALICE, state: str = "running") -> str:
    instance_id = str(world.run(caller)["instances"][0]["instance_id"])
    world.set_state(instance_id, state)
    return instance_id


@pytest.mark.not_fast
def test_a_bundle_task_is_begun_listed_and_cancelled(world: World) -> None:
    instance_id = runs(world)
    task = world.do("BundleInstance", instance_id=instance_id, storage=storage())["bundle_task"]
    assert (task["instance_id"], task["state"], task["progress"]) == (instance_id, "pending", "0%")
    assert task["storage"] == {"s3": {"bucket": "mine", "prefix": "p/disk"}}
    assert task["bundle_id"].startswith("bun-")
    assert world.cloud.store.owners == {"mine": ALICE.account_id}
    members = f"by the task {task['bundle_id']}. Wait until that has ended, or cancel it."
    with pytest.raises(errors.BundlingInProgress, match=members):
        world.do("BundleInstance", instance_id=instance_id, storage=storage())
    world.set_state(instance_id, "stopping")  # as the task itself has it shut down
    with pytest.raises(errors.BundlingInProgress, match=members):
        world.do("BundleInstance", instance_id=instance_id, storage=storage())
    world.set_state(instance_id, "shutting-down")
    with pytest.raises(errors.IncorrectInstanceState, match="is shutting-down"):
        world.do("BundleInstance", instance_id=instance_id, storage=storage())
    world.set_state(instance_id, "running")
    filters = [{"name": "s3-bucket", "values": ["mi*"]}, {"name": "state", "values": ["pending"]}]
    assert world.do("DescribeBundleTasks", filters=filters)["bundle_tasks"] == [task]
    named = {"bundle_id": task["bundle_id"]}
    assert world.do("DescribeBundleTasks", bundle_ids=list(named.values()))["bundle_tasks"]
    assert world.do("CancelBundleTask", **named)["bundle_task"]["state"] == "cancelling"
    assert world.do("DescribeBundleTasks", BOB)["bundle_tasks"] == []
    with pytest.raises(errors.BundleNotFound):
        world.do("CancelBundleTask", BOB, **named)
    world.state.update("bundle_tasks", named, state="failed", error_code="E", error_message="m")
    (shown,) = world.do("DescribeBundleTasks")["bundle_tasks"]
    assert shown["bundle_task_error"] == {"code": "E", "message": "m"}
    with pytest.raises(errors.BundleNotCancellable, match="failed"):
        world.do("CancelBundleTask", **named)


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("params", "fault"),
    [
        (storage("wrong"), errors.PolicyNotSigned),
        (storage(key="AKIANOBODY"), errors.PolicyNotSigned),
        (storage(bucket="other"), errors.InvalidParameterValue),
        (storage(prefix="q"), errors.InvalidParameterValue),
        (storage(prefix="p/"), errors.InvalidParameterValue),
        (storage(prefix="p/\xe9"), errors.InvalidParameterValue),
        (storage(prefix="/p"), errors.InvalidParameterValue),
        (storage(upload_policy=b""), errors.MissingParameter),
        ({}, errors.MissingParameter),
    ],
)
def test_what_the_policy_does_not_allow_is_refused(
    world: World, params: dict[str, Any], fault: type[errors.Fault]
) -> None:
    with pytest.raises(fault):
        world.do("BundleInstance", instance_id=runs(world), storage=params)
    assert world.cloud.store.owners == {}


@pytest.mark.not_fast
def test_a_bucket_of_another_account_is_not_written(world: World) -> None:
    world.cloud.store.owners["mine"] = BOB.account_id
    with pytest.raises(errors.Fault) as caught:
        world.do("BundleInstance", instance_id=runs(world), storage=storage())
    assert caught.value.code == "AccessDenied"
    world.do("BundleInstance", instance_id=runs(world), storage=storage(key="AKIABOB"))
    assert world.state.one("select owner from bundle_tasks") == {"owner": BOB.account_id}


@pytest.mark.not_fast
def test_an_image_is_expected_of_an_instance(world: World) -> None:
    instance_id = runs(world)
    tags = [{"resource_type": "image", "tags": [{"key": "a", "value": "b"}]}]
    params = {"instance_id": instance_id, "name": "new", "no_reboot": True}
    image_id = world.do("CreateImage", **params, tag_specifications=tags)["image_id"]
    (image,) = world.do("DescribeImages", image_ids=[image_id])["images"]
    assert (image["state"], image["name"]) == ("pending", "new")
    assert image["tags"] == [{"key": "a", "value": "b"}]
    row = world.state.one("select image_id, no_reboot, prefix, bucket, state from bundle_tasks")
    assert row == {
        "image_id": image_id, "no_reboot": 1, "prefix": "emi-1/image", "bucket": "made",
        "state": "pending",
    }  # fmt: skip
    assert world.do("DescribeBundleTasks")["bundle_tasks"] == [], "it is no bundle of the user's"
    with pytest.raises(errors.ImageUnavailable, match="pending"):
        world.run(image_id=image_id)
    with pytest.raises(errors.BundlingInProgress, match=f"for the image {image_id}. Wait until"):
        world.do("CreateImage", instance_id=instance_id, name="again")
    with pytest.raises(errors.ImageNameMalformed):
        world.do("CreateImage", instance_id=instance_id, name="no")
    assert len(world.do("DescribeImages", owners=["self"])["images"]) == 2, "no image is left"


@pytest.mark.not_fast
@pytest.mark.parametrize("name", ["CreateImage", "BundleInstance"])
@pytest.mark.parametrize("state_name", ["pending", "stopping", "shutting-down", "terminated"])
def test_only_what_runs_or_is_stopped(world: World, name: str, state_name: str) -> None:
    params = {"name": "new"} if name == "CreateImage" else {"storage": storage()}
    with pytest.raises(errors.IncorrectInstanceState):
        world.do(name, instance_id=runs(world, state=state_name), **params)
    with pytest.raises(errors.InstanceNotFound):
        world.do(name, BOB, instance_id=runs(world), **params)


@pytest.mark.not_fast
def test_what_is_being_bundled_is_not_started(world: World) -> None:
    instance_id = runs(world, state="stopped")
    world.do("CreateImage", ADMIN, instance_id=instance_id, name="new")
    with pytest.raises(errors.BundlingInProgress):
        world.do("StartInstances", instance_ids=[instance_id])


def find_user(people: People, name: str) -> UserRow:
    row = people.state.select_one(UserRow, "select * from users where user_name = ?", (name,))
    assert row
    return row


@pytest.fixture
def office(people: People) -> People:
    """A cloud whose bundle tasks know its accounts and its buckets."""
    cloud = people.cloud
    rooms: Any = (cloud.store, cloud.accounts, cloud.images, cloud.node)
    cloud.bundles = StandInBundles(cloud.config, people.state, *rooms)
    return people


@pytest.mark.not_fast
def test_what_a_role_makes_is_signed_by_a_certificate_of_its_account(office: People) -> None:
    job, eve = office.session("Job", statement("ec2:*")), office.user("eve")
    instance_id = runs(office.world)
    image = {"instance_id": instance_id, "name": "new"}
    with pytest.raises(errors.NoSigningCertificate, match="CreateSigningCertificate"):
        office.do("ec2:CreateImage", job, **image)
    accounts = office.cloud.accounts
    made, _ = issue_certificate(
        office.state, accounts.authority, accounts.seal, find_user(office, "eve"), "alice"
    )
    assert accounts.signing_pair(ALICE).certificate == made["certificate"]
    assert office.do("ec2:CreateImage", job, **image)["image_id"]
    row = office.state.one("select user_id, context from bundle_tasks")
    assert row == {"user_id": ALICE.user_id, "context": json.dumps(CONTEXT)}
    assert eve.user_id != ALICE.user_id


@pytest.mark.not_fast
def test_a_buckets_policy_is_asked_with_how_the_request_for_a_bundle_came(office: People) -> None:
    accounts = office.cloud.accounts
    root = find_user(office, "alice")
    issue_certificate(office.state, accounts.authority, accounts.seal, root, "alice")
    key, secret = create_access_key(office.state, accounts.seal, root)
    office.do("s3:CreateBucket", ALICE, bucket="mine")
    members = {"instance_id": runs(office.world), "storage": storage(secret, key["access_key_id"])}
    for address in ("192.0.2.99", "192.0.2.1"):
        elsewhere = {"NotIpAddress": {"aws:SourceIp": address}}
        denial = statement("s3:*", "arn:aws:s3:::mine/*", Effect="Deny", Condition=elsewhere)
        text = document({**denial, "Principal": "*"})
        office.do("s3:PutBucketPolicy", ALICE, bucket="mine", policy=text)
        if address != CONTEXT["source_ip"]:
            with pytest.raises(errors.AccessDenied):
                office.do("ec2:BundleInstance", ALICE, **members)
    assert office.do("ec2:BundleInstance", ALICE, **members)["bundle_task"]
