"""Key pairs and security groups on the pages."""

import io
import re
from typing import Any

import pytest

from eucabox.console.site import Console
from eucabox.iam.caller import Caller
from eucabox.state import State
from tests.console.compute import HOSTILE, Compute, read_note
from tests.console.conftest import Visit

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7Ymy2gBNFTB5mh6yuLmz6KkvRMJRi3kNwR7Kd6Bdjw me"


@pytest.fixture(name="own")
def _own(visit: Visit, alice: Caller) -> Visit:
    assert visit.sign_in("alice").status_code == 303
    return visit


@pytest.fixture(name="compute", autouse=True)
def _compute(console: Console, state: State, alice: Caller) -> Compute:
    return Compute(console, state, alice)


def test_a_key_pair_is_made_with_its_private_key_imported_and_deleted(
    own: Visit, state: State
) -> None:
    assert "There is no key pair" in own.get("/key-pairs").text
    made = own.post("/key-pairs/create", {"name": "../my key;", "type": "ed25519"})
    assert made.text.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert made.content_type == "application/x-pem-file"
    assert made.headers["Content-Disposition"] == "attachment; filename=_my_key_.pem"
    assert made.headers["Cache-Control"] == "no-store"
    again = own.post("/key-pairs/create", {"name": "../my key;"})
    assert (again.status_code, "already exists" in again.text) == (400, True)
    rsa = own.post("/key-pairs/create", {"name": "old", "type": "rsa"})
    assert "RSA PRIVATE KEY" in rsa.text
    assert own.post("/key-pairs/import", {"name": "x", "public_key": PUBLIC}).status_code == 303
    file = {"name": "y", "file": (io.BytesIO(PUBLIC.encode()), "id.pub")}
    assert own.post("/key-pairs/import", file).status_code == 303
    refused = own.post("/key-pairs/import", {"name": "z", "public_key": HOSTILE})
    assert refused.status_code == 400
    assert "<img" not in refused.text
    page = own.get("/key-pairs").text
    ids = dict(re.findall(r'value="(key-[0-9a-f]+)"[^>]*>(?s:.*?)class="name"[^>]*>([^<]+)<', page))
    assert {each.strip() for each in ids.values()} == {"../my key;", "old", "x", "y"}
    sent = own.post("/key-pairs/delete", {"chosen": [*ids]})
    assert "4 of 4 deleted" in read_note(own, sent.location)
    assert state.query("select 1 from key_pairs") == []


def make_group(own: Visit, name: str = "web", description: str = "") -> str:
    made = own.post("/security-groups/new/create", {"name": name, "description": description})
    assert made.status_code == 303, made.text
    return str(re.findall(r"/security-groups/(sg-[0-9a-f]+)\?", made.location)[0])


def add(own: Visit, group_id: str, **fields: Any) -> str:
    form = {"direction": "in", "protocol": "tcp", "ports": "22", "peer": "10.0.0.0/8", **fields}
    sent = own.post(f"/security-groups/{group_id}/rules/add", form)
    return read_note(own, sent.location) if sent.status_code == 303 else sent.text


@pytest.mark.not_fast
def test_rules_are_written_as_people_write_them(own: Visit, state: State) -> None:
    group_id = make_group(own)
    other = make_group(own, "store")
    for fields in (
        {}, {"ports": "8000-8080", "peer": "192.0.2.7"}, {"ports": "", "protocol": "udp"},
        {"peer": "store", "description": "its friends"}, {"peer": other, "ports": "443"},
        {"protocol": "icmp", "ports": ""}, {"protocol": "icmp", "ports": "8/0"},
        {"protocol": "-1", "ports": "9"}, {"peer": "2001:db8::1"}, {"direction": "out"},
    ):  # fmt: skip
        assert "counts from now on" in add(own, group_id, **fields), fields
    sql = """select is_egress, ip_protocol, from_port, to_port, coalesce(cidr_ipv4, cidr_ipv6,
      referenced_group_id) as peer from security_group_rules where group_id = ? order by rowid"""
    rules = [tuple(each.values()) for each in state.query(sql, (group_id,))]
    assert rules == [
        (1, "-1", None, None, "0.0.0.0/0"),
        (0, "tcp", 22, 22, "10.0.0.0/8"),
        (0, "tcp", 8000, 8080, "192.0.2.7/32"),
        (0, "udp", 0, 65535, "10.0.0.0/8"),
        (0, "tcp", 22, 22, other),
        (0, "tcp", 443, 443, other),
        (0, "icmp", -1, -1, "10.0.0.0/8"),
        (0, "icmp", 8, 0, "10.0.0.0/8"),
        (0, "-1", None, None, "10.0.0.0/8"),
        (0, "tcp", 22, 22, "2001:db8::1/128"),
        (1, "tcp", 22, 22, "10.0.0.0/8"),
    ]
    page = own.get(f"/security-groups/{group_id}").text
    for text in ("22 (SSH)", "8000-8080", f"store ({other})", "its friends", "type 8, code 0"):
        assert text in page
    assert own.get(f"/security-groups/{group_id}/rules").text.strip() in page
    assert "9 in, 2 out" in own.get("/security-groups").text


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"ports": "ssh"}, "Give a port"),
    ({"ports": "70000"}, "not a range"),
    ({"ports": "9-1"}, "not a range"),
    ({"peer": ""}, "Give a network"),
    ({"peer": "10.0.0.0/99"}, "prefix length"),
    ({"peer": HOSTILE}, "does not exist"),
    ({"protocol": "icmp", "ports": "x"}, "Of ICMP"),
    ({"description": "é"}, "ASCII"),
    ({}, "already exists"),
)


@pytest.mark.not_fast
def test_a_rule_that_is_none_is_refused_and_its_fields_are_kept(own: Visit) -> None:
    group_id = make_group(own)
    add(own, group_id)
    for fields, told in REFUSED:
        page = add(own, group_id, **fields)
        assert told in page, fields
        assert "<img" not in page
        assert (
            f'id="ports" name="ports" list="common-ports" value="{fields.get("ports", 22)}"' in page
        )


@pytest.mark.not_fast
def test_rules_are_revoked_and_groups_deleted_with_a_result_for_each(
    own: Visit, state: State
) -> None:
    group_id, other = make_group(own), make_group(own, "store")
    add(own, group_id, peer=other)
    sent = own.post("/security-groups/chosen/delete", {"chosen": [other, group_id]})
    note = read_note(own, sent.location)
    assert "1 of 2 deleted" in note
    assert "<strong>store</strong>" in note
    add(own, other)
    page = own.get(f"/security-groups/{other}").text
    rules = re.findall(
        r'name="direction" value="(\w+)"><input type="hidden" name="chosen" value="(sgr-\w+)"', page
    )
    assert [way for way, _ in rules] == ["in", "out"]
    for way, rule_id in rules:
        form = {"direction": way, "chosen": rule_id}
        sent = own.post(f"/security-groups/{other}/rules/revoke", form)
        assert "revoked" in read_note(own, sent.location)
    sql = "select 1 from security_group_rules where group_id = ?"
    assert state.query(sql, (other,)) == []
    page = own.get(f"/security-groups/{other}").text
    assert "It lets nothing in" in page
    assert "It lets nothing out" in page
    own.post("/security-groups/chosen/delete", {"chosen": other})
    assert own.get(f"/security-groups/{other}").status_code == 404
    assert own.get("/security-groups/none").status_code == 400


SEEN = {
    "192.0.2.7": "192.0.2.7/32",
    "127.0.0.1": "172.30.64.1/32",
    "::1": "172.30.64.1/32",
    "::ffff:198.51.100.4": "198.51.100.4/32",
    "2001:db8::7": "2001:db8::7/128",
}


def test_my_address_is_the_one_that_the_server_sees(own: Visit) -> None:
    path = f"/security-groups/{make_group(own)}"
    for seen_from, network in SEEN.items():
        page = own.send("GET", path, environ_overrides={"REMOTE_ADDR": seen_from}).text
        assert f'data-fill="peer" value="{network}"' in page
        assert f'name="peer" value="{network}"' in page


def test_words_of_strangers_are_text_in_groups_and_rules(own: Visit) -> None:
    group_id = make_group(own, HOSTILE, HOSTILE)
    assert "counts from now on" in add(own, group_id, description=HOSTILE)
    for path in ("", "/list", f"/{group_id}", f"/{group_id}/rules"):
        page = own.get(f"/security-groups{path}").text
        assert "<img" not in page
        assert "&lt;img src=x" in page
