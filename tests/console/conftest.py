"""A console over a real database, without listeners, and browsers that ask it in one process."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import FileSystemBytecodeCache
from werkzeug.routing import Rule
from werkzeug.test import Client, TestResponse

from eucabox import ids
from eucabox.config import Config
from eucabox.console.application import create_app
from eucabox.console.login_sessions import derive_csrf
from eucabox.console.site import Console
from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.domains.capacity import Capacity
from eucabox.iam import passwords
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.sign_up import FirstRun, Recovery, SignUps
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.mail import MailQueue
from eucabox.seal import Seal
from eucabox.state import State
from tests.kept_events import KeptEvents

HOST = "console.localhost:8888"
ORIGIN = f"http://{HOST}"
PASSWORD = "correct horse battery"


@dataclass
class Visit:
    """A browser: its cookies, its address, and what it says of where a request is from."""

    app: Console
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send anything, and keep the cookies of the answer."""
        headers = {**self.headers, **options.pop("headers", {})}
        if self.cookies:
            pairs = [f"{name}={value}" for name, value in self.cookies.items()]
            headers.setdefault("Cookie", "; ".join(pairs))
        options = {"base_url": ORIGIN, "buffered": True, **options, "headers": headers}
        response = Client(self.app, use_cookies=False).open(path, method=method, **options)
        for line in response.headers.getlist("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return response

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.send("GET", path, headers=headers)

    def post(
        self,
        path: str,
        form: Mapping[str, Any] | None = None,
        csrf: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """Send a form as a page of the console would, with its token."""
        fields = {"csrf": self.csrf if csrf is None else csrf, **(form or {})}
        sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", **headers}
        return self.send(
            "POST",
            path,
            data=fields,
            headers={name: value for name, value in sent.items() if value},
            environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
        )

    def cookie(self, name: str) -> str:
        return self.cookies.get(name, "")

    @property
    def csrf(self) -> str:
        """The token that forms have for this browser now."""
        page = "".join(self.get(path).text for path in ("/sign-in", "/first-run"))
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
        return found[1] if found else derive_csrf(self.cookie(LOGIN_COOKIE))

    def sign_in(self, user: str, password: str = PASSWORD, **fields: str) -> TestResponse:
        return self.post("/sign-in", {"user": user, "password": password, **fields})


def give_password(state: State, user: Caller, **columns: Any) -> None:
    columns = {
        "password": passwords.hash_password(PASSWORD),
        "password_created": ids.now(),
        **columns,
    }
    state.update("users", {"user_id": user.user_id}, **columns)


def open_cloud(config: Config, accounts: Accounts, state: State) -> Any:
    """The rooms that pages reach, behind the same names as in the cloud."""
    cloud = SimpleNamespace(config=config, accounts=accounts, state=state)
    cloud.events = KeptEvents()
    cloud.capacity = Capacity(config, state)
    cloud.node = SimpleNamespace(hypervisor_name="kvm")
    attempts, queue = Attempts(), MailQueue(state, Seal(config.cloud.data_dir / "key"))
    cloud.mail = queue
    cloud.sign_ups = SignUps(lambda: cloud.config, state, accounts, queue, attempts)
    cloud.recovery = Recovery(lambda: cloud.config, state, queue, attempts)
    cloud.first_run = FirstRun(lambda: cloud.config, state, accounts, attempts)
    return cloud


@pytest.fixture(scope="session", autouse=True)
def _compile_pages_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each test has a console of its own, and all have the same pages."""
    compiled = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("pages")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Console, "jinja_options", {"bytecode_cache": compiled})
        yield


@pytest.fixture(scope="session", autouse=True)
def _compile_addresses_once() -> Iterator[None]:
    """Werkzeug writes two functions for each address, which takes longer than most tests do."""
    compile_builder = Rule._compile_builder
    builders: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (*rule._trace, repr(rule.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        yield


@pytest.fixture
def console(config: Config, accounts: Accounts, state: State) -> Console:
    give_password(state, accounts.user("eucalyptus/admin"))
    return create_app(open_cloud(config, accounts, state))


@pytest.fixture
def alice(accounts: Accounts, state: State) -> Caller:
    caller = accounts.create_user("alice")
    give_password(state, caller)
    return caller


@pytest.fixture
def visit(console: Console) -> Visit:
    return Visit(console)


@pytest.fixture
def admin_visit(visit: Visit) -> Visit:
    assert visit.sign_in("admin").status_code == 303
    return visit
