"""`eucabox report`: what is in it, and above all what is not."""

import base64
import json
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from eucabox.cli import main
from eucabox.cli.report import COLLECTORS
from eucabox.cli.scrub import GONE, Scrub
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from tests.rows import add_instance

USER_DATA = b"#!/bin/sh\necho the root password is hunter22 > /etc/motd\n"
WANTED = {
    "versions.txt", "packages.txt", "config.json", "doctor.json", "status.json", "eucabox.log",
    "instances.json", "images.json", "dnsmasq.txt",
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "eucabox.conf"
    made.write_text(
        f"# sesame\n[cloud]\ndata_dir = {tmp_path}\n[node]\nvirt_type = qemu\n"
        "[network]\nown_bridge = eutnone\n"
    )
    return made


def reported(file: Path, out: Path) -> Result:
    return CliRunner().invoke(main, ["-c", str(file), "report", "--out", str(out)])


def unpacked(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        names = [each for each in opened.getmembers() if each.isfile()]
        found = {each.name.partition("/")[2]: opened.extractfile(each) for each in names}
        return {name: content.read() for name, content in found.items() if content}


def test_it_has_what_helps_and_nothing_that_hurts(
    accounts: Accounts, state: State, tmp_path: Path, file: Path
) -> None:
    user = accounts.user_credentials(accounts.create_user("alice"))
    instance_id = add_instance(state, user_data=USER_DATA)
    console = tmp_path / "instances" / instance_id / "console.log"
    console.parent.mkdir(parents=True)
    console.write_bytes(b"Linux version 6\n" + USER_DATA + user.private_key.encode())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "eucabox.log").write_text(
        f"time=x message=kept secret={user.secret} other={quote(user.secret, safe='')}\n"
        f"data={base64.b64encode(USER_DATA).decode()} url=/?X-Amz-Signature=abcdef0123456789&a=b\n"
    )
    done = reported(file, tmp_path / "out.tar.gz")
    assert done.exit_code == 0, done.output
    assert all(what in done.output for what in COLLECTORS)
    assert (tmp_path / "out.tar.gz").stat().st_mode & 0o777 == 0o600

    found = unpacked(tmp_path / "out.tar.gz")
    assert set(found) >= WANTED | {f"consoles/{instance_id}.txt"}
    assert b"Linux version" in found[f"consoles/{instance_id}.txt"]
    assert b"message=kept" in found["eucabox.log"]
    assert json.loads(found["instances.json"])[0]["instance_id"] == instance_id
    assert json.loads(found["status.json"])["users"] == 2
    everything = b"".join(found.values())
    key_body = user.private_key.splitlines()[1].encode()
    assert list(tmp_path.rglob("*.key"))
    for hurts in (
        user.secret.encode(), quote(user.secret, safe="").encode(), key_body, b"PRIVATE KEY",
        b"hunter22", base64.b64encode(USER_DATA), b"abcdef0123456789", b"sesame",
    ):  # fmt: skip
        assert hurts not in everything
    for secret_file in tmp_path.rglob("*.key"):
        assert secret_file.read_bytes() not in everything


def test_a_host_without_a_cloud_has_a_report_too(tmp_path: Path, file: Path) -> None:
    done = reported(file, tmp_path / "out.tar.gz")
    assert done.exit_code == 0, done.output
    found = unpacked(tmp_path / "out.tar.gz")
    assert b"holds no cloud yet" in found["missing/status.txt"]
    assert json.loads(found["doctor.json"])


def test_a_state_that_can_not_be_read_is_said_and_keeps_consoles_back(
    tmp_path: Path, file: Path
) -> None:
    (tmp_path / "eucabox.db").write_text("no database, and long enough to be seen as none" * 9)
    console = tmp_path / "instances" / "i-1" / "console.log"
    console.parent.mkdir(parents=True)
    console.write_bytes(USER_DATA)
    done = reported(file, tmp_path / "out.tar.gz")
    assert done.exit_code == 0, done.output
    found = unpacked(tmp_path / "out.tar.gz")
    assert b"not a database" in found["missing/state.txt"]
    assert b"not a database" in found["missing/status.txt"]
    assert b"left out" in found["missing/consoles.txt"]
    assert b"hunter22" not in b"".join(found.values())


def test_a_file_that_can_not_be_written_is_one_line(tmp_path: Path, file: Path) -> None:
    done = reported(file, tmp_path / "missing" / "out.tar.gz")
    assert done.exit_code == 1
    assert "No such file or directory" in done.output.splitlines()[-1]


WORDS = st.text(st.characters(codec="utf-8"), min_size=8)


@given(WORDS, WORDS)
def test_a_secret_is_taken_out_wherever_it_is(secret: str, around: str) -> None:
    scrub = Scrub([secret], [])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert scrub(form.encode()) == GONE
    text = f"{around}{secret}{around}".encode()
    assert secret.encode() not in scrub(text).replace(GONE, b"\0")


def test_short_lines_of_user_data_do_not_take_out_everything() -> None:
    scrub = Scrub([], [b"a\n\nfi\nsecret-word\n"])
    assert scrub(b"a cat fits secret-word") == b"a cat fits " + GONE


def test_a_key_that_is_cut_off_goes_too() -> None:
    assert Scrub([], [b""])(b"a line") == b"a line"
    scrub = Scrub([], [])
    assert scrub(b"x -----BEGIN RSA PRIVATE KEY-----\nabc") == b"x " + GONE
