"""The console's sockets through its real listener: who opens one, what it tells, when it ends."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from wsproto.events import BytesMessage

from eucabox import ids
from eucabox.config import Config
from eucabox.console import nudge_board, socket_loop
from eucabox.console.application import create_app
from eucabox.console.site import Console
from eucabox.console.sockets import SocketKind
from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.console.web_socket import GOING_AWAY, NOT_ACCEPTABLE, REFUSED, SIGNED_OUT, TOO_BIG
from eucabox.domains.serial_line import OPEN, SerialLine
from eucabox.events import EventLog
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.server.listener import Listener
from eucabox.state import State
from tests.actions.stand_ins import StandInNode
from tests.console.conftest import Visit, give_password, open_cloud
from tests.console.socket_client import Refused, SocketClient
from tests.domains.rows import add_instance
from tests.mail import post_office

THREADS = 2


@dataclass
class Served:
    """A console that serves, and browsers that open its sockets."""

    app: Console
    cloud: Any
    listener: Listener
    port: int

    @property
    def host(self) -> str:
        return f"console.localhost:{self.port}"

    def begin(self, user: Caller, *, mfa: bool = False) -> str:
        """Sign a user in; return the cookie."""
        token = self.app.login_sessions.begin(user.user_id, "127.0.0.1", "test", mfa=mfa)
        return f"{LOGIN_COOKIE}={token}"

    def open(self, path: str, cookie: str, **headers: str) -> SocketClient:
        client = SocketClient(socket.create_connection(("127.0.0.1", self.port), 10))
        sent = {"Origin": f"http://{self.host}", "Cookie": cookie, **headers}
        try:
            client.shake_hands(path, self.host, **{k: v for k, v in sent.items() if v})
        except BaseException:
            client.sock.close()
            raise
        return client

    def get(self, path: str) -> int:
        browser = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(browser):
            browser.request("GET", path, headers={"Host": self.host})
            return browser.getresponse().status


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at who may have a socket, and whether something changed, at once."""
    monkeypatch.setattr(socket_loop, "TURN_SECONDS", 0.02)
    monkeypatch.setattr(nudge_board, "TURN_SECONDS", 0.02)
    monkeypatch.setattr(socket_loop, "CHECK_SECONDS", 0.02)


@pytest.fixture(name="served")
def _served(config: Config, accounts: Accounts, state: State) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    config = replace(config, console=replace(config.console, port=port))
    cloud = open_cloud(config, accounts, state)
    cloud.events = EventLog(state)
    app = create_app(cloud)
    listener = Listener(("127.0.0.1", port), app, THREADS, ("console", "port"))
    listener.open()
    yield Served(app, cloud, listener, port)
    app.sockets.close()
    listener.shut()
    cloud.events.close()


@pytest.fixture(name="admin")
def _admin(accounts: Accounts, state: State) -> Caller:
    caller = accounts.user("eucalyptus/admin")
    give_password(state, caller)
    return caller


@pytest.fixture(name="bob")
def _bob(accounts: Accounts, state: State) -> Caller:
    caller = accounts.create_user("bob")
    give_password(state, caller)
    return caller


# --- who may -----------------------------------------------------------------------------------


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": ""}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Cookie": ""}, 303),
        ({"Cookie": f"{LOGIN_COOKIE}={'A' * 43}"}, 303),
        ({"Content_Length": "1"}, 400),
    ],
)
def test_who_may_not_is_refused_before_the_handshake(
    served: Served, admin: Caller, headers: dict[str, str], status: int
) -> None:
    cookie = headers.pop("Cookie", served.begin(admin))
    with pytest.raises(Refused) as refusal:
        served.open("/nudges", cookie, **headers)
    assert refusal.value.status == status


@pytest.mark.not_fast
def test_a_name_that_is_not_ours_is_refused(served: Served, admin: Caller) -> None:
    client = SocketClient(socket.create_connection(("127.0.0.1", served.port), 10))
    origin = {"Origin": "http://evil.example", "Cookie": served.begin(admin)}
    with pytest.raises(Refused) as refusal:
        client.shake_hands("/nudges", "evil.example", **origin)
    assert refusal.value.status == 421
    client.sock.close()


def test_a_plain_request_is_told_that_it_is_none(served: Served, admin: Caller) -> None:
    browser = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    with contextlib.closing(browser):
        browser.request(
            "GET", "/nudges", headers={"Host": served.host, "Cookie": served.begin(admin)}
        )
        assert browser.getresponse().status == 400


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda served, user, state: sign_out(served, user), SIGNED_OUT),
        (lambda served, user, state: take_password(state, user), SIGNED_OUT),
        (lambda served, user, state: served.app.sockets.close(), GOING_AWAY),
    ],
    ids=["signed out", "no password any more", "eucabox ends"],
)
def test_it_ends_with_the_session(
    served: Served,
    bob: Caller,
    state: State,
    quick: None,
    end: Callable[[Served, Caller, State], object],
    code: int,
) -> None:
    client = served.open("/nudges", served.begin(bob))
    client.receive(0.2)
    assert client.ended is None
    end(served, bob, state)
    assert client.end() == code
    client.sock.close()


def take_password(state: State, user: Caller) -> None:
    state.update("users", {"user_id": user.user_id}, password="")


def sign_out(served: Served, user: Caller) -> None:
    for row in served.app.login_sessions.list_sessions(user.user_id):
        served.app.login_sessions.end(user.user_id, row["session_hash"])


@pytest.mark.not_fast
def test_a_user_has_so_many_and_gets_another_when_one_ends(
    served: Served, bob: Caller, admin: Caller, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = SocketKind("nudges", 3, 4, 1024)
    monkeypatch.setattr("eucabox.console.pages.nudges.NUDGES", kind)
    cookie = served.begin(bob)
    some = [served.open("/nudges", cookie) for _ in range(3)]
    with pytest.raises(Refused) as refusal:
        served.open("/nudges", cookie)
    assert refusal.value.status == 429
    some.append(served.open("/nudges", served.begin(admin)))
    with pytest.raises(Refused):
        served.open("/nudges", served.begin(admin))
    some.pop(0).sock.close()
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(Refused):
            some.append(served.open("/nudges", cookie))
            break
        assert time.monotonic() < deadline
    for each in some:
        each.sock.close()


# --- nudges ------------------------------------------------------------------------------------


@pytest.mark.not_fast
def test_a_page_is_told_what_changed_in_its_account_alone_and_once(
    served: Served, bob: Caller, admin: Caller, quick: None
) -> None:
    of_bob, of_admin = (served.open("/nudges", served.begin(each)) for each in (bob, admin))
    for _ in range(50):
        served.cloud.events.publish(bob.account_id, "instances")
    served.cloud.events.publish(admin.account_id, "buckets")
    served.cloud.events.publish("", "sign-ups")
    of_bob.until(lambda: ["instances"] in of_bob.texts)
    of_admin.until(lambda: {"buckets", "sign-ups"} <= told(of_admin))
    assert len(of_bob.texts) <= 3
    assert told(of_bob) == {"instances"}
    assert told(of_admin) == {"buckets", "sign-ups"}
    for each in (of_bob, of_admin):
        each.sock.close()


@pytest.mark.not_fast
def test_a_page_is_told_what_a_command_changed(
    served: Served, bob: Caller, admin: Caller, quick: None, tmp_path: Path
) -> None:
    file = tmp_path / "conf"
    file.write_text(f"[cloud]\ndata_dir = {served.cloud.config.cloud.data_dir}\n")
    command = [sys.executable, "-m", "eucabox", "-c", str(file), "user", "create", "bob/zoe"]
    of_bob, of_admin = (served.open("/nudges", served.begin(each)) for each in (bob, admin))
    for each in (of_bob, of_admin):
        each.receive(0.2)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    of_bob.until(lambda: {"events", "users"} <= told(of_bob))
    of_admin.receive(0.2)
    assert told(of_admin) == set()
    for each in (of_bob, of_admin):
        each.sock.close()


def told(client: SocketClient) -> set[str]:
    return {topic for message in client.texts for topic in message}


@pytest.mark.not_fast
def test_a_page_says_nothing(served: Served, bob: Caller) -> None:
    client = served.open("/nudges", served.begin(bob))
    client.say("hello")
    assert client.end() == NOT_ACCEPTABLE
    client.sock.close()


# --- threads -----------------------------------------------------------------------------------


@pytest.mark.not_fast
def test_sockets_and_silent_connections_hold_up_no_page(served: Served, bob: Caller) -> None:
    cookie = served.begin(bob)
    with contextlib.ExitStack() as stack:
        opened = [served.open("/nudges", cookie) for _ in range(40)]
        for each in opened:
            stack.enter_context(each.sock)
        for _ in range(200):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            silent.sendall(b"GET /nudges HTTP/1.1\r\nHost: ")
        assert served.get("/static/console.css") == 200
        served.cloud.events.publish(bob.account_id, "images")
        for each in opened:
            each.until(lambda each=each: each.texts == [["images"]])
        # the thread of the page that was answered may have a last step to go
        post_office.wait_until(lambda: not served.listener.active)


# --- a guest's consoles ------------------------------------------------------------------------


class Guest:
    """A serial line without libvirt behind it, and a screen that is the other end of a pair."""

    capabilities = Capabilities()

    def __init__(self, folder: Any) -> None:
        self.line = SerialLine("i-1", folder / "console.log", contextlib.nullcontext, bool)  # type: ignore[arg-type]
        self.line.status = OPEN
        self.screen, self.handed = socket.socketpair()

    def open_serial_console(self, instance_id: str) -> Any:
        def attach(viewer: object, wake: Callable[[], None]) -> SerialLine:
            self.line.attach(viewer, wake)
            return self.line

        return attach

    def open_screen(self, instance_id: str) -> int:
        return self.handed.detach()

    def print(self, text: bytes) -> None:
        self.line._keep(text)
        self.line._wake()


@pytest.fixture(name="guest")
def _guest(served: Served, tmp_path: Any) -> Iterator[Guest]:
    made = served.cloud.node = Guest(tmp_path)
    yield made
    made.screen.close()
    made.handed.close()


@pytest.mark.not_fast
def test_two_at_a_serial_console_see_the_same_and_who_comes_later_too(
    served: Served, bob: Caller, state: State, guest: Guest
) -> None:
    name = add_instance(state, account_id=bob.account_id, state="running")
    path, cookie = f"/instances/{name}/serial/socket", served.begin(bob)
    guest.print(b"before\r\n")
    one, two = served.open(path, cookie), served.open(path, cookie)
    one.until(lambda: one.data == b"before\r\n" and {"status": "open"} in one.texts)
    assert one.texts[0] == {"replay": True}
    guest.print(b"login: ")
    for each in (one, two):
        each.until(lambda each=each: each.data == b"before\r\nlogin: ")
    two.say(b"root\r")
    one.receive(0.1)
    deadline = time.monotonic() + 10
    while bytes(guest.line._input) != b"root\r":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    late = served.open(path, cookie)
    late.until(lambda: late.data == b"before\r\nlogin: ")
    late.send(BytesMessage(data=bytes(70_000)))
    assert late.end() == TOO_BIG
    for each in (one, two, late):
        each.sock.close()


@pytest.mark.not_fast
def test_a_screen_is_passed_through_both_ways_until_either_ends(
    served: Served, bob: Caller, state: State, guest: Guest
) -> None:
    name = add_instance(state, account_id=bob.account_id, state="running")
    client = served.open(f"/instances/{name}/screen/socket", served.begin(bob))
    guest.screen.settimeout(10)
    guest.screen.sendall(b"RFB 003.008\n")
    client.until(lambda: client.data == b"RFB 003.008\n")
    client.say(b"RFB 003.008\n")
    assert guest.screen.recv(100) == b"RFB 003.008\n"
    guest.screen.close()
    assert client.end() == 4404
    client.sock.close()


@pytest.mark.not_fast
def test_what_policies_refuse_is_refused_and_the_socket_ends_when_they_change(
    served: Served, state: State, accounts: Accounts, guest: Guest, quick: None, bob: Caller
) -> None:
    carol = add_user(state, bob, "ec2:OpenSerialConsole")
    name = add_instance(state, account_id=bob.account_id, state="running")
    cookie = served.begin(carol)
    with pytest.raises(Refused) as refusal:
        served.open(f"/instances/{name}/screen/socket", cookie)
    assert refusal.value.status == 403
    client = served.open(f"/instances/{name}/serial/socket", cookie)
    client.until(lambda: {"status": "open"} in client.texts)
    state.delete("inline_policies", {"owner_id": carol.user_id})
    assert client.end() == REFUSED
    client.sock.close()


@pytest.mark.not_fast
def test_a_socket_knows_for_all_its_life_that_its_session_had_a_code(
    served: Served, state: State, guest: Guest, quick: None, bob: Caller
) -> None:
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    carol = add_user(state, bob, "ec2:OpenSerialConsole", condition)
    name = add_instance(state, account_id=bob.account_id, state="running")
    path = f"/instances/{name}/serial/socket"
    with pytest.raises(Refused):
        served.open(path, served.begin(carol))
    client = served.open(path, served.begin(carol, mfa=True))
    client.until(lambda: {"status": "open"} in client.texts)
    wait_for_checks()
    guest.print(b"still here")
    client.until(lambda: client.data == b"still here")
    assert client.ended is None
    client.sock.close()


def wait_for_checks() -> None:
    """Let several looks at who may have a socket go by, in the time that `quick` sets."""
    time.sleep(20 * socket_loop.CHECK_SECONDS)


@pytest.mark.not_fast
def test_why_there_is_no_screen_is_the_reason_of_the_end(
    served: Served, bob: Caller, state: State, guest: Guest
) -> None:
    name = add_instance(state, account_id=bob.account_id, state="stopped")
    client = served.open(f"/instances/{name}/screen/socket", served.begin(bob))
    assert client.end() == 4404
    assert client.ended is not None
    assert "stopped" in str(client.ended.reason)
    client.sock.close()


def test_another_accounts_instance_has_no_console(
    served: Served, bob: Caller, admin: Caller, accounts: Accounts, state: State, guest: Guest
) -> None:
    name = add_instance(state, account_id=admin.account_id, state="running")
    client = served.open(f"/instances/{name}/serial/socket", served.begin(bob))
    assert client.end() == 4404
    client.sock.close()


def add_user(
    state: State, root: Caller, action: str, condition: Mapping[str, object] | None = None
) -> Caller:
    """Make a user of the same account who may do one thing, under a condition."""
    row = {"user_id": "AIDACAROL", "account_id": root.account_id, "user_name": "carol", "admin": 0}
    state.insert("users", {**row, "created": ids.now()})
    allowed: dict[str, object] = {"Effect": "Allow", "Action": action, "Resource": "*"}
    allowed |= {"Condition": condition} if condition else {}
    text = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    state.insert(
        "inline_policies", {"owner_id": "AIDACAROL", "policy_name": "own", "document": text}
    )
    carol = replace(root, user_id="AIDACAROL", user_name="carol", is_root=False)
    give_password(state, carol)
    return carol


# --- the pages ---------------------------------------------------------------------------------


def test_the_page_of_a_terminal_lets_its_own_styles_in_and_no_others(
    admin_visit: Visit, console: Console, state: State
) -> None:
    console.cloud.node = cast(Any, StandInNode())
    admin = console.cloud.accounts.user("eucalyptus/admin")
    name = add_instance(state, account_id=admin.account_id, state="running")
    pages = [admin_visit.get(f"/instances/{name}/serial") for _ in range(2)]
    nonces = [re.search(r'data-nonce="([^"]+)"', each.text) for each in pages]
    assert all(nonces)
    assert nonces[0][1] != nonces[1][1]  # type: ignore[index]
    policy = pages[0].headers["Content-Security-Policy"]
    assert f"style-src 'self' 'nonce-{nonces[0][1]}' 'sha256-" in policy  # type: ignore[index]
    assert "unsafe" not in policy
    assert "nonce" not in admin_visit.get("/").headers["Content-Security-Policy"]
    assert admin_visit.get("/instances/i-00000000/serial").status_code in (400, 404)


def test_a_hypervisor_without_a_screen_says_so_and_offers_no_button(
    admin_visit: Visit, console: Console, state: State
) -> None:
    node = StandInNode()
    console.cloud.node = cast(Any, node)
    admin = console.cloud.accounts.user("eucalyptus/admin")
    name = add_instance(state, account_id=admin.account_id, state="running")
    assert 'id="connect"' in admin_visit.get(f"/instances/{name}/screen").text
    node.capabilities = Capabilities(screen="it has none")
    page = admin_visit.get(f"/instances/{name}/screen").text
    assert "it has none" in page
    assert 'id="connect"' not in page
    assert f"/instances/{name}/serial" in page
