"""A cloud does not start on a file system that would lose its buckets' objects."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.store import file_system
from tests.live.process import Running, free_port
from tests.live.s3 import create_bucket, run


@pytest.fixture
def mount(cloud: Running, tmp_path: Path) -> Iterator[Path]:
    """A bucket as a file system, by s3fs: it has no hard links."""
    bucket, folder, secret = create_bucket(cloud), tmp_path / "mount", tmp_path / "secret"
    folder.mkdir()
    secret.write_text(f"{cloud.access_key}:{cloud.secret_key}")
    secret.chmod(0o600)
    run(
        cloud, "s3fs", bucket, str(folder), "-o", f"url={cloud.endpoint}",
        "-o", "use_path_request_style", "-o", f"passwd_file={secret}",
    )  # fmt: skip
    try:
        yield folder
    finally:
        run(cloud, "fusermount", "-u", str(folder))


def test_an_unfit_file_system_is_refused_at_the_start(mount: Path, tmp_path: Path) -> None:
    config = tmp_path / "eucabox.conf"
    config.write_text(
        f"[cloud]\ndata_dir = {tmp_path / 'data'}\n[api]\nport = {free_port()}\n"
        f"[console]\nenabled = no\n[node]\nvirt_type = qemu\n[buckets]\npath = {mount}/buckets\n"
    )
    argv = [sys.executable, "-m", "eucabox", "-c", str(config), "serve"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stderr.strip().splitlines()
    assert (done.returncode, len(lines)) == (78, 1), done.stderr
    assert f"The file system of {mount}/buckets" in lines[0]
    assert any(what in lines[0] for what in file_system.PROBES.values())
    assert "[buckets] path" in lines[0]
