"""An visit, the root of an account and its user, each in a browser of its own."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live.console import PASSWORD, Visit, visiting
from tests.live.process import Running

NEW = "another long enough password"
LOOK = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
LISTING = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(name="root", scope="module")
def _root(cloud: Running, browser: Browser, visit: Visit) -> Iterator[Visit]:
    """The root of an account that the administrator has just made."""
    page = visit.open("/accounts")
    page.get_by_label("Account name").fill("physics")
    page.get_by_label("First password").fill(PASSWORD)
    visit.press("Create the account")
    expect(page.get_by_text("The account is created.")).to_be_visible()
    with visiting(browser, cloud) as visit:
        page = visit.sign_in("physics")
        page.locator("#old").fill(PASSWORD)
        page.locator("#password").fill(NEW)
        page.locator("#again").fill(NEW)
        page.locator("main form button.primary").click()
        expect(page.get_by_role("heading", name="Hello, physics")).to_be_visible()
        yield visit
        visit.check()


def write(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)


def create_user(root: Visit) -> Page:
    page = root.open("/users")
    page.get_by_text("Create a user", exact=True).click()
    page.get_by_label("User name").fill("bob")
    page.locator("#password").fill(PASSWORD)
    page.get_by_label("Must choose another one").uncheck()
    root.press("Create the user")
    expect(page.get_by_text("The user is created.")).to_be_visible()
    return page


def test_from_a_new_user_to_why_it_is_refused(
    cloud: Running, browser: Browser, root: Visit
) -> None:
    page = create_user(root)
    page.get_by_role("link", name="Write one").click()
    page.get_by_label("Policy name").fill("look")
    document = page.get_by_label("Document", exact=True)
    document.fill(write(LOOK, {**LISTING, "Resource": EVIL}))
    root.press("Save the policy")
    wrong = page.locator(".document .wrong")
    expect(wrong).to_contain_text(EVIL)
    expect(wrong).to_contain_text('must be in ARN format or "*".')
    expect(page.locator("img[src=x]")).to_have_count(0)
    document.fill(write(LOOK, LISTING))
    root.press("Check the document")
    expect(page.get_by_text("The document is right.")).to_be_visible()
    root.press("Save the policy")
    expect(page.get_by_role("link", name="look", exact=True)).to_be_visible()
    page.get_by_label("Key", exact=True).fill("team")
    page.get_by_label("Value", exact=False).first.fill("weather")
    root.press("Set the tag")
    expect(page.get_by_text("weather")).to_be_visible()

    with visiting(browser, cloud) as bob:
        bob.sign_in("bob", account="physics")
        expect(bob.page.get_by_role("heading", name="Hello, bob")).to_be_visible()
        menu = bob.page.get_by_role("navigation", name="Pages")
        expect(menu.get_by_role("link", name="Users")).to_be_visible()
        for absent in ("Groups", "Roles", "Policies", "Why refused", "Accounts", "Faults", "Log"):
            expect(menu.get_by_role("link", name=absent)).to_have_count(0)
        bob.open("/users")
        expect(bob.page.get_by_role("link", name="bob")).to_be_visible()
        expect(bob.page.get_by_text("Create a user")).to_have_count(0)
        bob.open("/users/bob")
        expect(bob.page.get_by_text("is not authorized to perform: iam:GetUser")).to_be_visible()
        expect(bob.page.get_by_text("because no identity-based policy allows")).to_be_visible()
        bob.check()

    page = root.open("/users/bob")
    page.get_by_role("link", name="Why is this refused?").click()
    page.get_by_label("Action").fill("iam:GetUser")
    root.press("Ask")
    expect(page.get_by_role("heading", name="Refused: no policy allows it")).to_be_visible()
    page.get_by_label("Action").fill("ec2:DescribeInstances")
    root.press("Ask")
    expect(page.get_by_role("heading", name="Allowed")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("ec2:DescribeInstances")


def test_the_administrator_sees_the_session_and_ends_it(
    cloud: Running, browser: Browser, visit: Visit, root: Visit
) -> None:
    with visiting(browser, cloud) as bob:
        bob.sign_in("bob", account="physics")
        expect(bob.page.get_by_role("heading", name="Hello, bob")).to_be_visible()
        page = visit.open("/all-sessions")
        row = page.locator("tr", has_text="bob").first
        row.get_by_role("button", name="End").click()
        expect(page.get_by_text("The session is over.")).to_be_visible()
        bob.open("/")
        expect(bob.page.get_by_role("heading", name="Sign in")).to_be_visible()
    page = visit.open("/log?user=bob")
    expect(page.locator(".log li").first).to_be_visible()
    page = visit.open("/faults")
    expect(page.get_by_text("memory").first).to_be_visible()


def test_the_user_goes_with_all_that_it_has(root: Visit) -> None:
    page = root.open("/users/bob")
    expect(page.get_by_text("its password, 1 policy of its own")).to_be_visible()
    card = page.locator("section", has=page.get_by_role("heading", name="Delete the user"))
    card.locator("summary").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the user now").click()
    expect(page.get_by_text("The user is deleted.")).to_be_visible()
