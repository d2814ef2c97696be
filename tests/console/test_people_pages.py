"""The root of an account and its people: users, groups, roles, policies; why what is refused."""

import json
import re
from html import unescape

import pytest

from eucabox.actions import Call, perform
from eucabox.console.site import Console
from eucabox.errors import OperationRefused
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.console.conftest import PASSWORD, Visit
from tests.kept_events import KeptEvents

LOOK = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
EVIL = "<script>alert(1)</script>"
AWS = "arn:aws:iam::aws:policy/"


def write(*statements: object, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)}, indent=2)


def do(visit: Visit, address: str, act: str, /, **fields: str) -> str:
    """Send a form that works, follow it, and return the page."""
    sent = visit.post(address, {"do": act, **fields})
    assert sent.status_code == 303, unescape(sent.text)
    return visit.get(sent.location).text


def refuse(visit: Visit, address: str, act: str, /, **fields: str) -> tuple[int, str]:
    sent = visit.post(address, {"do": act, **fields})
    return sent.status_code, unescape(sent.text)


@pytest.fixture(name="root")
def _root(visit: Visit, alice: Caller) -> Visit:
    assert visit.sign_in("alice").status_code == 303
    return visit


@pytest.fixture(name="account_id")
def _account_id(alice: Caller) -> str:
    return alice.account_id


# --- users -------------------------------------------------------------------------------------


@pytest.mark.not_fast
def test_a_user_from_its_beginning_to_its_end(root: Visit, console: Console) -> None:
    do(root, "/groups", "", group_name="staff")
    fields = {
        "user_name": "bob", "path": "/people/", "password": PASSWORD, "group_name": "staff",
        "policy_arn": f"{AWS}AmazonEC2ReadOnlyAccess",
    }  # fmt: skip
    page = do(root, "/users", "", **fields)
    assert "The user is created." in page
    assert ":user/people/bob" in page
    assert 'href="/groups/staff"' in page
    assert "AmazonEC2ReadOnlyAccess" in page
    assert Visit(console).sign_in("bob", account="alice").status_code == 303

    made = root.post("/users/bob", {"do": "create-key"}).text
    key_id, secret = re.findall(r'id="key-(?:id|secret)">([^<]+)<', made)
    assert secret not in root.get("/users/bob").text
    credential = console.cloud.accounts.credential(key_id)
    assert credential
    assert credential.secret == secret
    do(root, "/users/bob", "key", access_key_id=key_id, status="Inactive")
    assert "Activate" in root.get("/users/bob").text
    do(root, "/users/bob", "tag", key="team", value="weather")
    page = do(root, "/users/bob", "bound", permissions_boundary=f"{AWS}AmazonEC2FullAccess")
    assert "may do no more than" in page
    assert "weather" in page
    assert "There is no boundary" in do(root, "/users/bob", "unbound")
    assert "weather" not in do(root, "/users/bob", "untag", key="team")
    do(root, "/users/bob", "detach", policy_arn=f"{AWS}AmazonEC2ReadOnlyAccess")
    do(root, "/users/bob", "attach", policy_arn=f"{AWS}AmazonS3ReadOnlyAccess")
    do(root, "/users/bob", "new-password", password="another fine secret")
    assert Visit(console).sign_in("bob", account="alice").status_code == 403
    do(root, "/users/bob", "drop-password")
    do(root, "/users/bob", "set-password", password=PASSWORD, must_change="yes")
    do(root, "/users/bob", "leave", group_name="staff")
    do(root, "/users/bob", "join", group_name="staff")
    page = do(root, "/users/bob", "rename", new_user_name="rob", new_path="/")
    assert ":user/rob" in page

    document = write(LOOK)
    do(root, "/users/rob/policies", "save", policy_name="own", policy_document=document)
    page = unescape(root.get("/users/rob").text)
    for holding in ("its password", "1 access key", "1 membership", "1 policy of its own"):
        assert holding in page
    assert "The user is deleted." in do(root, "/users/rob", "delete")
    assert root.get("/users/rob").status_code == 404
    assert console.cloud.accounts.credential(key_id) is None


@pytest.mark.not_fast
def test_what_iam_refuses_is_told_on_the_page(root: Visit, state: State) -> None:
    status, page = refuse(root, "/users", "", user_name="a/b")
    assert (status, 'value="a/b"' in page) == (400, True)
    assert "It must contain only alphanumeric characters" in page
    status, page = refuse(root, "/users", "", user_name="bob", password="short")
    assert (status, "but not all of it" in page) == (400, False)
    assert state.one("select 1 from users where user_name = 'bob'") is None
    do(root, "/users", "", user_name="bob")
    status, page = refuse(root, "/users", "", user_name="BOB", password=PASSWORD)
    assert (status, "already exists" in page) == (409, True)
    assert refuse(root, "/users/bob", "nothing")[0] == 400
    assert refuse(root, "/users/bob", "attach", policy_arn="arn:x")[0] == 400
    assert refuse(root, "/users/nobody", "tag", key="a")[0] == 404
    assert state.one("select 1 from users where user_name = 'nobody'") is None


@pytest.mark.not_fast
def test_a_user_is_made_as_a_whole_or_not_at_all(
    root: Visit, console: Console, state: State
) -> None:
    whole = {"user_name": "bob", "password": PASSWORD, "group_name": "staff"}
    assert refuse(root, "/users", "", **whole)[0] == 404  # there is no such group
    do(root, "/groups", "", group_name="staff")
    assert refuse(root, "/users", "", **whole, policy_arn=f"{AWS}NoSuchPolicy")[0] == 404
    assert state.query("select 1 from users where user_name = 'bob'") == []
    assert state.query("select 1 from group_members") == []
    events = console.cloud.events
    assert isinstance(events, KeptEvents)
    assert [(each.action, each.outcome) for each in events.kept[-7:]] == [
        ("CreateUser", "ok"),
        ("CreateLoginProfile", "ok"),
        ("AddUserToGroup", "ok"),
        ("AttachUserPolicy", "NoSuchEntity"),
        ("RemoveUserFromGroup", "ok"),
        ("DeleteLoginProfile", "ok"),
        ("DeleteUser", "ok"),
    ]
    assert "The user is created." in do(root, "/users", "", **whole)


@pytest.mark.not_fast
def test_what_may_not_be_undone_is_told(root: Visit, console: Console, state: State) -> None:
    may = ["iam:CreateUser", "iam:ListUsers", "iam:GetUser"]
    do(root, "/users", "", user_name="ann", password=PASSWORD)
    policy = write({"Effect": "Allow", "Action": may, "Resource": "*"})
    do(root, "/users/ann/policies", "save", policy_name="own", policy_document=policy)
    ann = Visit(console)
    assert ann.sign_in("ann", account="alice").status_code == 303
    status, page = refuse(ann, "/users", "", user_name="bob", password=PASSWORD)
    assert status == 403
    assert "The user bob is created, but not all of it: " in page
    assert state.one("select 1 from users where user_name = 'bob'")


def test_a_profile_without_its_role_is_not_left(root: Visit, state: State) -> None:
    status, _ = refuse(root, "/roles/none", "create-profile", instance_profile_name="web")
    assert status == 404
    assert state.query("select 1 from instance_profiles") == []


@pytest.mark.not_fast
def test_a_long_list_comes_in_pages_and_is_searched(
    root: Visit, state: State, account_id: str
) -> None:
    for number in range(120):
        create_user(state, account_id, f"user-{number:03}", "/a/" if number % 2 else "/b/")
    first = root.get("/users").text
    assert first.count('href="/users/user-') == 100
    assert "Page 1 of 2" in first
    last = root.get("/users?page=2").text
    assert last.count('href="/users/user-') == 20
    assert root.get("/users?page=999").text.count('href="/users/user-') == 20
    found = root.get("/users?q=USER-11").text
    assert found.count('href="/users/user-') == 10
    assert "None of 120 fits" in root.get("/users?q=%3Cb%3E&page=x").text
    assert root.get("/users/list?q=user-119").text.count('href="/users/user-') == 1


# --- groups and roles --------------------------------------------------------------------------


@pytest.mark.not_fast
def test_a_group_gives_its_policies_to_its_users(
    root: Visit, state: State, account_id: str
) -> None:
    create_user(state, account_id, "bob")
    assert "no members" in do(root, "/groups", "", group_name="staff", path="/x/")
    page = do(root, "/groups/staff", "add", user_name="bob")
    assert "/users/bob" in page and "Its member stays as a user." in page
    offered = f'<option value="{AWS}AmazonEC2ReadOnlyAccess">'
    assert offered in page
    page = do(root, "/groups/staff", "attach", policy_arn=f"{AWS}AmazonEC2ReadOnlyAccess")
    assert offered not in page, "it has it"
    do(root, "/groups/staff/policies", "save", policy_name="own", policy_document=write(LOOK))
    page = do(root, "/groups/staff", "rename", new_group_name="crew", new_path="/")
    assert ":group/crew" in page
    assert "The user left the group." in do(root, "/groups/crew", "remove", user_name="bob")
    do(root, "/groups/crew", "add", user_name="bob")
    assert refuse(root, "/groups/crew", "add", user_name="nobody")[0] == 404
    assert "The group is deleted." in do(root, "/groups/crew", "delete")
    assert root.get("/users/bob").status_code == 200
    assert refuse(root, "/groups", "", group_name="")[0] == 400


@pytest.mark.not_fast
def test_a_role_is_made_for_instances(root: Visit, account_id: str) -> None:
    page = unescape(root.get("/roles").text)
    document = page.partition("<textarea")[2].partition(">\n")[2].partition("</textarea>")[0]
    assert json.loads(document)["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    page = do(root, "/roles", "create", role_name="web", policy_document=document)
    assert f"arn:aws:iam::{account_id}:role/web" in page
    do(root, "/roles/web", "edit", hours="12", description="for the web")
    page = root.get("/roles/web").text
    assert '<option value="12" selected>' in page
    assert "for the web" in root.get("/roles").text
    do(root, "/roles/web", "create-profile", instance_profile_name="web")
    do(root, "/roles/web", "remove-profile", instance_profile_name="web")
    do(root, "/roles/web", "add-profile", instance_profile_name="web")
    do(root, "/roles/web", "attach", policy_arn=f"{AWS}AmazonS3ReadOnlyAccess")
    do(root, "/roles/web", "tag", key="a", value="b")
    assert refuse(root, "/roles/web", "edit", hours="13")[0] == 400
    nobody = {"AWS": f"arn:aws:iam::{account_id}:user/nobody"}
    wrong = write({"Effect": "Allow", "Principal": nobody, "Action": "sts:AssumeRole"})
    status, page = refuse(root, "/roles/web", "trust", policy_document=wrong)
    assert status == 400
    assert "Line 7: Invalid principal in policy" in page
    alone = write({"Effect": "Allow", "Principal": {"AWS": account_id}, "Action": "sts:AssumeRole"})
    assert "is changed." in do(root, "/roles/web", "trust", policy_document=alone)
    assert "The role is deleted." in do(root, "/roles/web", "delete")
    assert refuse(root, "/roles", "check", policy_document=alone)[0] == 200


# --- policies ----------------------------------------------------------------------------------


@pytest.mark.not_fast
def test_a_policy_and_its_versions(root: Visit, account_id: str, state: State) -> None:
    create_user(state, account_id, "bob")
    arn = f"arn:aws:iam::{account_id}:policy/look"
    document = write(LOOK)
    page = do(root, "/policies", "create", policy_name="look", description="to look",
              policy_document=document)  # fmt: skip
    assert "to look" in page
    assert unescape(page).count("ec2:Describe*") == 2, "shown, and in the editor"
    do(root, "/users/bob", "attach", policy_arn=arn)
    page = do(root, "/policies/one", "save", arn=arn, policy_document=write({**LOOK, "Sid": "b"}))
    assert "Version v2, in force" in page
    assert '"Sid"' not in unescape(root.get(f"/policies/one?arn={arn}&version=v1").text)
    page = do(root, "/policies/one", "default", arn=arn, version_id="v1")
    assert "Version v1, in force" in page
    do(root, "/policies/one", "drop-version", arn=arn, version_id="v2")
    do(root, "/policies/one", "save", arn=arn, policy_document=write({**LOOK, "Sid": "c"}))
    do(root, "/policies/one", "tag", arn=arn, key="a", value="b")
    assert 'href="/users/bob"' in root.get(f"/policies/one?arn={arn}").text
    assert "look" in root.get("/policies").text
    assert "The policy is deleted." in do(root, "/policies/one", "delete", arn=arn)
    assert root.get(f"/policies/one?arn={arn}").status_code == 404
    of_aws = root.get(f"/policies/one?arn={AWS}AdministratorAccess").text
    assert "Write a new version" not in of_aws
    assert "AdministratorAccess" in root.get("/policies?scope=aws").text
    assert refuse(root, "/policies/one", "delete", arn=f"{AWS}AdministratorAccess")[0] == 403


@pytest.mark.not_fast
@pytest.mark.parametrize("path", ["/policies", "/users/bob/policies"])
def test_a_wrong_document_is_shown_with_its_line_and_nothing_is_stored(
    root: Visit, state: State, account_id: str, path: str
) -> None:
    create_user(state, account_id, "bob")
    wrong = write(LOOK, {**LOOK, "Resource": EVIL})
    for act in ("check", "create" if path == "/policies" else "save"):
        sent = root.post(path, {"do": act, "policy_name": "own", "policy_document": wrong})
        assert sent.status_code == (200 if act == "check" else 400)
        assert EVIL not in sent.text
        page = unescape(sent.text)
        assert f'Line 12: Resource {EVIL} must be in ARN format or "*".' in page
        marked = re.findall(r'<li class="wrong"><code>([^\n]*?)</code>', page)
        assert marked == [f'      "Resource": "{EVIL}"']
    assert state.query("select 1 from policies union select 1 from inline_policies") == []
    right = root.post(path, {"do": "check", "policy_document": write(LOOK).replace("\n", "\r\n")})
    assert "The document is right." in right.text
    assert "not_there" not in root.get(f"{path}?start=not_there").text
    assert "s3:ListBucket" in root.get(f"{path}?start=bucket").text


# --- who may what ------------------------------------------------------------------------------


@pytest.fixture(name="bob")
def _bob(console: Console, root: Visit) -> Visit:
    """A user of alice's account who may list users, and no more."""
    do(root, "/users", "", user_name="bob", password=PASSWORD)
    listing = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}
    do(root, "/users/bob/policies", "save", policy_name="p", policy_document=write(listing))
    bob = Visit(console)
    assert bob.sign_in("bob", account="alice").status_code == 303
    return bob


@pytest.mark.not_fast
def test_a_user_sees_and_does_what_its_policies_allow(
    bob: Visit, root: Visit, state: State, account_id: str
) -> None:
    home = bob.get("/").text
    assert 'href="/users"' in home
    for path in ("/groups", "/roles", "/policies", "/why", "/accounts", "/log", "/mails"):
        assert f'href="{path}"' not in home
        refused = bob.get(path) if path != "/why" else None
        assert refused is None or refused.status_code == 403
    page = bob.get("/users").text
    assert "bob" in page
    assert "Create a user" not in page
    refused = bob.get("/groups")
    arn = f"arn:aws:iam::{account_id}:user/bob"
    assert f"User: {arn} is not authorized to perform: iam:ListGroups" in refused.text
    assert "because no identity-based policy allows" in refused.text
    assert bob.get("/users/bob").status_code == 403
    for path, form in (
        ("/users", {"user_name": "eve"}),
        ("/users/bob", {"do": "attach", "policy_arn": f"{AWS}AdministratorAccess"}),
        ("/users/bob", {"do": "delete"}),
        ("/users/bob/policies", {"policy_name": "x", "policy_document": write(LOOK)}),
        ("/policies", {"policy_name": "x", "policy_document": write(LOOK)}),
        ("/roles", {"role_name": "x", "policy_document": write(LOOK)}),
        ("/roles", {"do": "check", "policy_document": write(LOOK)}),
        ("/why", {"who": arn, "verb": "ec2:RunInstances"}),
        ("/why/decode", {"message": "x"}),
    ):
        assert bob.post(path, form).status_code in (200, 403)
    names = state.query("select user_name from users where account_id = ? and is_root = 0",
                        (account_id,))  # fmt: skip
    assert names == [{"user_name": "bob"}]
    assert state.query("select 1 from attached_policies union select 1 from policies") == []


@pytest.mark.not_fast
def test_nobody_reaches_another_account(
    bob: Visit, root: Visit, accounts: Accounts, state: State
) -> None:
    carl = accounts.create_user("carl")
    root.post("/users/bob", {"do": "join", "group_name": "x", "delegate_account": "carl"})
    sent = root.post("/groups", {"group_name": "mine", "delegate_account": "carl"})
    assert sent.status_code == 303
    rows = state.query("select account_id from groups")
    assert carl.account_id not in {row["account_id"] for row in rows}


@pytest.mark.not_fast
def test_why_a_request_is_refused(root: Visit, bob: Visit, account_id: str) -> None:
    arn = f"arn:aws:iam::{account_id}:user/bob"
    page = root.get(f"/why?who={arn}&verb=iam:ListUsers").text
    assert "Allowed" in page
    assert "user_bob_p" in page
    assert '"iam:ListUsers"' in unescape(page)
    page = root.get(f"/why?who={arn}&verb=ec2:RunInstances").text
    assert "Refused: no policy allows it" in page
    deny = {
        "Effect": "Deny", "Action": "iam:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    do(root, "/users/bob/policies", "save", policy_name="q", policy_document=write(deny))
    question = {"who": arn, "verb": "iam:ListUsers", "resource": "*"}
    page = unescape(root.post("/why", question).text)
    assert "Allowed" in page
    assert 'name="context.aws:SecureTransport"' in page
    page = unescape(root.post("/why", {**question, "context.aws:SecureTransport": "false"}).text)
    assert "Refused: a policy denies it" in page
    assert '"aws:SecureTransport": "false"' in page
    do(root, "/users/bob", "bound", permissions_boundary=f"{AWS}AmazonS3ReadOnlyAccess")
    page = root.get(f"/why?who={arn}&verb=iam:ListUsers").text
    assert "permissions boundary does not allow it" in page
    for bad in ({"who": arn, "verb": "nothing"}, {"who": "arn:x", "verb": "iam:ListUsers"}):
        assert root.post("/why", bad).status_code == 400
    assert root.get("/why").status_code == 200


@pytest.mark.not_fast
def test_a_refusals_message_is_opened(root: Visit, bob: Visit, account_id: str) -> None:
    cloud = bob.app.cloud
    caller = next(
        cloud.accounts.user_of(account_id, row["user_id"])
        for row in cloud.state.query("select user_id from users where user_name = 'bob'")
    )
    with pytest.raises(OperationRefused) as refused:
        perform("ec2", "DescribeInstances", Call(cloud, caller, "r"), {})
    page = root.post("/why/decode", {"message": refused.value.message}).text
    assert "ec2:DescribeInstances" in page
    assert f"arn:aws:iam::{account_id}:user/bob" in page
    assert "No policy allows it." in page
    assert root.post("/why/decode", {"message": "x" * 500}).status_code == 400


@pytest.mark.not_fast
def test_names_and_texts_of_tags_are_text(root: Visit, state: State, account_id: str) -> None:
    create_user(state, account_id, "bob")
    do(root, "/groups", "", group_name="staff")
    do(root, "/groups/staff", "add", user_name="bob")
    trust = write({"Effect": "Allow", "Principal": {"AWS": account_id}, "Action": "sts:AssumeRole"})
    do(root, "/roles", "create", role_name="web", description="x", policy_document=trust)
    do(root, "/policies", "create", policy_name="look", policy_document=write(LOOK))
    arn = f"arn:aws:iam::{account_id}:policy/look"
    do(root, "/users/bob", "tag", key="a", value="b")
    do(root, "/users/bob/policies", "save", policy_name="own", policy_document=write(LOOK))
    do(root, "/users/bob", "attach", policy_arn=arn)
    state.update("iam_tags", {"key": "a"}, key=EVIL, value=EVIL)
    state.update("roles", {"role_name": "web"}, description=EVIL)
    state.update("policies", {"policy_name": "look"}, description=EVIL)
    state.update("policy_versions", {"version_id": "v1"}, document=write({**LOOK, "Sid": EVIL}))
    state.update("inline_policies", {"policy_name": "own"}, document=write({**LOOK, "Sid": EVIL}))
    state.update("users", {"user_name": "bob"}, path=f"/{EVIL}/")
    state.update("groups", {"group_name": "staff"}, path=f"/{EVIL}/")
    for path in (
        "/users", "/users/bob", "/groups", "/groups/staff", "/roles", "/roles/web",
        f"/policies/one?arn={arn}", "/users/bob/policies/own", f"/users?q={EVIL}",
        f"/why?who={EVIL}&verb={EVIL}&resource={EVIL}&context.{EVIL}=x",
    ):  # fmt: skip
        page = root.get(path).text
        assert "script&gt;" in page, path
        assert "<script>" not in page, path


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("/users/none", "There is no such user"),
        ("/groups/none", "There is no such group"),
        ("/roles/none", "There is no such role"),
        ("/policies/one?arn=arn:aws:iam::123456789012:policy/none", "There is no such policy"),
        ("/policies/one", "There is no such policy"),
        ("/policies/one?arn=read-all", "There is no such policy"),
        ("/instances/i-0123456789abcdef0", "There is no such instance"),
        ("/images/emi-12345678", "There is no such image"),
        ("/none", "There is no such page"),
    ],
)
def test_what_is_not_there_is_named(admin_visit: Visit, address: str, title: str) -> None:
    answer = admin_visit.get(address)
    assert (answer.status_code, f"<h1>{title}</h1>" in answer.text) == (404, True), answer.text
