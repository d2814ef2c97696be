"""The console: each page with odd places and queries, and each form that the pages show with odd
fields, as who is signed in, as another, and as nobody."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import quote, unquote_to_bytes, urlencode

from werkzeug.test import EnvironBuilder, run_wsgi_app

from eucabox.console.application import create_app
from eucabox.console.login_sessions import derive_csrf
from eucabox.console.visitor import LOGIN_COOKIE, VISIT_COOKIE
from eucabox.iam import passwords
from tests.fuzz import odd
from tests.fuzz.case import Case
from tests.fuzz.cloud_shop import CloudShop
from tests.fuzz.shop import Problem, clock

HOST = "console.localhost:8888"
ORIGIN = f"http://{HOST}"
FORM = "application/x-www-form-urlencoded"
PASSWORD = {
    "password": passwords.hash_password("correct horse battery"),
    "password_created": "2026-11-23T01:02:03.456Z",
}
SLOW = ("faults", "home.health")  # they look at the whole host
TOO_OLD = b"This form is too old"
PICTURE = "/screen.png"
LEAVES = ("sign_in.leave", "sessions.end", "all_sessions", "password.change", "first_run.enter")
METHODS = ("HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "get", "PATCH")
FIELDS = (
    "q", "tag", "order", "page", "state", "accounts", "whose", "scope", "next", "next_token",
    "note", "notice", "key", "prefix", "after", "version", "versions", "upload", "number",
    "since", "like", "arn", "seen", "start", "location", "code", "do", "name", "act", "chosen",
    "group", "account",
    "user", "policy", "size", "etags", "amount", "unit", "acl", "peer", "ports", "protocol", "list",
    "column", "back", "id", "serial", "file", "bucket", "verb", "what", "hours", "reason", "status",
)  # fmt: skip
TAG = re.compile(r"<(form|input|select|option|textarea|button)\b([^>]*)>", re.S)
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
SOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": ORIGIN,
}  # fmt: skip
PLACES = {
    "instance_id": "instance", "image_id": "image", "group_name": "iam group", "user_name": "user",
    "role_name": "role", "account_name": "account name", "policy_name": "policy",
    "group_id": "group", "key_name": "key",
}  # fmt: skip


@dataclass
class PageForm:
    """A form as a page shows it."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


def find_forms(page: str, path: str) -> list[PageForm]:
    """The forms of a page that send something."""
    found: list[PageForm] = []
    select = ""
    for tag, text in TAG.findall(page):
        attributes = {name: unescape(value) for name, value in ATTRIBUTE.findall(text)}
        if tag == "form" and "post" not in attributes.get("method", "").lower():
            found.append(PageForm(""))  # it only asks
        elif tag == "form":
            found.append(PageForm(attributes.get("action") or path))
        elif tag == "select":
            select = attributes.get("name", "")
        elif found:
            name = select if tag == "option" else attributes.get("name", "")
            if name and name != "csrf":
                found[-1].fields.append((name, attributes.get("value", "")))
    return [each for each in found if each.action]


class PageShop(CloudShop):
    """A cloud with its console, and the forms of all its pages."""

    def furnish(self) -> None:
        super().furnish()
        accounts, state = self.cloud.accounts, self.cloud.state
        self.console = create_app(self.cloud)
        self.console.config["PROPAGATE_EXCEPTIONS"] = False
        caller = self.caller
        few = next(each for each in accounts.users() if each.user_name == "user-1")
        self._users = [caller.user_id, few.user_id]
        self.begin_sessions()
        # else the pages lead to the first run
        state.update("users", {"user_id": caller.user_id}, **PASSWORD)

        self.do("s3", "CreateBucket", bucket="fuzz")
        self.rules = [
            rule for rule in self.console.url_map.iter_rules() if not rule.endpoint.startswith(SLOW)
        ]
        self._chance = random.Random(1)
        forms: list[PageForm] = []
        for rule in self.rules:
            if "GET" in (rule.methods or ()) and not rule.websocket:
                path = self.place(rule.rule, self._chance)
                answer = self.open("GET", path, {}, b"", self.tokens[0])
                forms += find_forms(answer[2].decode("utf-8", "replace"), path)
        once = {(each.action.partition("?")[0], *dict(each.fields)): each for each in forms}
        self.forms = list(once.values())

    def renew(self) -> None:
        super().renew()
        self.begin_sessions()

    def begin_sessions(self) -> None:
        """Sign in, the administrator and one who may do little."""
        sessions = self.console.login_sessions
        self.tokens = [sessions.begin(each, "192.0.2.7", "fuzz") for each in self._users]

    def place(self, rule: str, chance: random.Random) -> str:
        """An address of a rule, with things of the cloud in it."""

        def put(found: re.Match[str]) -> str:
            name = found[1].rpartition(":")[2]
            if name == "bucket_name":
                return "fuzz"
            if name == "filename":
                return "console.js"
            known = self.things.get(PLACES.get(name, ""))
            every = [each for group in self.things.values() for each in group]
            value = chance.choice(known or every)
            if chance.random() < getattr(chance, "odd", 0):
                value = odd.text(chance)[:2000]
            return quote(value.encode("utf-8", "surrogatepass"), safe="")

        return re.sub(r"<([^>]+)>", put, rule)

    def is_failure(self, status: int, body: bytes) -> bool:
        return super().is_failure(status, body) and not (status == 503 and b"Too busy" in body)

    def open(
        self, method: str, target: str, headers: dict[str, str], body: bytes, token: str
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = target.partition("?")
        sent = {"Host": HOST, **({"Cookie": f"{LOGIN_COOKIE}={token}"} if token else {}), **headers}
        environ = {
            **EnvironBuilder(method=method, data=body or None).get_environ(),
            "PATH_INFO": unquote_to_bytes(path.encode("utf-8", "surrogatepass")).decode("latin-1"),
            "QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.7", "SERVER_PORT": "8888",
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.items()},
        }  # fmt: skip
        if kind := environ.pop("HTTP_CONTENT_TYPE", ""):
            environ["CONTENT_TYPE"] = kind
        pieces, status, answered = run_wsgi_app(self.console, environ, buffered=True)
        return int(status[:3]), dict(answered), b"".join(pieces)

    def visit(self, case: Case, token: str) -> None:
        """Ask for a page; Problem unless the answer is a page or a refusal."""
        self._freshen()
        took = clock()
        try:
            answer = self.open(case.method, case.target, case.headers, case.body, token)
        except Exception as error:
            raise Problem(f"{case.shown()}\nraised {error!r}") from error
        self._check(case, *answer, took())
        self.seen[str(answer[0])] += 1
        if TOO_OLD in answer[2] and token in self.tokens:
            self.begin_sessions()


# --- kinds --------------------------------------------------------------------------------------


def _token(chance: random.Random, shop: PageShop) -> str:
    roll = chance.random()
    if roll < 0.85:
        return shop.tokens[0]
    return shop.tokens[1] if roll < 0.95 else chance.choice(["", "x", "a" * 43, "\xff"])


def _query(chance: odd.Chance) -> str:
    pairs = []
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        value = odd.in_query(odd.text(chance)[:2000], chance)
        pairs.append(f"{chance.choice(FIELDS)}={value}")
    return "&".join(pairs)


def show(chance: odd.Chance, shop: PageShop) -> tuple[Case, str]:
    """A page, or a part of one as the page asks for it, or a socket."""
    rule = chance.choice([each for each in shop.rules if "GET" in (each.methods or ())])
    case = Case("GET", shop.place(rule.rule, chance), _query(chance), signed="")
    if chance.random() < 0.05:
        case.path = "/" + odd.in_query(odd.text(chance)[:900], chance)
    if chance.random() < 0.05:
        case.method = chance.choice(METHODS)
    if case.path.endswith(PICTURE) and case.method == "HEAD":
        case.method = "GET"  # whose answer says that libvirt is not there
    if chance.random() < 0.3:
        renewal = chance.choice(["yes", odd.in_header(odd.text(chance))[:300]])
        case.headers |= {"X-Part": "yes", "X-Renewal": renewal}
    if rule.websocket or chance.random() < 0.02:
        case.headers |= socket_head(chance)
    if chance.random() < chance.odd:
        name = chance.choice(["Host", "Origin", "Sec-Fetch-Site", "Cookie", "Accept-Language",
                              "Range", "If-None-Match", "Referer", "User-Agent"])  # fmt: skip
        case.headers[name] = odd.in_header(odd.text(chance))[:3000]
    return case, _token(chance, shop)


def socket_head(chance: odd.Chance) -> dict[str, str]:
    head = dict(SOCKET)
    if chance.random() < 0.7:
        head[chance.choice(list(head))] = odd.in_header(odd.text(chance))[:300]
    if chance.random() < 0.2:
        del head[chance.choice(list(head))]
    return head


def send(chance: odd.Chance, shop: PageShop) -> tuple[Case, str]:
    """A form of a page, a few of its fields odd, missing, twice or of other forms."""
    form, token = chance.choice(shop.forms), _token(chance, shop)
    fields = [each for each in form.fields if chance.random() < 0.9]
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        value = odd.text(chance)[:20_000] if chance.random() < 0.7 else _some(shop, chance)
        if fields and chance.random() < 0.75:
            at = chance.randrange(len(fields))
            fields[at] = (fields[at][0], value)
        else:
            fields.append((chance.choice(FIELDS), value))
    action = form.action
    if any(each in action for each in ("sign-out", "sessions", "password", "first-run")):
        token = shop.tokens[1]
    return _post(action, fields, token, chance), token


def _some(shop: PageShop, chance: odd.Chance) -> str:
    return chance.choice([each for group in shop.things.values() for each in group])


def _post(action: str, fields: list[tuple[str, str]], token: str, chance: odd.Chance) -> Case:
    path, _, query = action.partition("?")
    csrf = derive_csrf(token) if chance.random() < 0.97 else odd.text(chance)[:100]
    pairs = [("csrf", csrf), *fields]
    case = Case("POST", path or "/", query, signed="")
    case.headers = {"Content-Type": FORM, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    coded = [
        (n.encode("utf-8", "surrogatepass"), v.encode("utf-8", "surrogatepass")) for n, v in pairs
    ]
    case.body = urlencode(coded).encode()
    roll = chance.random()
    if roll < 0.06:
        boundary = "b0undary"
        parts = [
            b'--b0undary\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
            % (name, _file(chance), value)
            for name, value in coded
        ]
        case.body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        case.headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    if chance.random() < chance.odd / 2:
        at = chance.randrange(len(case.body) + 1)
        piece = [
            b"&",
            b"%",
            b"%zz",
            b"%ff",
            b"\xff",
            b"\0",
            b"&a=b" * 1200,
            b"\r\n--b0undary\r\n",
            b"=",
        ]
        case.body = case.body[:at] + chance.choice(piece) + case.body[at:]
    if chance.random() < 0.02:
        name = chance.choice(["Content-Type", "Origin", "Sec-Fetch-Site"])
        case.headers[name] = odd.in_header(odd.text(chance))[:1000]
    return case


def _file(chance: odd.Chance) -> bytes:
    return b'; filename="x.txt"' if chance.random() < 0.1 else b""


def post_anywhere(chance: odd.Chance, shop: PageShop) -> tuple[Case, str]:
    """A form to any address that takes one, of fields that nobody shows."""
    rules = [each for each in shop.rules if "POST" in (each.methods or ())]
    rule = chance.choice(rules)
    fields = []
    for _ in range(chance.choice([0, 1, 3, 10])):
        value = odd.text(chance)[:5000] if chance.random() < 0.6 else _some(shop, chance)
        fields.append((chance.choice(FIELDS), value))
    token = _token(chance, shop)
    if rule.endpoint.startswith(LEAVES):
        token = shop.tokens[1]
    return _post(shop.place(rule.rule, chance), fields, token, chance), token


Kind = Callable[[odd.Chance, PageShop], tuple[Case, str]]
KINDS: dict[str, tuple[Kind, int]] = {
    "page": (show, 50),
    "page-form": (send, 35),
    "page-post": (post_anywhere, 15),
}


__all__ = ["KINDS", "VISIT_COOKIE", "PageShop"]
