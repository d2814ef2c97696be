"""`eucabox oidc`: identity providers and keys that come from a file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eucabox.cli import main
from eucabox.iam.accounts import Accounts
from tests.issuer import Issuer

URL = "https://login.example.com/realms/demo"


@pytest.fixture
def file(accounts: Accounts, tmp_path: Path) -> Path:
    """The configuration of a cloud with two providers of one URL."""
    for name in ("ann", "bob"):
        account = accounts.create_user(name).account_id
        row = {"provider_id": name, "account_id": account, "url": URL, "created": "x"}
        accounts._state.insert("oidc_providers", row)
    written = tmp_path / "eucabox.conf"
    written.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    return written


def run(file: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--config", str(file), "oidc", *arguments])
    return done.exit_code, done.output


@pytest.mark.not_fast
def test_keys_come_from_a_file_and_go(file: Path, accounts: Accounts, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [Issuer(URL).jwk()]}))
    ann = accounts.user("ann").account_id
    assert run(file, "jwks", URL, str(keys), "--account", ann) == (0, "")
    code, text = run(file, "list", "--json")
    assert code == 0
    assert sorted(
        (each["arn"].split(":")[4] == ann, each["keys"]) for each in json.loads(text)
    ) == [
        (False, "fetched"),
        (True, "file"),
    ]
    assert run(file, "jwks", URL, str(keys)) == (0, "")
    assert run(file, "list")[1].count("keys file") == 2
    assert run(file, "jwks", URL, "/dev/null") == (0, "")
    assert run(file, "list")[1].count("keys fetched") == 2


@pytest.mark.not_fast
def test_what_is_no_key_set_is_refused(file: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    for text in ("{", "[]", '{"keys": []}', '{"keys": [{"kty": "oct"}]}'):
        keys.write_text(text)
        code, output = run(file, "jwks", URL, str(keys))
        assert code != 0, output
    assert run(file, "list")[1].count("keys fetched") == 2


@pytest.mark.not_fast
def test_a_url_that_no_account_has(file: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [Issuer(URL).jwk()]}))
    code, _ = run(file, "jwks", "https://example.com", str(keys))
    assert code != 0
