"""Images on the console: listed, uploaded in parts and registered, shared, set, deregistered."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.console.application import create_app
from eucabox.console.site import Console
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.images import Images
from eucabox.state import State
from tests.console.conftest import ORIGIN, Visit, give_password, open_cloud
from tests.image_cloud import partitioned

BUCKET = "alices-images"


@pytest.fixture(name="console")
def _console(config: Config, accounts: Accounts, state: State) -> Iterator[Console]:
    give_password(state, accounts.user("eucalyptus/admin"))
    cloud: Any = open_cloud(config, accounts, state)
    cloud.store = Store(config.bucket_root)
    cloud.images = Images(config, state, cloud.store, accounts)
    cloud.node = SimpleNamespace(hypervisor_name="qemu")
    yield create_app(cloud)
    cloud.images.close()
    cloud.store.close()


@pytest.fixture(name="own")
def _own(console: Console, alice: Caller) -> Visit:
    visit = Visit(console)
    assert visit.sign_in("alice").status_code == 303
    return visit


@pytest.fixture(name="other")
def _other(console: Console, accounts: Accounts, state: State) -> Visit:
    """A user of another account."""
    give_password(state, accounts.create_user("bob"))
    visit = Visit(console)
    assert visit.sign_in("bob").status_code == 303
    return visit


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Path:
    return partitioned(tmp_path / "small disk.img", b"mark")


def prepare(visit: Visit, path: Path, /, **fields: str) -> TestResponse:
    content = path.read_bytes()
    form = {
        "file": path.name, "size": str(len(content)), "bucket": BUCKET,
        "head": base64.b64encode(content[:2048]).decode(), **fields,
    }  # fmt: skip
    return visit.post("/images/upload/prepare", form)


def send(visit: Visit, file: Path, bucket: str, key: str) -> None:
    """Send a file in parts, as the page's script does."""
    base, size = f"/buckets/{bucket}/upload", str(file.stat().st_size)
    began = json.loads(visit.post(f"{base}/begin?key={key}", {"size": size}).text)
    headers = {
        "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": visit.csrf,
        "Content-Type": "application/octet-stream",
    }  # fmt: skip
    path = f"{base}/part?key={key}&upload={began['upload_id']}&number=1"
    sent = visit.send("POST", path, data=file.read_bytes(), headers=headers)
    etags = json.loads(sent.text)["etag"]
    form = {"size": size, "etags": etags, "upload_id": began["upload_id"]}
    assert visit.post(f"{base}/complete?key={key}", form).status_code == 200


def upload(visit: Visit, file: Path) -> str:
    """Send a file; the location at which it lies then."""
    place = json.loads(prepare(visit, file).text)
    send(visit, file, place["bucket"], place["key"])
    return f"{place['bucket']}/{place['key']}"


def register(visit: Visit, location: str, **fields: str) -> str:
    """Register what lies at a location, wait until it is verified; the image's id."""
    sent = visit.post("/images/register", {"location": location, **fields})
    assert sent.status_code == 303, sent.text
    found = re.search(r"/images/(emi-[0-9a-f]+)\?", sent.location or "")
    assert found
    for _ in range(500):
        if "pending" not in visit.get(f"/images/{found[1]}/facts").text:
            return found[1]
        time.sleep(0.01)
    raise AssertionError("the image is pending for ever")


@pytest.mark.not_fast
def test_a_disk_is_sent_in_parts_and_registered(own: Visit, disk: Path, alice: Caller) -> None:
    page = own.get("/images/upload").text
    assert f'value="images-{alice.account_id}"' in page
    location = upload(own, disk)
    assert location == f"{BUCKET}/small-disk.img"
    fields = {"name": "small", "description": "<b>a disk</b>", "boot_mode": "uefi"}
    image_id = register(own, location, **fields)
    facts = own.get(f"/images/{image_id}").text
    assert "<h1>small</h1>" in facts
    assert "&lt;b&gt;a disk&lt;/b&gt;" in facts
    assert "whole disk" in facts
    assert f'href="/instances/launch?image_id={image_id}"' in facts
    assert '<option value="uefi" selected>' in facts
    listed = own.get("/images").text
    assert f'href="/instances/launch?image_id={image_id}"' in listed
    assert 'data-topics="images"' in listed
    again = json.loads(prepare(own, disk).text)
    assert again["key"] == "small-disk-2.img", "no object takes the place of another"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"KDMV" + bytes(600), "it is a VMDK file. Convert it"),
        (bytes(4096), "neither a manifest nor a disk"),
        (b"", "neither a manifest nor a disk"),
    ],
)
def test_what_is_no_disk_is_refused_before_it_is_sent(
    own: Visit, tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "disk"
    file.write_bytes(content)
    refused = prepare(own, file)
    assert refused.status_code == 400
    assert words in json.loads(refused.text)["message"]
    assert own.get(f"/buckets/{BUCKET}").status_code == 404, "no bucket was made for it"


@pytest.mark.not_fast
def test_what_is_larger_than_any_instance_and_what_is_taken_is_told_at_once(
    own: Visit, disk: Path
) -> None:
    assert prepare(own, disk, size=str(2**60)).status_code == 400
    register(own, upload(own, disk), name="mine")
    taken = json.loads(prepare(own, disk, name="mine").text)
    assert taken["code"] == "InvalidAMIName.Duplicate"
    assert prepare(own, disk, name="x").status_code == 400
    for wrong in (
        {"head": "%"},
        {"size": "-1"},
        {"size": "x"},
        {"file": "a\nb"},
        {"head": "A" * 8000},
    ):
        assert prepare(own, disk, **wrong).status_code == 400
    assert prepare(own, disk, bucket="A B").status_code == 400


@pytest.mark.not_fast
def test_a_hostile_qcow2_is_refused_with_the_reason(own: Visit, tmp_path: Path) -> None:
    file = tmp_path / "evil.qcow2"
    base = tmp_path / "secret"
    base.write_bytes(bytes(1 << 20))
    command = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(file))
    subprocess.run(command, check=True)
    image_id = register(own, upload(own, file))
    page = own.get(f"/images/{image_id}").text
    assert "It can&#39;t be launched" in page or "It can't be launched" in page
    assert "overlay over a backing file" in page
    assert "instances/launch" not in page
    assert "overlay over a backing file" in own.get("/images/list").text


@pytest.mark.not_fast
def test_nobody_registers_from_the_bucket_of_another(own: Visit, other: Visit, disk: Path) -> None:
    location = upload(own, disk)
    refused = other.post("/images/register", {"location": location})
    assert refused.status_code == 403
    assert prepare(other, disk).status_code == 403
    wrong = own.post("/images/register", {"location": "none/of/these", "name": "<i>x</i>"})
    assert wrong.status_code == 400
    assert "&lt;i&gt;" in wrong.text
    assert 'value="none/of/these"' in wrong.text, "what was typed stays"


@pytest.mark.not_fast
def test_sharing_with_one_with_all_and_with_nobody(
    own: Visit, other: Visit, disk: Path, accounts: Accounts
) -> None:
    image_id = register(own, upload(own, disk), name="mine")
    assert other.get(f"/images/{image_id}").status_code == 404
    bob = accounts.user("bob").account_id
    own.post(f"/images/{image_id}/share", {"account": bob})
    assert f"<code>{bob}</code>" in own.get(f"/images/{image_id}").text
    assert "Shared with you" in other.get("/images").text
    seen = other.get(f"/images/{image_id}").text
    assert bob not in seen.partition("<main")[2]
    assert "Sharing</h2>" not in seen
    assert other.post(f"/images/{image_id}/share", {"account": bob}).status_code == 403
    assert other.post(f"/images/{image_id}/deregister").status_code == 403
    own.post(f"/images/{image_id}/unshare", {"account": bob})
    assert other.get(f"/images/{image_id}").status_code == 404
    own.post(f"/images/{image_id}/visibility", {"public": "yes"})
    assert other.get("/images?whose=public").text.count(image_id) > 0
    assert other.get("/images?whose=own").text.count(image_id) == 0
    own.post(f"/images/{image_id}/visibility", {"public": "no"})
    assert other.get("/images").text.count(image_id) == 0
    unknown = own.post(f"/images/{image_id}/share", {"account": "000000000000"})
    assert unknown.status_code == 400
    assert "12-digit number" in unknown.text


@pytest.mark.not_fast
def test_description_settings_and_tags_are_changed(own: Visit, disk: Path) -> None:
    image_id = register(own, upload(own, disk), name="mine")
    base = f"/images/{image_id}"
    own.post(f"{base}/description", {"description": "for tests"})
    own.post(f"{base}/settings", {"seed": "nocloud", "nicModel": "e1000", "diskBus": ""})
    own.post(f"{base}/tag", {"key": "stage", "value": "<u>dev</u>"})
    page = own.get(base).text
    assert "for tests" in page
    assert '<option value="nocloud" selected>' in page
    assert '<option value="e1000" selected>' in page
    assert "&lt;u&gt;dev&lt;/u&gt;" in page
    assert "stage" in own.get("/images?tag=stage").text
    own.post(f"{base}/untag", {"key": "stage"})
    assert "&lt;u&gt;dev" not in own.get(base).text
    wrong = own.post(f"{base}/settings", {"seed": "none"})
    assert wrong.status_code == 400
    assert "Choose one of imds, nocloud, both" in wrong.text
    assert own.post(f"{base}/tag", {"key": "aws:x"}).status_code == 400


@pytest.mark.not_fast
def test_images_are_copied_and_deregistered(own: Visit, other: Visit, disk: Path) -> None:
    image_id = register(own, upload(own, disk), name="mine")
    copied = own.post(f"/images/{image_id}/copy", {"name": "copy of it"})
    assert copied.status_code == 303, copied.text
    listed = own.get("/images").text
    ids = set(re.findall(r'name="chosen" value="(emi-[0-9a-f]+)"', listed))
    assert len(ids) == 2
    done = own.post(f"/images/{image_id}/deregister")
    assert "is deregistered" in own.get(done.location or "").text
    (left,) = ids - {image_id}
    bulk = own.post("/images/deregister", {"chosen": left})
    assert f"{left} deregistered" in own.get(bulk.location or "").text
    assert own.get(f"/images/{left}").status_code == 404


@pytest.mark.not_fast
def test_odd_ids_are_not_found_and_nothing_breaks(own: Visit) -> None:
    for odd in ("emi-00000000", "x", "emi-%27", "emi-" + "0" * 300, "<b>"):
        assert own.get(f"/images/{odd}").status_code in (400, 404)
        assert own.post(f"/images/{odd}/deregister").status_code in (400, 404)


@pytest.mark.not_fast
def test_what_a_policy_does_not_allow_is_not_offered(
    own: Visit, console: Console, disk: Path, alice: Caller, state: State
) -> None:
    image_id = register(own, upload(own, disk), name="mine")
    bea = create_user(state, alice.account_id, "bea")
    give_password(state, console.cloud.accounts.user_of(alice.account_id, bea["user_id"]))
    statement = {"Effect": "Allow", "Action": "ec2:DescribeImages", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    policy = {"owner_id": bea["user_id"], "policy_name": "own", "document": document}
    visit = Visit(console)
    visit.sign_in("bea", account="alice")
    assert 'href="/images"' not in visit.get("/").text
    state.insert("inline_policies", policy)
    listed = visit.get("/images").text
    assert image_id in listed
    for word in ("Add an image", "Deregister", "Launch"):
        assert word not in listed.partition("<main")[2]
    page = visit.get(f"/images/{image_id}").text.partition("<main")[2]
    assert "<form" not in page
    assert visit.post(f"/images/{image_id}/deregister").status_code == 403
    assert visit.post("/images/register", {"location": "a/b"}).status_code == 403
