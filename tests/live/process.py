"""A real eucabox process with a data directory, ports and a bridge of its own."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

from eucabox import config as configuration
from eucabox.cli import client
from eucabox.iam import credentials_folder as folders
from eucabox.iam.accounts import Accounts
from eucabox.state import State

START_SECONDS = 90  # on a machine that boots guests beside
COMMAND_SECONDS = 240  # more than a command waits for a guest, so that it can say why
STOP_SECONDS = 40
PORTS = range(15000, 32768)  # Linux gives outgoing connections those above


def free_port() -> int:
    """Return a free port that no outgoing connection takes, for it is wanted again after a kill."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@dataclass
class Running:
    """One eucabox, its folder, and how to reach it as its users do."""

    folder: Path
    port: int
    https_port: int
    bridge: str
    console_port: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config_file(self) -> Path:
        return self.folder / "eucabox.conf"

    @property
    def log(self) -> Path:
        return self.data / "log" / "eucabox.log"

    @property
    def errors(self) -> Path:
        return self.folder / "stderr"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def https_endpoint(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"

    @property
    def console(self) -> str:
        return f"http://console.localhost:{self.console_port}"

    @property
    def ca_path(self) -> Path:
        return self.data / "ca" / "ca.crt"

    @property
    def access_key(self) -> str:
        return self.settings["AWS_ACCESS_KEY"]

    @property
    def secret_key(self) -> str:
        return self.settings["AWS_SECRET_KEY"]

    def start(self) -> None:
        ready = self.data / "run" / "ready"
        ready.unlink(missing_ok=True)
        self.spawn()
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline, self.errors.read_text()
            time.sleep(0.02)
        self.settings = self.settings or self.credentials("admin")

    def spawn(self) -> None:
        """Begin a start and wait for nothing."""
        with self.errors.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eucabox", "-c", str(self.config_file), "serve"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def credentials(self, user: str) -> dict[str, str]:
        """What `eucabox credentials` writes for a user, who is made if need be."""
        config = configuration.load(self.config_file)
        state = State(self.data / "eucabox.db")
        accounts = Accounts(config, state)
        if user not in {each.user_name for each in accounts.users()}:
            accounts.create_user(user)
        folder = self.folder / f"credentials-{user}"
        written = folders.render(config, accounts, user, folder).write()
        state.close()
        return dict(client.read(written.folder).settings)

    def rclone(self, folder: Path, path: str = "", **more: str) -> dict[str, str]:
        """The environment that has rclone know this cloud as `box`, and nothing else."""
        members = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": self.endpoint + path,
            "ACCESS_KEY_ID": self.access_key,
            "SECRET_ACCESS_KEY": self.secret_key,
            **more,
        }
        named = {f"RCLONE_CONFIG_BOX_{name}": value for name, value in members.items()}
        return {"RCLONE_CONFIG": str(folder / "none"), "RCLONE_RETRIES": "1", **named}

    def client(self, service: str, user: str = "admin", https: bool = False, **kw: Any) -> Any:
        settings = self.settings if user == "admin" else self.credentials(user)
        return boto3.client(
            service,
            endpoint_url=self.https_endpoint if https else self.endpoint,
            verify=str(self.ca_path) if https else None,
            region_name="eucabox",
            aws_access_key_id=settings["AWS_ACCESS_KEY"],
            aws_secret_access_key=settings["AWS_SECRET_KEY"],
            config=ClientConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **kw),
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"no end within {STOP_SECONDS} s:\n{self.log.read_text()}"
            ) from None

    def command(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [sys.executable, "-m", "eucabox", "-c", str(self.config_file), *argv],
                capture_output=True,
                text=True,
                check=check,
                timeout=COMMAND_SECONDS,
                env={**os.environ, **self.settings},
            )
        except subprocess.TimeoutExpired as late:
            output = b"\n".join((late.stdout or b"", late.stderr or b"")).decode()
            log = self.log.read_text()[-8000:]
            raise AssertionError(f"{argv} goes on and on:\n{output}\n{log}") from None


@contextmanager
def running(extra: str = "", place: Path = Path("/var/tmp")) -> Iterator[Running]:
    """Start a eucabox with a folder in `place`; at the end stop it and take away its instances
    and its network."""
    # The hypervisor's user has to pass through the folder, so it can't be pytest's private one.
    folder = Path(tempfile.mkdtemp(prefix="eucabox-test-", dir=place))
    folder.chmod(0o755)
    bridge = f"eut{secrets.token_hex(4)}"
    found = Running(folder, free_port(), free_port(), bridge, free_port())
    found.config_file.write_text(
        f"[cloud]\ndata_dir = {found.data}\n"
        f"[api]\nport = {found.port}\nhttps_port = {found.https_port}\n"
        f"[console]\nport = {found.console_port}\n"
        f"[network]\nown_bridge = {found.bridge}\n" + extra
    )
    try:
        found.start()
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.stop()
        ended = found.command("stop", "--purge", check=False)
        shutil.rmtree(folder, ignore_errors=True)
    assert ended.returncode == 0, ended.stderr
