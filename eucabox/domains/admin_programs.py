"""Runs the administrator's own programs, if they can be trusted; knows nothing of their work."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from eucabox.atomic_files import name_user
from eucabox.errors import ProgramUntrusted
from eucabox.run import run_guarded

ANYBODY = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
SECONDS = 30.0  # that a program has to end


def run_program(
    program: Path, *arguments: str, input: bytes, env: Mapping[str, str] | None = None
) -> bytes:
    """Run a program and return its standard output; raises ProgramUntrusted, ProgramFailed."""
    distrust = reason_not_trusted(program)
    if distrust:
        raise ProgramUntrusted(file=program, reason=distrust)
    return run_guarded(str(program), *arguments, input=input, timeout=SECONDS, env=env)


def reason_not_trusted(program: Path) -> str:
    """Return why a program or a folder of programs is not trusted, or an empty string."""
    try:
        status = program.stat()
    except OSError as problem:
        return problem.strerror or str(problem)
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}; chown root {program}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write it; chmod go-w {program}"
    if not os.access(program, os.X_OK, effective_ids=True):
        return f"the user {name_user(os.geteuid())} can't execute it; chmod a+rx {program}"
    return ""


def is_meant_to_run(program: Path) -> bool:
    """Tell whether some user may execute a file; other files in the folder are no programs."""
    return program.is_file() and bool(program.stat().st_mode & ANYBODY)
