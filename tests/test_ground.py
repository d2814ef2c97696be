"""The small rooms of the ground floor: ids, run, files, lock, seal."""

import fcntl
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eucabox import ids, run
from eucabox.atomic_files import make_folder, name_owner, write_atomic
from eucabox.errors import Fault, KeyFileUnusable, ProgramFailed, ProgramMissing
from eucabox.process_lock import ProcessLock
from eucabox.seal import Seal


def test_ids_have_the_lengths_that_clients_know() -> None:
    assert re.fullmatch(r"i-[0-9a-f]{17}", ids.new("i"))
    assert re.fullmatch(r"emi-[0-9a-f]{8}", ids.new("emi"))
    assert re.fullmatch(r"[1-9][0-9]{11}", ids.account_id())
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", ids.access_key_id())
    assert len(ids.secret_key()) == 40
    assert re.fullmatch(r"ec2[0-9a-f]{5}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ids.domain_uuid())


def test_times_survive_the_way_there_and_back() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert ids.time_text(moment) == "2026-01-02T03:04:05.678Z"
    assert ids.parse_time(ids.time_text(moment)) == moment


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o066, 0o077])
def test_a_folder_has_its_mode_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_folder(tmp_path / "above" / "data", 0o711)
        make_folder(tmp_path / "closed", 0o750)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("above", "above/data", "closed")]
    assert modes == [0o755, 0o711, 0o750]


def test_a_folder_that_is_there_lets_pass_whom_it_has_to_and_no_more(tmp_path: Path) -> None:
    for name, before, wanted, after in (
        ("made under umask 0027", 0o750, 0o751, 0o751),
        ("wider", 0o755, 0o711, 0o755),
        ("closed to all", 0o700, 0o750, 0o700),
    ):
        folder = tmp_path / name
        folder.mkdir()
        folder.chmod(before)
        make_folder(folder, wanted)
        assert folder.stat().st_mode & 0o777 == after, name


def test_a_path_that_is_not_there_belongs_to_whom_the_folder_above_does(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    assert name_owner(tmp_path / "a" / "b") == "nobody"
    os.chown(tmp_path, 54321, 54321)
    assert name_owner(tmp_path) == "54321"


def test_a_program_that_a_signal_ends_is_reported_with_its_name() -> None:
    with pytest.raises(ProgramFailed, match="SIGSYS ended it; it wrote nothing"):
        run.run("sh", "-c", "kill -SYS $$")


def test_run_returns_what_the_program_printed() -> None:
    assert run.run("cat", input=b"x; $(y)") == b"x; $(y)"


def test_a_failed_program_says_why() -> None:
    with pytest.raises(ProgramFailed, match="No such file"):
        run.run("cat", "/not/there")
    with pytest.raises(ProgramFailed, match="no end after"):
        run.run("sleep", "5", timeout=0.05)


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(run, "SYSTEM_FOLDERS", "/nowhere")
    with pytest.raises(ProgramMissing, match="dnsmasq-base"):
        run.run("dnsmasq")


def test_a_message_is_pure_ascii() -> None:
    class Named(Fault):
        code, text = "X", "{name}"

    assert Named(name="\u00e9").message == "\\xe9"


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_atomic(file, b"1", 0o600)
    write_atomic(file, b"2", 0o600)
    assert file.read_bytes() == b"2"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def _hold(path: Path) -> None:
    lock = ProcessLock(path)
    lock.acquire()
    time.sleep(30)


@pytest.mark.not_fast
def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "lock")
    assert lock.holder() is None
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(lock.file,))
    process.start()
    deadline = time.monotonic() + 10
    while lock.holder() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lock.holder() == process.pid
    assert not lock.acquire()
    process.kill()
    process.join()
    assert lock.holder() is None
    assert lock.acquire()
    lock.release()


def test_a_local_user_cannot_lock_out_the_owner() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "lock"
        file.touch(0o644)  # as an earlier eucabox made it
        lock = ProcessLock(file)
        assert lock.acquire()
        lock.release()
        held = subprocess.run(
            ["flock", "-s", str(file), "true"], user=65534, group=65534, check=False,
            capture_output=True,
        )  # fmt: skip
        assert held.returncode != 0
        assert b"Permission denied" in held.stderr


def test_who_looks_at_a_lock_does_not_keep_its_owner_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    threading.Timer(0.1, os.close, (descriptor,)).start()
    lock = ProcessLock(file)
    assert lock.acquire()
    lock.release()


def test_who_looks_at_a_lock_does_not_wait_for_a_pipe_in_its_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    look = "import sys; from eucabox.process_lock import *; ProcessLock(Path(sys.argv[1])).holder()"
    subprocess.run([sys.executable, "-c", look, tmp_path / "lock"], check=True, timeout=30)


def test_a_seal_opens_for_its_purpose_alone(tmp_path: Path) -> None:
    seal = Seal(tmp_path / "key")
    sealed = seal.close(b"secret", "a")
    assert b"secret" not in sealed
    assert Seal(tmp_path / "key").open(sealed, "a") == b"secret"
    with pytest.raises(KeyFileUnusable):
        seal.open(sealed, "b")
