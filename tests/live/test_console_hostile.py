"""A real cloud whose every stored field has words of an attacker, and odd values in every address
and form: nothing of them runs, leads elsewhere, breaks a page or holds one up."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from eucabox.console.guard import BYTES, METRICS, STREAMED
from eucabox.console.login_sessions import derive_csrf
from eucabox.console.visitor import LOGIN_COOKIE
from tests.live import console_tour
from tests.live.console import Visit, visiting
from tests.live.console_tour import NASTY
from tests.live.process import Running, running

FORM = "application/x-www-form-urlencoded"
SECONDS = 10.0  # for a page, also on a machine that boots guests beside
SLOW = ("/faults/findings", "/home/health")  # they look at the whole host
LEAVES = (
    "/sign-in",
    "/sign-in/code",
    "/first-run",
    "/sign-out",
    "/sessions/end",
    "/password",
    "/all-sessions",
)
ODD = (
    "", "\0", "a\r\nX-Evil: b", "\x85", "\u202e", "\u0661", "%zz", "../../etc/passwd",
    "//evil.example", "9" * 30, "-1", "1e999", "(a+)+$" + "a" * 40, "[" * 1000, '{"a":' * 200,
    "x" * 1500, "*", NASTY,
)  # fmt: skip
RAW = ("%ff", "%", "%ed%a0%80", "%u0041", "+&=&;", "%00")
FIELDS = (
    "q", "tag", "order", "page", "state", "accounts", "whose", "scope", "next", "next_token",
    "note", "notice", "key", "prefix", "after", "version", "versions", "upload", "number", "since",
    "like",
    "arn", "seen", "start", "location", "code", "do", "name", "act", "chosen", "group", "account",
    "user", "user_name", "group_name", "role_name", "policy_name", "policy_arn", "path", "value",
    "document", "policy_document", "policy", "size", "etags", "amount", "unit", "endpoint", "acl",
    "peer", "ports", "protocol", "description", "public_key", "key_name", "image_id", "count",
    "tags", "instance_type", "email", "account_name", "mail_id", "session_id", "address", "list",
    "column", "back", "id", "serial", "first", "second", "head", "file", "bucket", "verb", "who",
    "what", "message", "hours", "reason", "status", "tag_key", "tag_value", "metadata", "storage",
)  # fmt: skip


@pytest.fixture(name="cloud", scope="module")
def _cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as cloud:
        console_tour.fill(cloud)
        fill_with_markup(cloud)
        yield cloud


@pytest.fixture(name="visit", scope="module")
def _visit(visit: Visit, cloud: Running, browser: Browser) -> Visit:
    """... beside which strangers have asked for accounts."""
    with visiting(browser, cloud) as stranger:
        console_tour.ask_for_accounts(stranger)
    return visit


def fill_with_markup(cloud: Running) -> None:
    """Put markup into all fields of the APIs that take it."""
    ec2, s3, iam = cloud.client("ec2"), cloud.client("s3"), cloud.client("iam")
    tag = {"Key": NASTY, "Value": NASTY}
    ec2.create_key_pair(KeyName=NASTY)
    group = ec2.create_security_group(GroupName="hostile", Description="of a stranger")["GroupId"]
    ec2.create_tags(Resources=[group], Tags=[tag])
    bucket, names = "hostile-bucket", {"Bucket": "hostile-bucket", "Key": NASTY}
    s3.create_bucket(Bucket=bucket)
    s3.put_object(
        **names, Body=f"<script>{NASTY}".encode(), ContentType=f"text/html;{NASTY}",
        ContentDisposition=f'inline; filename="{NASTY}"', Metadata={"note": NASTY},
        CacheControl=NASTY,
    )  # fmt: skip
    s3.create_multipart_upload(Bucket=bucket, Key=f"{NASTY}/{NASTY}")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "a@b"}]})
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": [f"http://{NASTY[:9]}"], "ID": NASTY}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    expiry = {
        "ID": NASTY,
        "Status": "Enabled",
        "Filter": {"Prefix": NASTY},
        "Expiration": {"Days": 9},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [expiry]})
    condition = {"StringEquals": {"aws:UserAgent": NASTY}}
    statement = {**json.loads(console_tour.POLICY)["Statement"][0], "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="bob", PolicyName="hostile", PolicyDocument=document)
    iam.create_role(
        RoleName="hostile", AssumeRolePolicyDocument=console_tour.TRUST, Description="<b>bold</b>"
    )


def test_markup_that_people_stored_is_text_on_every_page(visit: Visit) -> None:
    addresses = console_tour.list_addresses(visit)
    at = "/buckets/hostile-bucket"
    addresses += [at, f"{at}/settings", f"{at}/access", f"{at}/object?key={quote(NASTY)}"]
    addresses += ["/users/bob/policies/hostile", "/roles/hostile"]
    shown = 0
    for address in addresses:
        page = visit.open(address)
        count = page.locator(
            "img[src='x'], [onerror], main script:not([src]), main b:text('bold')"
        ).count()
        assert count == 0, address
        shown += NASTY in page.content().replace("&lt;", "<").replace("&gt;", ">")
    assert shown > 10
    visit.check()


def test_odd_values_everywhere_break_nothing_and_take_no_time(cloud: Running, visit: Visit) -> None:
    client = Asker(cloud, visit)
    with closing(client.connection):
        values = [*(quote(each, safe="") for each in ODD), *RAW]
        for place, (path, kind) in enumerate(list_places()):
            for number in range(place % 2, len(values), 2):
                client.ask(path, kind, values[number], number // 2)
    assert client.asked > 1500
    assert client.faults == []
    assert "Traceback" not in cloud.log.read_text()


def list_places() -> list[tuple[str, str]]:
    """Every address, as a pattern, with GET, or POST and the type of its body."""
    adapter, app = console_tour.bind_addresses(), console_tour.list_views()
    places = []
    for rule in adapter.map.iter_rules():
        if rule.websocket or rule.rule in (*SLOW, *LEAVES) or rule.endpoint in (METRICS, "static"):
            continue
        pattern = re.sub("<[^>]+>", "{}", rule.rule)
        if "GET" in (rule.methods or ()):
            places.append((pattern, "GET"))
        if "POST" in (rule.methods or ()):
            places.append((pattern, BYTES if getattr(app[rule.endpoint], STREAMED, 0) else FORM))
    return places


class Asker:
    """A program with the cookies of a window."""

    def __init__(self, cloud: Running, visit: Visit) -> None:
        self.host = cloud.console.removeprefix("http://")
        cookies = visit.context.cookies(cloud.console)
        token = next(each.get("value", "") for each in cookies if each.get("name") == LOGIN_COOKIE)
        self.headers = {
            "Host": self.host, "Cookie": f"{LOGIN_COOKIE}={token}", "Origin": f"http://{self.host}",
            "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": derive_csrf(token),
        }  # fmt: skip
        self.connection = http.client.HTTPConnection("127.0.0.1", cloud.console_port, timeout=60)
        self.asked, self.faults = 0, list[str]()

    def ask(self, pattern: str, kind: str, value: str, number: int) -> None:
        """Ask with a value, percent-encoded, in each part of the path and in a third of the fields
        at once: others each time."""
        chosen = FIELDS[number % 3 :: 3] if kind != "GET" else FIELDS[number % 2 :: 2]
        sent = "&".join(f"{name}={value[:400]}" for name in chosen)
        path = pattern.replace("{}", value[:400].replace("/", "%2f") or "x")
        if kind == "GET":
            self._send("GET", f"{path}?{sent[:6000].rstrip('%')}", None, {})
        else:
            known = f"?key={value[:400]}&prefix={value[:400]}"
            self._send("POST", path + known, sent[:60000].encode(), {"Content-Type": kind})

    def _send(self, method: str, path: str, body: bytes | None, more: dict[str, Any]) -> None:
        began = time.monotonic()
        self.connection.request(method, path, body, {**self.headers, **more})
        answer = self.connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        seconds, self.asked = time.monotonic() - began, self.asked + 1
        place = answer.getheader("Location") or "/"
        leads_away = not place.startswith("/") or place[1:2] in ("/", "\\")
        if (
            answer.status == 500 or "Traceback" in text or answer.getheader("X-Evil") or leads_away
            or seconds > SECONDS or place.startswith("/sign-in")
        ):  # fmt: skip
            self.faults.append(f"{method} {path[:150]}: {answer.status} {place} {seconds:.1f} s")
