import dataclasses
import sqlite3
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import InvalidParameterValue, KeyFileUnusable, NoSuchUser, UserExists
from eucabox.iam.accounts import Accounts
from eucabox.state import BUSY_SECONDS, State


def test_the_administrator_is_created_once(accounts: Accounts) -> None:
    first = accounts.ensure_administrator()
    assert first == accounts.ensure_administrator()
    assert first.admin
    assert len(first.account_id) == 12
    assert first.account_id.isdigit()
    assert len(accounts.users()) == 1


def test_the_administrator_is_found_while_another_process_writes(
    accounts: Accounts, tmp_path: Path
) -> None:
    """Strangers' pages ask for him: they must not wait for, or hold, the lock of a write."""
    first = accounts.ensure_administrator()
    with closing(sqlite3.connect(tmp_path / "eucabox.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert accounts.ensure_administrator() == first
        assert time.monotonic() - began < BUSY_SECONDS / 2
        other.execute("ROLLBACK")


def test_a_credential_opens_with_its_secret(accounts: Accounts) -> None:
    written = accounts.user_credentials(accounts.user("admin"))
    found = accounts.credential(written.caller.access_key_id)
    assert found is not None
    assert found.secret == written.secret
    assert found.active
    assert accounts.credential("AKIANOTHERE") is None


def test_a_key_that_another_process_stops_is_stopped_at_once(
    accounts: Accounts, tmp_path: Path
) -> None:
    key = accounts.user_credentials(accounts.user("admin")).caller.access_key_id
    assert accounts.credential(key) is accounts.credential(key)
    other = State(tmp_path / "eucabox.db")
    other.update("access_keys", {"access_key_id": key}, status="Inactive")
    found = accounts.credential(key)
    assert found is not None
    assert not found.active
    with pytest.raises(ZeroDivisionError), accounts._state.transaction():
        accounts._state.update("access_keys", {"access_key_id": key}, status="Active")
        inside = accounts.credential(key)
        assert inside is not None
        assert inside.active
        raise ZeroDivisionError
    found = accounts.credential(key)
    assert found is not None
    assert not found.active
    other.close()


@pytest.mark.not_fast
def test_no_secret_is_in_the_clear_on_the_disk(accounts: Accounts, tmp_path: Path) -> None:
    written = accounts.user_credentials(accounts.create_user("alice"))
    body = written.private_key.splitlines()[1].encode()
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.name != "server.key":
            content = file.read_bytes()
            assert written.secret.encode() not in content, file
            assert body not in content, file


@pytest.mark.not_fast
def test_the_key_file_must_be_private(accounts: Accounts, config: Config, state: State) -> None:
    file = config.cloud.data_dir / "key"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(KeyFileUnusable):
        Accounts(config, state)


def test_another_key_file_is_refused(accounts: Accounts, config: Config, state: State) -> None:
    (config.cloud.data_dir / "key").write_bytes(b"0" * 32)
    with pytest.raises(KeyFileUnusable):
        Accounts(config, state)


def test_users_have_accounts_of_their_own(accounts: Accounts) -> None:
    alice = accounts.create_user("alice")
    assert not alice.admin
    assert alice.account_id != accounts.user("admin").account_id
    assert accounts.user("alice/alice") == accounts.user("alice")
    with pytest.raises(UserExists):
        accounts.create_user("alice")
    with pytest.raises(NoSuchUser, match="alice/alice"):
        accounts.user("bob")


@pytest.mark.not_fast
@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "\u00e9", "x" * 64])
def test_a_bad_user_name_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidParameterValue):
        accounts.create_user(name)


@pytest.mark.not_fast
def test_certificates_are_ours_and_verify(accounts: Accounts, tmp_path: Path) -> None:
    certificate = tmp_path / "user.crt"
    certificate.write_text(accounts.certificates()[0])
    server, _ = accounts.server_certificate()
    for each in (certificate, server, tmp_path / "ca" / "cloud.crt"):
        subprocess.run(
            ["openssl", "verify", "-CAfile", str(accounts.authority.ca_file), str(each)],
            check=True,
            capture_output=True,
        )


@pytest.mark.not_fast
def test_the_server_certificate_follows_the_listening_address(
    accounts: Accounts, config: Config, state: State
) -> None:
    before = accounts.server_certificate()[0].read_bytes()
    assert accounts.server_certificate()[0].read_bytes() == before
    moved = dataclasses.replace(config, api=dataclasses.replace(config.api, listen="10.1.2.3"))
    assert Accounts(moved, state).server_certificate()[0].read_bytes() != before


@pytest.mark.not_fast
def test_the_server_certificate_is_for_every_name_of_the_cloud(
    config: Config, state: State
) -> None:
    api = dataclasses.replace(config.api, hosts="files.example.com")
    accounts = Accounts(dataclasses.replace(config, api=api), state)
    server = x509.load_pem_x509_certificate(accounts.server_certificate()[0].read_bytes())
    extension = server.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    names = {str(each.value) for each in extension.value}
    assert names >= {"files.example.com", "*.files.example.com", "*.s3-website.files.example.com"}
    assert names >= {"localhost", "*.localhost", "*.s3-website.localhost", "127.0.0.1"}


def test_a_signature_counts_once(accounts: Accounts, state: State) -> None:
    assert accounts.record_signature("one")
    assert accounts.record_signature("one"), "a twin in the same moment is the same client's"
    earlier = ids.time_text(datetime.now(UTC) - timedelta(seconds=10))
    state.update("used_signatures", {"signature": "one"}, first_used=earlier)
    assert not accounts.record_signature("one")
    assert accounts.record_signature("two")


def test_a_signature_is_remembered_as_long_as_it_is_valid(accounts: Accounts, state: State) -> None:
    until = datetime.now(UTC) + timedelta(days=7)
    assert accounts.record_signature("presigned", until)
    assert accounts.record_signature("soon over")
    rows = state.query(
        "select signature from used_signatures where expires > ?", [ids.time_text(until)]
    )
    assert rows == [{"signature": "presigned"}]
