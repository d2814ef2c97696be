"""Every page of the console, whoever wrote it: a cloud that has something of all, the addresses
that its pages lead to, and what each page must be like."""

import http.client
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from flask import Flask
from playwright.sync_api import Page, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from eucabox import ids
from eucabox.console.application import PAGES
from eucabox.state import State
from tests.live.console import COLOURS, PASSWORD, SIZES, Visit
from tests.live.process import Running

MOST_BYTES = 150_000
WIDTHS = (320, 701, 1001)  # in which a page must fit, too
OF_ENDPOINT = 2  # addresses of one endpoint that are looked at
WITHOUT_LIMIT = re.compile(r"/(serial|screen)$")  # they load what draws a terminal, or a screen
HREF = re.compile(r'\bhref="(/[^"#]*)"')
CODES = {"stopped": 80, "terminated": 48}
NASTY = "<img src=x onerror=alert(1)>"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":"ec2.amazonaws.com"}}]}'
)
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}'
)
FOCUSABLE = """(within) => {
  window.tourReached = new Set();
  document.addEventListener("focusin", ({target}) => window.tourReached.add(target.dataset.tour));
  return [...document.querySelector(within).querySelectorAll(
    "a[href], button:enabled, input:enabled:not([type=hidden]), select:enabled, textarea:enabled,"
    + "summary")]
    .filter((each) => each.checkVisibility({visibilityProperty: true}) && each.tabIndex >= 0
      && !(each.type === "radio" && !each.checked))
    .map((each, number) => { each.dataset.tour = number; return each.outerHTML.slice(0, 160); });
}"""


# --- something of all --------------------------------------------------------------------------


def fill(cloud: Running) -> None:
    """Put something into the administrator's account of all that pages show."""
    ec2, s3, iam = cloud.client("ec2"), cloud.client("s3"), cloud.client("iam")
    ec2.create_key_pair(KeyName="laptop")
    group = ec2.create_security_group(GroupName="web servers", Description="http and https")
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
    ranges = [{"CidrIp": "0.0.0.0/0", "Description": "everybody"}]
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"], IpPermissions=[{**rule, "IpRanges": ranges}]
    )
    _fill_bucket(s3)
    _fill_iam(iam)
    _fill_image(s3, ec2)
    insert_instances(cloud, 3)


def _fill_bucket(s3: Any) -> None:
    bucket = "a-tour-of-the-console"  # lists begin with it
    s3.create_bucket(Bucket=bucket)
    versions = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versions)
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="notes.txt", Body=body, ContentType="text/plain")
    s3.put_object(Bucket=bucket, Key="a folder/with a long name of its own/data.bin", Body=b"0")
    s3.put_object(Bucket=bucket, Key=f"a folder/{NASTY}", Body=b"1")
    s3.create_bucket(Bucket="an-empty-bucket-whose-name-is-as-long-as-names-of-buckets-may-be"[:63])


def _fill_iam(iam: Any) -> None:
    iam.create_user(UserName="bob", Tags=[{"Key": "team", "Value": "blue sky"}])
    iam.create_group(GroupName="readers")
    iam.add_user_to_group(GroupName="readers", UserName="bob")
    made = iam.create_policy(PolicyName="read-all", PolicyDocument=POLICY, Description="reads")
    iam.attach_group_policy(GroupName="readers", PolicyArn=made["Policy"]["Arn"])
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=POLICY)
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")


def _fill_image(s3: Any, ec2: Any) -> None:
    entry = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") * 2
    disk = bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes(1 << 20)
    s3.create_bucket(Bucket="tour-images")
    s3.put_object(Bucket="tour-images", Key="disk.img", Body=disk)
    image_id = ec2.register_image(
        ImageLocation="tour-images/disk.img", Name="a whole disk", Description=NASTY
    )["ImageId"]
    ec2.create_tags(Resources=[image_id], Tags=[{"Key": "note", "Value": NASTY}])


def insert_instances(cloud: Running, count: int, state_name: str = "terminated") -> list[str]:
    """Write rows of instances that ended, or are stopped, which the node's loop leaves alone; their
    ids."""
    state, now = State(cloud.data / "eucabox.db"), ids.now()
    account = cloud.settings["EC2_USER_ID"]
    reservation = {"reservation_id": ids.new("r"), "account_id": account, "created": now}
    rows = [
        {
            "instance_id": ids.new("i"), "reservation_id": reservation["reservation_id"],
            "account_id": account, "ami_launch_index": number, "image_id": "emi-12345678",
            "instance_type": "m1.tiny", "key_name": "laptop", "state": state_name,
            "state_code": CODES[state_name], "launch_time": now,
            "state_time": now, "terminated_time": now,
            "availability_zone": "eucabox-1a", "architecture": "x86_64",
            "virtualization_type": "hvm", "vcpus": 1, "memory_mb": 128, "disk_gb": 1,
            "private_ip_address": f"172.30.{number // 250}.{number % 250 + 2}",
            "domain_uuid": ids.domain_uuid(),
        }
        for number in range(count)
    ]  # fmt: skip
    tags = [
        {
            "resource_id": row["instance_id"], "account_id": account,
            "resource_type": "instance", "key": key, "value": value,
        }
        for row in rows
        for key, value in (("Name", f"web-{row['ami_launch_index']}"), ("note", NASTY))
    ]  # fmt: skip
    with state.transaction() as database:
        database.table("reservations").insert(reservation)
        database.table("instances").insert_all(rows)
        database.table("tags").insert_all(tags)
    state.close()
    return [str(row["instance_id"]) for row in rows]


PEOPLE = (
    ("ann", "Ann Lee", "Institute of Applied Clouds", "Simulations of weather, in the evenings."),
    ("b.johansson-o-connor", "Bertil Johansson O'Connor", NASTY, "Two instances for a course."),
)


def ask_for_accounts(visit: Visit) -> None:
    """Have strangers ask for accounts, which wait for the administrator."""
    for user_name, full_name, affiliation, description in PEOPLE:
        page = visit.open("/sign-up")
        page.get_by_label("User name").fill(user_name)
        page.get_by_label("Full name").fill(full_name)
        page.get_by_label("E-mail").fill(f"{user_name}@example.org")
        page.get_by_label("Affiliation").fill(affiliation)
        page.get_by_label("What do you need it for?").fill(description)
        page.locator("#password").fill(PASSWORD)
        page.locator("#again").fill(PASSWORD)
        visit.press("Send the request")


# --- where pages lead --------------------------------------------------------------------------


def bind_addresses() -> MapAdapter:
    """Return what finds the endpoint of an address, for all pages that there are."""
    app = Flask("tour")
    app.url_map.merge_slashes = False
    for module in PAGES:
        app.register_blueprint(module.pages)
    return app.url_map.bind("")


def list_views() -> dict[str, Any]:
    """Return what answers at each endpoint."""
    app = Flask("tour")
    for module in PAGES:
        app.register_blueprint(module.pages)
    return app.view_functions


def list_plain_pages(adapter: MapAdapter) -> list[str]:
    """Return the addresses of all pages that need nothing more."""
    return sorted(
        rule.rule
        for rule in adapter.map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint != "static"
    )


def list_addresses(visit: Visit) -> list[str]:
    """Return the addresses of the pages, as they are found by following links from all plain ones:
    a few of each endpoint, none that differs by its query alone. What is no whole page, such as a
    part of one, is left out."""
    adapter = bind_addresses()
    waiting, found = list_plain_pages(adapter), list[str]()
    tried, paths = set[str](), set[str]()
    counts: Counter[str] = Counter()
    while waiting:
        address = waiting.pop(0)
        path = address.partition("?")[0]
        if path in paths or address in tried:
            continue
        tried.add(address)
        endpoint = find_endpoint(adapter, address)
        if not endpoint or counts[endpoint] >= OF_ENDPOINT:
            continue
        text = _read_page(visit, address)
        if text:  # one that is none without its query is found by a link to it
            paths.add(path)
            counts[endpoint] += 1
            found.append(address)
            waiting += [unescape(each) for each in HREF.findall(text)]
    return found


def find_endpoint(adapter: MapAdapter, address: str) -> str:
    """Return the endpoint of an address, "" for none, such as of a file."""
    try:
        return str(adapter.match(address.partition("?")[0], "GET")[0])
    except HTTPException:
        return ""


def _read_page(visit: Visit, address: str) -> str:
    """The text of a page; "" for what is none, or leads elsewhere."""
    cookies = visit.context.cookies(visit.cloud.console)
    pairs = "; ".join(f"{each.get('name')}={each.get('value')}" for each in cookies)
    headers = {"Host": visit.cloud.console.removeprefix("http://"), "Cookie": pairs}
    client = http.client.HTTPConnection("127.0.0.1", visit.cloud.console_port, timeout=60)
    with closing(client):
        client.request("GET", address, headers=headers)
        answer = client.getresponse()
        is_page = answer.status == 200 and "html" in (answer.getheader("Content-Type") or "")
        text = answer.read().decode() if is_page else ""
    assert answer.status < 500, f"{address} answers {answer.status}"
    return text if text.startswith("<!doctype html>") else ""


# --- what each page must be like ---------------------------------------------------------------


@dataclass
class Weighed:
    """The answers that a page came with, from its own on; none of the page before, and none that
    renews a part."""

    answers: list[Response] = field(default_factory=list)

    def note(self, answer: Response) -> None:
        request = answer.request
        is_first = request.is_navigation_request()
        if (self.answers or is_first) and request.headers.get("x-renewal") != "yes":
            self.answers.append(answer)

    def sum_up(self) -> int:
        """The bytes of all; the server compresses nothing."""
        assert not any("content-encoding" in each.headers for each in self.answers)
        return sum(int(each.headers["content-length"]) for each in self.answers if each.ok)


@contextmanager
def weighing(page: Page) -> Iterator[Weighed]:
    """Weigh the page that is opened within, as for the first time."""
    weighed = Weighed()
    session = page.context.new_cdp_session(page)
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.on("response", weighed.note)
    try:
        yield weighed
    finally:
        page.remove_listener("response", weighed.note)
        session.send("Network.setCacheDisabled", {"cacheDisabled": False})
        session.detach()


def find_page_faults(visit: Visit, address: str, known: str = "") -> Iterator[str]:
    """Open a page and look at it in light and dark, wide and narrow; at the second colours of a
    width only for what colours can change. `known` selects what another page has shown already.
    What the page loads after all else, while it is looked at, is weighed too."""
    page = visit.page
    with weighing(page) as weighed:
        page.goto(visit.cloud.console + address)
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for colours in COLOURS:
                page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
                rules = "" if colours == COLOURS[0] else "color-contrast"
                yield from (f"{name} {colours}: {each}" for each in visit.find_faults(rules, known))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            yield from (f"{width} wide: {each}" for each in visit.find_overhang())
    size = weighed.sum_up()
    if size > MOST_BYTES and not WITHOUT_LIMIT.search(address):
        yield f"{size} bytes"
    yield from visit.take_problems()


def list_unreached(visit: Visit, address: str, *, from_main: bool = False) -> list[str]:
    """Walk through a page with the Tab key and return what never had the focus; from its main part
    on, to which the first link leads, if the menu before it is the same as on other pages."""
    page = visit.open(address)
    page.evaluate("window.eucabox.nudge = () => {}")  # no part is replaced on the way
    if from_main:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    texts: list[str] = page.evaluate(FOCUSABLE, "main" if from_main else "body")
    for _ in range(len(texts) + 5):
        page.keyboard.press("Tab")
    reached: list[str] = page.evaluate("() => [...window.tourReached]")
    return [text for number, text in enumerate(texts) if str(number) not in reached]
