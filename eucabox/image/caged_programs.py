"""Runs programs on files that strangers made: bounded, watched, and gone with this process."""

import re
from collections.abc import Callable
from pathlib import Path

from eucabox.errors import ProgramFailed
from eucabox.run import find, run_watched

MEMORY = 2**30  # bytes of address space
# Each thread would set aside 64 MiB for its memory and 8 for its stack: MEMORY holds a dozen.
FRUGAL_MEMORY = {"MALLOC_ARENA_MAX": "1"}
STACK = 2**21  # bytes
SECONDS = 60.0
FOLDER = re.compile(r"(?<![^\s'\"(=:])/(?:[^/\s'\":]+/)*(?=[^/\s'\":])")

Watch = Callable[[], None]


def run_caged(
    *argv: str,
    seconds: float = SECONDS,
    largest: int | None = None,
    watch: Watch = lambda: None,
    cwd: Path | None = None,
) -> bytes:
    """Run a program to its end and return its standard output.

    It has MEMORY bytes, `seconds` of a processor and of time, and writes no file beyond `largest`
    bytes. `watch` may raise to have it killed; it ends with this process too. Raises ProgramFailed
    as `run` does, whose reason names files without their folders: users may read it.
    """
    limits = [f"--as={MEMORY}", f"--stack={STACK}", f"--cpu={int(seconds) + 1}"]
    limits += [f"--fsize={largest}"] if largest is not None else []
    program = argv[0]
    cage = ("setpriv", "--pdeathsig", "KILL", "prlimit", *limits)
    try:
        cage += (find(program), *argv[1:])
        return run_watched(*cage, watch=watch, timeout=seconds, cwd=cwd, env=FRUGAL_MEMORY)
    except ProgramFailed as problem:
        status = problem.facts["status"]
        reason = FOLDER.sub("", str(problem.facts["reason"]))
        raise ProgramFailed(program=program, status=status, reason=reason) from None
