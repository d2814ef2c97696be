"""What the console refuses before any page sees it."""

import pytest

from eucabox.console.guard import STREAMED
from eucabox.console.login_sessions import derive_csrf, make_token
from eucabox.console.site import MOST_BODY, Console
from eucabox.console.visitor import LOGIN_COOKIE, VISIT_COOKIE
from eucabox.iam.caller import Caller
from eucabox.state import State
from tests.console.conftest import HOST, ORIGIN, PASSWORD, Visit
from tests.growth import LINEAR, measure_growth

STATIC = "/static/icon.svg"


@pytest.mark.parametrize("host", ["evil.example", "console.localhost.evil.example", "a" * 300, ""])
def test_a_foreign_host_name_is_refused(visit: Visit, host: str) -> None:
    for path in ("/", "/sign-in", STATIC):
        response = visit.send("GET", path, headers={"Host": host})
        assert response.status_code == 421
        assert "http://console.localhost:8888/" in response.text


@pytest.mark.parametrize("host", ["localhost:8888", "127.0.0.1:8888", "[::1]:8888", "LOCALHOST"])
def test_another_name_of_this_machine_leads_to_the_consoles_own(visit: Visit, host: str) -> None:
    response = visit.send("GET", "/sign-in?x=y", headers={"Host": host})
    assert (response.status_code, response.location) == (307, "http://console.localhost:8888/")
    form = visit.send("POST", "/sign-in", headers={"Host": host}, data={"a": "b"})
    assert form.status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "http://console.localhost:8773"},
        {"Origin": "http://localhost:8888"},
        {"Origin": "http://bucket.localhost:8888"},
        {"Origin": f"ftp://{HOST}"},
        {"Origin": f"{ORIGIN}.evil.example"},
        {"Origin": f"http://evil@{HOST}"},
        {"Origin": f"{ORIGIN}, http://evil.example"},
        {"Origin": "http://\xe9"},
        {"Origin": "http://["},
        {"Origin": f"{ORIGIN}/"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_origin_does_nothing(visit: Visit, headers: dict[str, str]) -> None:
    visit.get("/sign-in")
    form = {"user": "admin", "password": PASSWORD}
    assert visit.post("/sign-in", form, None, **headers).status_code == 403
    assert visit.cookie(LOGIN_COOKIE) == ""
    assert visit.sign_in("admin").status_code == 303
    assert visit.post("/sign-out", {}, None, **headers).status_code == 403
    assert visit.get("/").status_code == 200


@pytest.mark.parametrize("odd", ['a={}"', "a{}x", "a={};", '{}="', "={}x"])
@pytest.mark.parametrize("blank", [" ", "\t", "\t "])
def test_blanks_in_a_cookie_are_read_in_one_pass(visit: Visit, odd: str, blank: str) -> None:
    def ask(count: int) -> None:
        response = visit.get("/sign-in", Cookie=odd.format(blank * (count // len(blank))))
        assert response.status_code == 200

    assert measure_growth(ask, 4000) < LINEAR


def test_cookies_are_read_as_browsers_send_them(admin_visit: Visit) -> None:
    token = admin_visit.cookies[LOGIN_COOKIE]
    for sent in ("a=1; {}={}", '{} = "{}";', "a;;\t{}={} ; b=2", "\x0b=; {}={}"):
        answer = admin_visit.get("/", Cookie=sent.format(LOGIN_COOKIE, token))
        assert answer.status_code == 200
    for sent in ("\xe9={}", "{}=\xe9", "{}", "", ";"):
        assert admin_visit.get("/", Cookie=sent.format(LOGIN_COOKIE)).status_code == 303


def test_a_form_of_a_browser_without_fetch_metadata_is_taken(visit: Visit) -> None:
    visit.get("/sign-in")
    sent = visit.post("/sign-in", {"user": "admin", "password": PASSWORD}, **{"Sec-Fetch-Site": ""})
    assert sent.status_code == 303


def test_a_form_without_its_token_does_nothing(admin_visit: Visit) -> None:
    wrong = derive_csrf(make_token())
    for token in ("", "x", wrong, admin_visit.csrf[:-1], admin_visit.csrf + "é"):
        assert admin_visit.post("/sign-out", csrf=token).status_code == 403
    assert admin_visit.get("/").status_code == 200
    header = {"X-CSRF-Token": admin_visit.csrf}
    by_header = admin_visit.post("/sign-out", {}, "", **header)
    assert by_header.status_code == 303


def test_a_token_of_another_session_does_not_count(
    console: Console, admin_visit: Visit, alice: Caller
) -> None:
    other = Visit(console)
    assert other.sign_in("alice").status_code == 303
    assert admin_visit.post("/sign-out", csrf=other.csrf).status_code == 403


@pytest.mark.not_fast
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_have_links_and_nothing_else(visit: Visit, site: str) -> None:
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert visit.get("/sign-in", **link).status_code == 200
    for mode, dest in (("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty"), ("", "")):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        assert visit.get("/sign-in", **headers).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(visit: Visit, method: str) -> None:
    response = visit.send(method, "/sign-in")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"


def test_sizes_are_bounded_before_anything_is_read(visit: Visit) -> None:
    assert visit.get("/" + "a" * 600).status_code == 414
    assert visit.get("/sign-in?" + "a" * 6200).status_code == 414
    large = visit.post("/sign-in", {"user": "a" * MOST_BODY})
    assert large.status_code == 413
    kind = {"Origin": ORIGIN, "Content-Type": "application/json"}
    sent = visit.send("POST", "/sign-in", data=b"{}", headers=kind)
    assert sent.status_code == 415


def test_a_form_of_too_many_fields_is_told_why(admin_visit: Visit) -> None:
    part = '--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n'
    sent = {"Origin": ORIGIN, "Content-Type": "multipart/form-data; boundary=B"}
    body = (part * 1100 + "--B--\r\n").encode()
    refused = admin_visit.send("POST", "/users", data=body, headers=sent)
    assert len(body) < MOST_BODY
    assert (refused.status_code, "1,000 fields" in refused.text) == (413, True)


def test_a_body_of_unknown_length_is_refused(visit: Visit) -> None:
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_ORIGIN": ORIGIN}
    sent = visit.send("POST", "/sign-in", environ_overrides=environ)
    assert sent.status_code in (411, 415)


def test_every_answer_has_the_headers(admin_visit: Visit) -> None:
    for path in ("/", "/sign-in", "/none", "/credentials", STATIC, "/static/none"):
        headers = admin_visit.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in headers


def test_https_is_for_good(visit: Visit) -> None:
    response = visit.send("GET", "/sign-in", base_url=f"https://{HOST}")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_pages_are_not_kept_and_files_with_their_version_are(visit: Visit) -> None:
    page = visit.get("/sign-in")
    assert page.headers["Cache-Control"] == "no-store"
    address = page.text.partition('href="/static/icon.svg')[2].partition('"')[0]
    file = visit.get(STATIC + address)
    assert "immutable" in file.headers["Cache-Control"]
    assert visit.get(STATIC).headers["Cache-Control"] == "no-store"
    assert visit.get(STATIC + "?v=other").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/static/../application.py", "/static/%2e%2e/guard.py", "/static//etc/passwd", "/%00"]
)
def test_no_path_leaves_the_folder_of_files(visit: Visit, path: str) -> None:
    answer = visit.get(path)
    assert answer.status_code in (303, 308, 404)  # an older Werkzeug makes one of two slashes
    assert "from flask" not in answer.text and "root:" not in answer.text
    assert not answer.location or answer.location.startswith((f"{ORIGIN}/", "/static", "/sign-in"))


@pytest.mark.not_fast
def test_who_has_not_signed_in_sees_no_page(console: Console, visit: Visit) -> None:
    """Whatever pages there will be: each is asked for, whether it is public or not."""
    public = {"sign_in", "first_run", "sign_up", "recovery", "confirmation"}
    adapter = console.url_map.bind("")
    for rule in console.url_map.iter_rules():
        if rule.endpoint == "static" or rule.endpoint.partition(".")[0] in public:
            continue
        if rule.websocket:  # which no page of a browser is: tests of sockets ask these
            continue
        path = adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, "x"))
        if rule.endpoint == "metrics.show":  # no page: a program reads it, by a token
            assert visit.get(path).status_code == 403
        elif "GET" in (rule.methods or ()):
            response = visit.get(path)
            assert response.status_code == 303, path
            assert response.location.startswith("/sign-in")
        else:
            response = visit.post(path)
            takes_bytes = getattr(console.view_functions[rule.endpoint], STREAMED, 0)
            wanted = (415, None) if takes_bytes else (303, "/sign-in")  # a form is sent to each
            assert (response.status_code, response.location) == wanted, path


def test_a_planted_cookie_never_becomes_a_session(visit: Visit, state: State) -> None:
    planted = make_token()
    for name in (LOGIN_COOKIE, VISIT_COOKIE, "session"):
        visit.cookies[name] = planted
    assert visit.get("/").status_code == 303
    form = {"user": "admin", "password": PASSWORD, "csrf": derive_csrf(planted)}
    sent = visit.post("/sign-in", form, csrf=derive_csrf(planted))
    assert sent.status_code == 303
    assert visit.cookie(LOGIN_COOKIE) not in ("", planted)
    assert visit.cookie(VISIT_COOKIE) == ""
    visit.cookies[LOGIN_COOKIE] = planted
    assert visit.get("/").status_code == 303


@pytest.mark.parametrize(
    "cookie", ["", "x", "é" * 43, "a" * 5000, "' or 1=1 --", "A" * 43, '"; Path=/']
)
def test_a_cookie_of_nonsense_is_no_session_and_no_failure(visit: Visit, cookie: str) -> None:
    header = f"{LOGIN_COOKIE}={cookie}; {VISIT_COOKIE}={cookie}".encode().decode("latin-1")
    assert visit.get("/", Cookie=header).status_code == 303
    assert visit.get("/sign-in", Cookie=header).status_code == 200


def test_no_page_shows_a_traceback(
    console: Console, admin_visit: Visit, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr("eucabox.console.navigation.list_offers", lambda _: 1 / 0)
    for path in ("/", "/none"):
        lines.clear()
        response = admin_visit.get(path)
        assert response.status_code == 500
        assert "Traceback" not in response.text
        assert "ZeroDivision" not in response.text
        assert ["ZeroDivisionError" in line for line in lines].count(True) == 1, lines


@pytest.mark.not_fast
@pytest.mark.parametrize("path", ["/", "/sign-in", "/credentials", "/static/console.css", "/x"])
def test_a_query_that_is_no_text_is_refused(visit: Visit, path: str) -> None:
    answer = visit.send("GET", path, environ_overrides={"QUERY_STRING": "v=\xe9"})
    assert answer.status_code == 400
    assert "Content-Security-Policy" in answer.headers
