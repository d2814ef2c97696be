"""The only place that starts another program: argument lists, never a shell."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, NoReturn

from eucabox.errors import ProgramFailed, ProgramMissing

PACKAGES = {  # Debian's package for each program that we start
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-storage-daemon": "qemu-system-common",
    "debugfs": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "prlimit": "util-linux",
    "setpriv": "util-linux",
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
    "journalctl": "systemd",
}
WATCH_SECONDS = 0.25
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def run(
    *argv: str,
    input: bytes | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    accepts: Collection[int] = (0,),
) -> bytes:
    """Run a program to its end and return its standard output.

    `timeout` is in seconds. Raises ProgramMissing, or ProgramFailed with the last line of what
    it wrote to standard error where it ends with a status that the caller does not accept.
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
        raise _late(argv[0], timeout) from None
    status = 0 if done.returncode in accepts else done.returncode
    return _output(argv[0], status, done.stdout, done.stderr)


def run_guarded(
    *argv: str, input: bytes, timeout: float, env: Mapping[str, str] | None = None
) -> bytes:
    """Run a program that is not ours to its end; what it started ends with it when it is late.

    `argv[0]` is a path. It need not read its input. Raises ProgramFailed as `run` does, also for
    a file that the system can't run.
    """
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=_environment(env),
            cwd="/",
            start_new_session=True,
        )
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ProgramFailed(program=argv[0], status="none", reason=reason) from None
    with process:
        try:
            output, errors = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise _late(argv[0], timeout) from None
    return _output(argv[0], process.returncode, output, errors)


def run_watched(
    *argv: str,
    watch: Callable[[], None],
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """Run a program to its end as `run` does; `watch` is called about four times a second, and
    when it raises, or the time is over, the program is killed."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [find(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        env=_environment(env),
        cwd=cwd,
    )
    deadline = time.monotonic() + timeout
    with process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=WATCH_SECONDS)
                    break
                watch()
                if time.monotonic() > deadline:
                    raise _late(argv[0], timeout)
        except BaseException:
            process.kill()
            raise
    return _output(argv[0], process.returncode, output, errors)


def start(*argv: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a program that outlives this one, in a session of its own, and return it."""
    return subprocess.Popen(
        [find(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def run_attached(*argv: str) -> int:
    """Run a program to its end on this terminal, and return its exit status."""
    return subprocess.run([find(argv[0]), *argv[1:]], check=False).returncode


def stream(*argv: str) -> Iterator[bytes]:
    """Start a program and yield its lines; it is killed when the caller reads no more."""
    process = subprocess.Popen(
        [find(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(None),
    )
    with process:
        assert process.stdout
        try:
            yield from process.stdout
        finally:
            process.kill()


def replace(*argv: str) -> NoReturn:
    """Become another program, which ends in this one's place."""
    sys.stdout.flush()
    os.execv(find(argv[0]), argv)  # noqa: S606  # it is a list of arguments


def find(program: str) -> str:
    """Return a program's path, looking where administrators' programs are too."""
    path = os.environ.get("PATH", os.defpath) + ":" + SYSTEM_FOLDERS
    file = shutil.which(program, path=path)
    if file is None:
        raise ProgramMissing(program=program, package=PACKAGES.get(program, program))
    return file


def _output(program: str, status: int, output: bytes, errors: bytes) -> bytes:
    if status:
        reason = _last_line(errors or output)
        if status < 0:
            reason = f"{name_signal(-status)} ended it; {reason}"
        raise ProgramFailed(program=program, status=status, reason=reason)
    return output


def name_signal(number: int) -> str:
    """Return a signal's name, such as SIGSYS."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _late(program: str, timeout: float) -> ProgramFailed:
    reason = f"no end after {timeout:g} seconds"
    return ProgramFailed(program=program, status="none", reason=reason)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", **(extra or {})}


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it wrote nothing"
