"""What a user does with its own credentials, by the same verbs as a client."""

import io
import json
import re
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from werkzeug.exceptions import MethodNotAllowed

from eucabox.console.pages import password as password_page
from eucabox.console.site import Console
from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.console.conftest import PASSWORD, Visit, give_password

KEY = re.compile(r"AKIA[A-Z2-7]{16}")


@pytest.fixture(name="own")
def _own(visit: Visit, alice: Caller) -> Visit:
    assert visit.sign_in("alice").status_code == 303
    return visit


def unpack(visit: Visit, folder: Path) -> list[str]:
    sent = visit.post("/credentials/archive")
    assert sent.status_code == 200
    assert sent.content_type == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(sent.data))
    folder.mkdir(parents=True, exist_ok=True)
    for entry in archive.infolist():
        archive.extract(entry, folder)
        (folder / entry.filename).chmod(entry.external_attr >> 16 & 0o777)
    return archive.namelist()


def test_the_zip_has_all_that_clients_need(own: Visit, tmp_path: Path) -> None:
    sent = own.post("/credentials/archive")
    assert "euca2-alice-x509.zip" in sent.headers["Content-Disposition"]
    assert sent.headers["Cache-Control"] == "no-store"
    names = unpack(own, tmp_path / "zip")
    files = {"eucarc", "euca2ools.ini", "iamrc", "aws/config", "aws/credentials", "cloud-cert.pem"}
    assert files < set(names)
    assert sum(name.endswith("-pk.pem") for name in names) == 1
    key = next(name for name in names if name.endswith("-pk.pem"))
    assert (tmp_path / "zip" / key).stat().st_mode & 0o077 == 0
    assert str(tmp_path) not in (tmp_path / "zip" / "eucarc").read_text()


@pytest.mark.not_fast
@pytest.mark.parametrize("shell", ["dash", "bash", "zsh"])
@pytest.mark.parametrize("way", ["here", "path", "link", "function"])
def test_eucarc_finds_its_folder(own: Visit, tmp_path: Path, shell: str, way: str) -> None:
    folder = tmp_path / "a folder's $HOME"
    unpack(own, folder)
    (tmp_path / "link").symlink_to(folder / "eucarc")
    command, place = {
        "here": (". ./eucarc", folder),
        "path": ('. "$1/eucarc"', tmp_path),
        "link": (". ./link", tmp_path),
        "function": ('f() { . "$1/eucarc"; }; f "$1"', tmp_path),
    }[way]
    script = f'set -eu; {command}; cat "$EC2_PRIVATE_KEY" "$AWS_CREDENTIAL_FILE"; echo "$EC2_URL"'
    done = subprocess.run(
        [shell, "-c", script, "x", str(folder)],
        check=False,
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "PRIVATE KEY" in done.stdout
    assert "http://127.0.0.1:8773/services/compute" in done.stdout


def test_downloads_are_the_same_and_revoke_nothing(
    own: Visit, state: State, accounts: Accounts, tmp_path: Path
) -> None:
    before = [state.query(f"select * from {table}") for table in ("access_keys", "certificates")]
    unpack(own, tmp_path / "1")
    unpack(own, tmp_path / "2")
    assert (tmp_path / "1/eucarc").read_text() == (tmp_path / "2/eucarc").read_text()
    after = [state.query(f"select * from {table}") for table in ("access_keys", "certificates")]
    assert after == before


@pytest.mark.not_fast
def test_keys_are_made_stopped_and_deleted(own: Visit, accounts: Accounts) -> None:
    (first,) = set(KEY.findall(own.get("/credentials").text))
    made = own.post("/credentials/keys/create")
    (second,) = set(KEY.findall(made.text)) - {first}
    secret = re.search(r'id="key-secret">([^<]{40})<', made.text)
    assert secret
    credential = accounts.credential(second)
    assert credential
    assert credential.secret == secret[1]
    assert secret[1] not in own.get("/credentials").text
    assert own.post("/credentials/keys/create").status_code == 409
    stop = {"id": second, "status": "Inactive"}
    assert own.post("/credentials/keys/change", stop).location == "/credentials?note=key-changed"
    stopped = accounts.credential(second)
    assert stopped
    assert not stopped.active
    deleted = own.post("/credentials/keys/delete", {"id": second})
    assert deleted.location == "/credentials?note=key-deleted"
    assert accounts.credential(second) is None
    assert own.post("/credentials/keys/delete", {"id": second}).status_code == 404


def test_nobody_touches_the_key_of_another(own: Visit, accounts: Accounts, admin_key: str) -> None:
    for path in ("/credentials/keys/delete", "/credentials/keys/change"):
        assert own.post(path, {"id": admin_key, "status": "Inactive"}).status_code == 404
    assert accounts.credential(admin_key)


@pytest.fixture(name="admin_key")
def _admin_key(accounts: Accounts) -> str:
    return accounts.user_credentials(accounts.user("eucalyptus/admin")).caller.access_key_id


@pytest.mark.not_fast
def test_certificates_are_made_and_deleted(own: Visit, state: State) -> None:
    made = own.post("/credentials/certificates/create")
    assert "PRIVATE KEY" in made.text
    found = re.search(r"Your new certificate <code>([A-Z2-7]{24})<", made.text)
    assert found
    own.post("/credentials/certificates/change", {"id": found[1], "status": "Inactive"})
    row = state.one("select status from certificates where certificate_id = ?", (found[1],))
    assert row == {"status": "Inactive"}
    own.post("/credentials/certificates/delete", {"id": found[1]})
    assert state.one("select 1 from certificates where certificate_id = ?", (found[1],)) is None


def is_page(console: Console, path: str) -> bool:
    """Whether a GET is for some page, such as that of a bucket of this name."""
    try:
        console.url_map.bind("").match(path, method="GET")
    except MethodNotAllowed:
        return False
    return True


@pytest.mark.not_fast
def test_a_get_of_what_changes_things_does_not(own: Visit, console: Console) -> None:
    rules = [each for each in console.url_map.iter_rules() if not each.websocket]
    paths = {each.rule for each in rules if not each.arguments}
    changes = {path for path in paths if not is_page(console, path)}
    assert len(changes) > 8
    assert {path: own.get(path).status_code for path in changes} == dict.fromkeys(changes, 405)


@pytest.fixture(name="bob")
def _bob(state: State, alice: Caller) -> str:
    """A user beside the root, who may do nothing; its id."""
    user_id = create_user(state, alice.account_id, "bob", "/")["user_id"]
    state.update("users", {"user_id": user_id}, **_password(state, alice))
    return user_id


@pytest.mark.not_fast
def test_what_a_policy_does_not_allow_is_not_offered_and_not_done(visit: Visit, bob: str) -> None:
    visit.sign_in("bob", account="alice")
    page = visit.get("/credentials").text
    assert "Access keys</h2>" not in page
    assert "Create a" not in page
    refused = visit.post("/credentials/keys/create")
    assert refused.status_code == 403
    assert "not authorized to perform: iam:CreateAccessKey" in refused.text
    assert KEY.search(visit.get("/credentials").text) is None
    new = {"old": PASSWORD, "password": "another fine secret", "again": "another fine secret"}
    assert visit.post("/password", new).status_code == 303, "one's own password needs no policy"


def test_without_keys_the_page_says_what_to_do(visit: Visit, bob: str, state: State) -> None:
    statement = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = {"owner_id": bob, "policy_name": "own", "document": document}
    state.insert("inline_policies", policy)
    visit.sign_in("bob", account="alice")
    page = visit.get("/credentials").text
    assert "You have no access key" in page
    sent = visit.post("/credentials/archive")
    assert sent.status_code == 404
    assert "Create what is missing" in sent.text
    assert visit.post("/credentials/keys/create").status_code == 200
    assert visit.post("/credentials/certificates/create").status_code == 200
    assert visit.post("/credentials/archive").content_type == "application/zip"


def _password(state: State, user: Caller) -> dict[str, str]:
    row = state.one(
        "select password, password_created from users where user_id = ?", (user.user_id,)
    )
    assert row
    return {name: str(text) for name, text in row.items()}


def test_a_name_of_tags_is_text(console: Console, state: State, alice: Caller) -> None:
    state.update("users", {"user_id": alice.user_id}, user_name="<img src=x onerror=alert(1)>")
    state.update("accounts", {"account_id": alice.account_id}, email="<script>alert(1)</script>")
    visit = Visit(console)
    assert visit.sign_in("<img src=x onerror=alert(1)>", account="alice").status_code == 303
    for path in ("/", "/credentials", "/password", "/sessions"):
        page = visit.get(path).text
        assert "&lt;img src=x" in page
        assert "<img" not in page
        assert "<script>" not in page


# --- one's own password ------------------------------------------------------------------------


@pytest.mark.not_fast
def test_a_new_password_ends_other_sessions_and_renews_this_one(
    console: Console, own: Visit
) -> None:
    other = Visit(console)
    other.sign_in("alice")
    before = own.cookie(LOGIN_COOKIE)
    time.sleep(0.002)
    new = {"old": PASSWORD, "password": "another fine secret", "again": "another fine secret"}
    assert own.post("/password", new).location == "/?note=password"
    assert own.cookie(LOGIN_COOKIE) not in ("", before)
    assert own.get("/").status_code == 200
    assert other.get("/").status_code == 303
    assert other.sign_in("alice").status_code == 403
    assert other.sign_in("alice", "another fine secret").status_code == 303


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "fields",
    [
        {"old": "wrong"},
        {"old": ""},
        {"again": "different one"},
        {"password": "short", "again": "short"},
        {"password": "password", "again": "password"},
        {"password": "p" * 200, "again": "p" * 200},
    ],
)
def test_a_poor_change_changes_nothing(own: Visit, fields: dict[str, str]) -> None:
    good = {"old": PASSWORD, "password": "another fine secret", "again": "another fine secret"}
    refused = own.post("/password", {**good, **fields})
    assert refused.status_code in (400, 403)
    assert own.get("/").status_code == 200
    assert own.sign_in("alice").status_code == 303


@pytest.mark.not_fast
def test_guessing_the_old_password_is_slowed(own: Visit) -> None:
    form = {"old": "wrong", "password": "another fine secret", "again": "another fine secret"}
    for _ in range(password_page.MOST_TRIES):
        assert own.post("/password", form).status_code in (400, 403)
    assert own.post("/password", {**form, "old": PASSWORD}).status_code == 429


@pytest.mark.not_fast
def test_a_due_password_is_changed_and_all_is_open(
    visit: Visit, alice: Caller, state: State
) -> None:
    give_password(state, alice, password_reset_required=1)
    visit.sign_in("alice")
    assert visit.get("/credentials").location == "/password"
    time.sleep(0.002)
    form = {"old": PASSWORD, "password": "another fine secret", "again": "another fine secret"}
    assert visit.post("/password", form).status_code == 303
    assert visit.get("/credentials").status_code == 200


def test_a_due_password_is_another_one(visit: Visit, alice: Caller, state: State) -> None:
    give_password(state, alice, password_reset_required=1)
    visit.sign_in("alice")
    same = {"old": PASSWORD, "password": PASSWORD, "again": PASSWORD}
    assert visit.post("/password", same).status_code == 400
    assert visit.get("/").location == "/password"
