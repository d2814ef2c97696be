"""Every form of the console, whichever there will be: sent by others, without its token, by GET;
and what comes back in headers."""

from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from eucabox.console.answers import HEADERS
from eucabox.console.guard import BYTES, STREAMED
from eucabox.console.login_sessions import derive_csrf, make_token
from eucabox.console.site import Console
from eucabox.iam.caller import Caller
from eucabox.state import State
from tests.console.conftest import ORIGIN, Visit

PUBLIC = ("sign_in", "first_run", "sign_up", "recovery", "confirmation")
ELSEWHERE: tuple[dict[str, str], ...] = (
    {"Origin": ""},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:8773", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://a-bucket.localhost:8773", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none"},
)
INJECTED = "a\r\nX-Evil: b\r\n\r\n<x>"


def list_forms(console: Console) -> list[tuple[str, str]]:
    """The address of each form, and the type of its body."""
    adapter = console.url_map.bind("")
    forms = []
    for rule in console.url_map.iter_rules():
        if "POST" in (rule.methods or ()):
            takes_bytes = getattr(console.view_functions[rule.endpoint], STREAMED, 0)
            path = adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, "x"), method="POST")
            forms.append((path, BYTES if takes_bytes else "application/x-www-form-urlencoded"))
    assert len(forms) > 70
    return forms


def send(visit: Visit, path: str, kind: str, token: str, **headers: str) -> TestResponse:
    sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", **headers, "Content-Type": kind}
    sent |= {"X-CSRF-Token": token} if token else {}
    return visit.send("POST", path, data=b"a=b", headers={k: v for k, v in sent.items() if v})


def dump(state: State) -> list[str]:
    """All that the database has, but when a session was last used."""
    tables = state.query("select name from sqlite_master where type = 'table'")
    return [
        f"{name} {[(key, row[key]) for key in row.keys() if key != 'last_used']}"  # noqa: SIM118
        for name in (str(each["name"]) for each in tables)
        for row in state.query(f"select * from {name}")
    ]


@pytest.mark.not_fast
def test_no_form_of_another_page_does_anything(
    console: Console, admin_visit: Visit, state: State
) -> None:
    before, token = dump(state), admin_visit.csrf
    for path, kind in list_forms(console):
        for headers in ELSEWHERE:
            assert send(admin_visit, path, kind, token, **headers).status_code == 403, path
    assert dump(state) == before
    assert admin_visit.get("/").status_code == 200


@pytest.mark.not_fast
def test_no_form_without_its_own_token_does_anything(
    console: Console, admin_visit: Visit, alice: Caller, state: State
) -> None:
    other = Visit(console)
    assert other.sign_in("alice").status_code == 303
    before = dump(state)
    for path, kind in list_forms(console):
        for token in ("", "0" * 64, derive_csrf(make_token()), other.csrf):
            assert send(admin_visit, path, kind, token).status_code == 403, path
    assert dump(state) == before


@pytest.mark.not_fast
def test_a_get_of_what_is_a_form_alone_does_nothing(
    console: Console, admin_visit: Visit, state: State
) -> None:
    adapter, before = console.url_map.bind(""), dump(state)
    paths = [path for path, _ in list_forms(console) if not adapter.test(path, "GET")]
    assert len(paths) > 40
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = admin_visit.send(method, f"{path}?csrf={admin_visit.csrf}&do=delete")
            assert answer.status_code in (404, 405), path
    assert dump(state) == before


@pytest.mark.not_fast
@pytest.mark.parametrize("value", [INJECTED, "//evil.example/", "/\\evil.example"])
def test_nothing_that_is_sent_becomes_a_header_or_leads_elsewhere(
    console: Console, admin_visit: Visit, value: str
) -> None:
    for answer in send_everywhere(console, admin_visit, value):
        names = {name for name, _ in answer.headers}
        assert "X-Evil" not in names
        assert not any("\r" in text or "\n" in text for _, text in answer.headers)
        place = (answer.location or "/").removeprefix(ORIGIN)  # some Werkzeugs write it
        assert place.startswith("/") and place[1:2] not in ("/", "\\"), place
        assert set(HEADERS) <= names
        assert answer.headers["Cache-Control"] == "no-store"


def send_everywhere(console: Console, visit: Visit, value: str) -> Iterator[TestResponse]:
    """Ask for every page, with a value for each part of its address and each field that it reads;
    what leaves the session or the pages of strangers comes last."""
    adapter = console.url_map.bind("")
    names = ("next", "back", "key", "prefix", "after", "name", "do", "note", "q", "order", "list")
    fields = {**dict.fromkeys(names, value), "user_name": value, "new_user_name": value}
    rules = [each for each in console.url_map.iter_rules() if each.endpoint != "static"]
    for rule in sorted(rules, key=lambda each: each.endpoint.partition(".")[0] in PUBLIC):
        if rule.websocket or rule.endpoint == "metrics.show":
            continue
        parts = dict.fromkeys(rule.arguments, value)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            path = adapter.build(rule.endpoint, parts, method=method)
            if method == "GET":
                yield visit.send("GET", path, query_string=fields)
            else:
                yield visit.post(path, fields)
