"""What people do with instances on the pages, each by the same verbs as a client."""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eucabox.console.pages.instance import MOST_CONSOLE
from eucabox.console.site import Console
from eucabox.domains.health import Trouble
from eucabox.domains.usage_sampler import UsageSample
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.actions.stand_ins import add_image
from tests.console.compute import HOSTILE, Compute, read_note
from tests.console.conftest import Visit, give_password
from tests.rows import add_instance, add_profile

MOST_BYTES = 135_000  # of a page of a list with all that it loads


@pytest.fixture(name="own")
def _own(visit: Visit, alice: Caller) -> Visit:
    assert visit.sign_in("alice").status_code == 303
    return visit


@pytest.fixture(name="compute")
def _compute(console: Console, state: State, alice: Caller) -> Compute:
    return Compute(console, state, alice)


def test_a_launch_has_all_that_was_chosen_and_shows_the_new_key_once(
    own: Visit, compute: Compute, state: State, alice: Caller
) -> None:
    add_profile(state, alice.account_id, "app")
    form = own.get("/instances/launch").text
    assert "debian" in form
    assert re.search(r"m1.xlarge[^<]*no room now", form)
    assert re.search(r"m1.tiny[^<]*room for 8", form)
    group = re.search(r'name="group" value="(sg-[0-9a-f]+)" checked', form)
    assert group
    fields = {
        "image_id": compute.image_id, "instance_type": "m1.tiny", "count": "2", "key": "new",
        "key_name": "my key", "group": [group[1]], "profile": "app", "name": "web",
        "user_data": "#!/bin/sh\r\necho hello\r\n", "tags": "role=front\r\nempty\r\n",
        "protected": "yes",
    }  # fmt: skip
    page = own.post("/instances/launch", fields).text
    key = re.search(
        r'download="my_key.pem" href="data:application/x-pem-file;base64,([^"]+)"', page
    )
    assert key
    assert b"OPENSSH PRIVATE KEY" in base64.b64decode(key[1])
    rows = state.query("select * from instances order by ami_launch_index")
    assert [each["user_data"] for each in rows] == [b"#!/bin/sh\necho hello\n"] * 2
    assert [each["key_name"] for each in rows] == ["my key"] * 2
    assert all(each["public_key"].startswith("ssh-ed25519") for each in rows)
    assert all(each["disable_api_termination"] for each in rows)
    tags = state.query("select key, value from tags where resource_id = ? order by key",
                       (rows[0]["instance_id"],))  # fmt: skip
    assert tags == [
        {"key": "Name", "value": "web"},
        {"key": "empty", "value": ""},
        {"key": "role", "value": "front"},
    ]
    assert state.one("select count(*) as n from instance_profile_associations") == {"n": 2}
    listed = own.get("/instances").text
    assert "PRIVATE KEY" not in listed
    assert listed.count(">web</a>") == 2
    like = own.get(f"/instances/launch?like={rows[0]['instance_id']}").text
    for part in (
        'value="old:my key" selected', 'value="app" selected', "#!/bin/sh\necho hello",
        "role=front", 'value="web"', f'value="{compute.image_id}" selected',
        'value="m1.tiny" selected',
    ):  # fmt: skip
        assert part in like


def test_a_refused_launch_keeps_what_was_typed_and_a_key_that_was_made(
    own: Visit, compute: Compute, state: State
) -> None:
    fields = {
        "image_id": compute.image_id, "instance_type": "m1.tiny", "count": "9", "key": "new",
        "key_name": "k", "name": HOSTILE, "user_data": "</textarea><script>", "tags": HOSTILE,
    }  # fmt: skip
    refused = own.post("/instances/launch", fields)
    assert refused.status_code == 400
    assert "There is room for 8 more instances" in refused.text
    assert "OPENSSH PRIVATE KEY" in refused.text
    assert 'value="old:k" selected' in refused.text
    assert "&lt;/textarea&gt;&lt;script&gt;" in refused.text
    assert "<img" not in refused.text
    assert state.query("select 1 from instances") == []
    for wrong in ({"count": "0"}, {"count": "many"}, {"image_id": "emi-00000000"}, {"key": "old:x"},
                  {"tags": "\n".join(f"t{number}" for number in range(60))},
                  {"key": "import", "key_name": "i", "public_key": "nonsense"}):  # fmt: skip
        answer = own.post("/instances/launch", {**fields, "count": "1", "key": "", **wrong})
        assert answer.status_code in (400, 404), wrong
        assert 'role="alert"' in answer.text
    assert own.post("/instances/launch", {**fields, "name": "n" * 300}).status_code == 400


def test_a_form_that_is_sent_twice_launches_once(own: Visit, compute: Compute) -> None:
    token = re.search(r'name="token" value="([^"]+)"', own.get("/instances/launch").text)
    assert token
    first = compute.launch(own, token=token[1])
    assert compute.launch(own, token=token[1]) == first


@pytest.mark.not_fast
def test_several_are_acted_on_at_once_and_each_has_its_result(own: Visit, compute: Compute) -> None:
    running, protected = compute.launch(own), compute.launch(own, protected="yes")
    instance_ids = [*running, *protected]
    for each in instance_ids:
        compute.set_state(each, "running")
    chosen = {"chosen": [*instance_ids, "i-00000000000000000", "x"], "act": "terminate"}
    sent = own.post("/instances/chosen/act?q=i-&state=running", chosen)
    assert sent.location.startswith("/instances?q=i-&state=running&notice=")
    note = read_note(own, sent.location)
    assert "1 of 4 terminating" in note
    assert f"<strong>{protected[0]}</strong> The instance" in note
    assert "may not be terminated" in note
    assert "does not exist" in note
    assert compute.read(running[0])["state"] == "shutting-down"
    assert compute.read(protected[0])["state"] == "running"
    for act, wanted in (("stop", "stopping"), ("start", "stopping")):
        own.post("/instances/chosen/act", {"chosen": protected, "act": act})
        assert compute.read(protected[0])["state"] == wanted
    assert (
        own.post("/instances/chosen/act", {"chosen": protected, "act": "paint"}).status_code == 400
    )
    assert "Nothing was chosen" in read_note(
        own, own.post("/instances/chosen/act", {"act": "stop"}).location
    )


@pytest.mark.not_fast
def test_the_list_is_searched_by_words_tags_and_states_and_has_pages(
    own: Visit, compute: Compute, state: State
) -> None:
    (first,) = compute.launch(own, name="Front", tags="role=web")
    (second,) = compute.launch(own, name="back", tags="role=store")
    compute.set_state(first, "running")
    compute.node.queued[second] = "3rd in the queue"

    def find(query: str) -> set[str]:
        page = own.get(f"/instances?{query}").text
        return {each for each in (first, second) if f"/instances/{each}" in page}

    assert find("") == {first, second}
    assert find("q=front") == find("tag=role%3Dweb") == find("state=running") == {first}
    assert find("q=front+back") == set()
    assert find("tag=role") == find("q=m1.tiny") == find("state=nonsense") == {first, second}
    page = own.get("/instances/list").text
    assert "3rd in the queue" in page
    assert "<html" not in page
    assert page.strip() in own.get("/instances").text
    row = compute.read(first)
    address = row["private_ip_address"]
    assert f'data-copy-text="ssh root@{address}"' in page
    for number in range(120):
        own_columns = {"instance_id": f"i-{number:017x}", "domain_uuid": f"u{number}"}
        state.insert("instances", {**row, **own_columns, "mac_address": f"m{number}"})
    assert "Page 1 of 2" in own.get("/instances").text
    assert own.get("/instances?page=2").text.count('name="chosen"') == 22
    assert "Page 2 of 2" in own.get("/instances?page=9&q=i-").text


@pytest.mark.not_fast
def test_an_instance_is_shown_with_its_console_which_is_sent_when_it_grew(
    own: Visit, compute: Compute
) -> None:
    (instance_id,) = compute.launch(own, name="web")
    compute.set_state(instance_id, "running")
    path = f"/instances/{instance_id}"
    compute.node.troubles[instance_id] = Trouble("the guest hangs", "2026-11-30T00:00:00.000Z")
    compute.node.console[instance_id] = b"\x1b[32mok\x1b[0m\r\n10%\r20%\r\n<script>\x00\xffxx"
    page = own.get(path).text
    assert "the guest hangs" in page
    assert "running, with a problem" in page
    log = page.partition("data-follow>")[2].partition("</pre>")[0]
    assert log == "ok\n20%\n&lt;script&gt;\ufffdxx"
    mark = re.search(r'data-from="(/instances/[^"]+/console\?seen=[0-9a-f]+)"', page)
    assert mark
    assert own.get(mark[1]).status_code == 204
    compute.node.console[instance_id] += b"\nmore"
    grown = own.get(mark[1])
    assert "more</pre>" in grown.text
    assert "<html" not in grown.text
    compute.node.console[instance_id] = b"<" * 70_000
    assert own.get(path).text.count("&lt;") < MOST_CONSOLE + 100
    whole = own.get(f"{path}/console.log")
    assert whole.data == b"<" * 70_000
    assert whole.headers["Content-Disposition"] == f"attachment; filename={instance_id}.log"
    sample = UsageSample(datetime.now(UTC), 0.421, 64 << 20, 1.0, 2.0, 3.0, None)
    compute.node.usage.kept[instance_id] = [sample]
    assert "CPU 42 %" in own.get("/instances").text
    assert '64 MiB<meter max="134217728" value="67108864">' in own.get("/instances").text
    assert '<polyline class="series-1"' in own.get(path).text
    picture = own.get(f"{path}/screen.png")
    assert (picture.content_type, picture.data) == ("image/png", b"picture\x00")
    compute.set_state(instance_id, "terminated")
    gone = own.get(path).text
    assert "every 3s" not in gone
    assert "/act" not in gone


@pytest.mark.not_fast
def test_an_instance_gets_tags_groups_a_role_and_protection(
    own: Visit, compute: Compute, state: State, alice: Caller
) -> None:
    add_profile(state, alice.account_id, "app")
    add_profile(state, alice.account_id, "other", role="second")
    (instance_id,) = compute.launch(own)
    path = f"/instances/{instance_id}"
    done = own.post(f"{path}/tags", {"key": "Name", "value": "db"})
    assert "The tag is set" in read_note(own, done.location)
    assert "<h1>db</h1>" in own.get(path).text
    refused = own.post(f"{path}/tags", {"key": "aws:x", "value": ""})
    assert "reserved" in read_note(own, refused.location)
    own.post(f"{path}/tags/delete", {"key": "Name"})
    assert f"<h1>{instance_id}</h1>" in own.get(path).text

    made = own.post("/security-groups/new/create", {"name": "db", "description": "for it"})
    group_id = made.location.split("/")[2].partition("?")[0]
    own.post(f"{path}/groups", {"group": [group_id]})
    sql = "select group_id from instance_groups where instance_id = ?"
    assert state.query(sql, (instance_id,)) == [{"group_id": group_id}]
    assert "at least one" in read_note(own, own.post(f"{path}/groups").location)

    def find_role() -> str:
        page = own.get(path).text
        return page.partition("<dt>Role</dt><dd>")[2].partition("</dd>")[0].rpartition("/")[2]

    for profile in ("app", "other", "", ""):
        own.post(f"{path}/role", {"profile": profile})
        assert find_role() == (profile or "none")
    unknown = own.post(f"{path}/role", {"profile": "unknown"})
    assert "unknown" in read_note(own, unknown.location)
    own.post(f"{path}/protection", {"protected": "yes"})
    refused = own.post(f"{path}/act", {"act": "terminate"})
    assert "may not be terminated" in read_note(own, refused.location)
    own.post(f"{path}/protection", {"protected": "no"})
    own.post(f"{path}/act", {"act": "terminate"})
    assert compute.read(instance_id)["state"] == "shutting-down"


def test_what_is_not_there_is_not_there(own: Visit, compute: Compute) -> None:
    for path in ("", "/summary", "/console", "/console.log", "/user-data", "/screen.png"):
        assert own.get(f"/instances/i-00000000000000000{path}").status_code == 404
        assert own.get(f"/instances/none{path}").status_code == 400
    assert own.get("/instances/launch?like=i-00000000000000000").status_code == 404


@pytest.mark.not_fast
def test_words_of_strangers_are_text_in_every_place(
    own: Visit, compute: Compute, state: State, alice: Caller
) -> None:
    image_id = add_image(state, alice, name=HOSTILE)["image_id"]
    fields = {"key": "new", "key_name": HOSTILE, "name": HOSTILE, "user_data": HOSTILE}
    (instance_id,) = compute.launch(own, image_id=image_id, tags=f"{HOSTILE}={HOSTILE}", **fields)
    compute.set_state(instance_id, "running")
    compute.node.console[instance_id] = HOSTILE.encode()
    compute.node.troubles[instance_id] = Trouble(HOSTILE, "2026-11-30T00:00:00.000Z")
    own.get("/security-groups")
    for table in ("instance_groups", "security_groups"):
        assert state.query(f"select 1 from {table}")
    where = {"group_name": "default", "account_id": alice.account_id}
    state.update("security_groups", where, description=HOSTILE)
    cookie = ".".join(("instances", "type", "address", "key", "image", "groups", "role", "tags"))
    own.cookies["__Host-eucabox-columns"] = cookie
    path = f"/instances/{instance_id}"
    pages = ("/instances", "/instances/list", path, f"{path}/summary", f"{path}/console",
             "/instances/launch", f"/instances/launch?like={instance_id}", "/key-pairs",
             "/security-groups")  # fmt: skip
    for each in pages:
        text = own.get(each).text
        assert "&lt;img src=x" in text, each
        assert "<img" not in text, each
        assert "onerror=alert(1)>" not in text, each
    line = re.search(r'data-copy-text="(ssh [^"]+)"', own.get("/instances").text)
    assert line
    assert re.fullmatch(r"ssh -i [A-Za-z0-9._@+-]+\.pem root@[0-9.]+", line[1])


@pytest.mark.not_fast
def test_what_a_policy_does_not_allow_is_not_offered_and_not_done(
    console: Console, own: Visit, compute: Compute, state: State, alice: Caller
) -> None:
    (instance_id,) = compute.launch(own)
    user_id = create_user(state, alice.account_id, "bob", "/")["user_id"]
    give_password(state, replace(alice, user_id=user_id))
    statement = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = {"owner_id": user_id, "policy_name": "own", "document": document}
    state.insert("inline_policies", policy)
    bob = Visit(console)
    assert bob.sign_in("bob", account="alice").status_code == 303
    listed, page = bob.get("/instances").text, bob.get(f"/instances/{instance_id}").text
    assert instance_id in listed
    assert "/instances/launch" not in listed
    assert "/instances/chosen/act" not in listed
    assert "Key pairs</a>" not in listed
    assert "<form" not in page.partition('<main id="main"')[2]
    assert "you may not read it" in page
    for path, form in (
        ("/instances/chosen/act", {"chosen": instance_id, "act": "terminate"}),
        (f"/instances/{instance_id}/act", {"act": "terminate"}),
        (f"/instances/{instance_id}/tags", {"key": "a", "value": "b"}),
    ):
        assert "not authorized" in read_note(bob, bob.post(path, form).location)
    refused = bob.post("/instances/launch", {"image_id": compute.image_id, "count": "1"})
    assert refused.status_code == 403
    for path in ("/key-pairs", "/security-groups", f"/instances/{instance_id}/console.log"):
        assert bob.get(path).status_code == 403
    assert compute.read(instance_id)["state"] == "pending"


@pytest.mark.not_fast
def test_the_administrator_sees_the_instances_of_all_accounts(
    console: Console, own: Visit, compute: Compute
) -> None:
    (instance_id,) = compute.launch(own)
    admin = Visit(console)
    admin.sign_in("admin")
    assert instance_id not in admin.get("/instances").text
    assert instance_id in admin.get("/instances?accounts=all").text
    assert instance_id in own.get("/instances?accounts=all").text


@pytest.mark.not_fast
def test_a_list_of_a_hundred_that_run_weighs_little(
    own: Visit, compute: Compute, state: State, alice: Caller
) -> None:
    sample = UsageSample(datetime.now(UTC), 0.421, 64 << 20, 1.0, 2.0, 3.0, None)
    for number in range(100):
        instance_id = add_instance(
            state, account_id=alice.account_id, state="running", key_name="laptop",
            private_ip_address=f"172.30.0.{number + 2}",
        )  # fmt: skip
        compute.node.usage.kept[instance_id] = [sample]
        name = {"resource_type": "instance", "key": "Name", "value": f"web server {number}"}
        state.insert("tags", {"resource_id": instance_id, "account_id": alice.account_id, **name})
    page = own.get("/instances").text
    assert page.count("CPU 42 %") == page.count("ssh -i laptop.pem root@172.30.0.") == 100
    assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(assets) == 3, "a picture and two scripts: styles of no other page"
    size = len(page.encode()) + sum(len(own.get(each).data) for each in assets)
    assert size < MOST_BYTES, f"{size:,} bytes"
