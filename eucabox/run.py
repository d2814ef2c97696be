"""The only place that starts another program: argument lists, never a shell."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from eucabox.errors import ProgramFailed, ProgramMissing

PACKAGES = {  # Debian's package for each program that we start
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-storage-daemon": "qemu-system-common",
    "debugfs": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "prlimit": "util-linux",
    "dnsmasq": "dnsmasq-base",
    "nft": "nftables",
    "ip": "iproute2",
    "sysctl": "procps",
    "apt-get": "apt",
    "chroot": "coreutils",
    "dpkg-deb": "dpkg",
    "modprobe": "kmod",
    "depmod": "kmod",
    "ssh": "openssh-client",
    "virsh": "libvirt-clients",
}
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def run(
    *argv: str,
    input: bytes | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> bytes:
    """Run a program to its end and return its standard output.

    `timeout` is in seconds. Raises ProgramMissing, or ProgramFailed with the last line of what
    it wrote to standard error.
    """
    try:
        done = subprocess.run(
            [find(argv[0]), *argv[1:]],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=timeout,
            env=_environment(env),
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProgramFailed(
            program=argv[0], status="none", reason=f"no end after {timeout:g} seconds"
        ) from None
    if done.returncode:
        raise ProgramFailed(
            program=argv[0], status=done.returncode, reason=_last_line(done.stderr or done.stdout)
        )
    return done.stdout


def start(
    *argv: str, stdout: int | None = subprocess.DEVNULL, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that outlives this call, in a session of its own, and return it."""
    return subprocess.Popen(
        [find(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stdout,
        env=_environment(env),
        start_new_session=True,
    )


def find(program: str) -> str:
    """Return a program's path, looking where administrators' programs are too."""
    path = os.environ.get("PATH", os.defpath) + ":" + SYSTEM_FOLDERS
    found = shutil.which(program, path=path)
    if found is None:
        raise ProgramMissing(program=program, package=PACKAGES.get(program, program))
    return found


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", **(extra or {})}


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
