"""The log: one line per record, key=value, which no input can forge.

Every line has `time`, `level` and `role` (cloud, cluster, node or walrus: the component that did
this work in Eucalyptus), then `request_id` and `instance` if known, then its own facts.
"""

import contextlib
import io
import json
import logging
import logging.handlers
import os
import re
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from eucabox.atomic_files import make_folder
from eucabox.config import Config
from eucabox.errors import LogFileUnusable

ROLES = ("cloud", "cluster", "node", "walrus")
ROLE_OF = {  # a logger's role; a message may begin with `role=` and another one
    "node": "node",
    "libvirt": "node",
    "hypervisor": "node",
    "network": "cluster",
    "images": "walrus",
    "store": "walrus",
    "bucket": "walrus",
    "lifecycle": "walrus",
}
ROLE_OF_SERVICE = {
    "s3": "walrus",
    "s3control": "walrus",
    "website": "walrus",
    "metadata": "cluster",
}
LEVELS = {"INFO": "info", "WARNING": "warning", "ERROR": "error"}
# syslog's numbers, which the journal reads from the beginning of a line
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
JOURNAL = "journal"
KEPT = 5  # files beside the current one
LONGEST, LONGEST_TRACE = 2000, 20000  # characters of a value
MOST_RECENT, LONGEST_RECENT = 2000, 4000  # lines, and characters of each
BARE = re.compile(r"[A-Za-z0-9_.:/@+,%-]+")
FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)')
ROLE = re.compile(r"role=([a-z]+) ")
NAMED = frozenset({"role", "instance"})  # facts that have their own place in a line
INSTANCE = re.compile(r"i-[0-9a-f]{17}")
# What a record would gather of threads and processes, and no line says.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
# The last lines that went to the journal, which a service may write and not read.
recent_lines: deque[str] = deque(maxlen=MOST_RECENT)
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))
_line: ContextVar[dict[str, object] | None] = ContextVar("line", default=None)


class about:  # noqa: N801  # it reads as a verb: `with logs.about(...)`
    """Add these facts to every line of the block: role, request_id, instance; "" adds none."""

    __slots__ = ("_facts", "_token")

    def __init__(self, **facts: str) -> None:
        self._facts = facts
        self._token: Token[Mapping[str, str]] | None = None

    def __enter__(self) -> None:
        known, facts = _about.get(), self._facts
        if not known or not facts.items() <= known.items():
            if "" in facts.values():
                facts = {key: value for key, value in facts.items() if value}
            self._token = _about.set({**known, **facts})

    def __exit__(self, *exception: object) -> None:
        if self._token is not None:
            _about.reset(self._token)


class one_line:  # noqa: N801
    """Collect the facts of all `say` calls of the block, and log them as one line at the end."""

    __slots__ = ("_facts", "_log", "_token")

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._facts: dict[str, object] = {}

    def __enter__(self) -> dict[str, object]:
        self._token = _line.set(self._facts)
        return self._facts

    def __exit__(self, *exception: object) -> None:
        _line.reset(self._token)
        _log(self._log, self._facts)


def write_facts(facts: Mapping[str, str]) -> str:
    """Return facts as they stand in a line, to be a part of one for `say_line`."""
    return _join(facts)


def say_line(log: logging.Logger, line: str) -> None:
    """Log a line that is written already, from its role on, as `write_facts` does."""
    if log.isEnabledFor(logging.INFO):
        log.handle(_make_record(log, {}, line))


def say(log: logging.Logger, **facts: object) -> None:
    """Log facts as a line, or add them to the one that is being gathered."""
    line = _line.get()
    if line is None:
        _log(log, facts)
    else:
        line.update(facts)


def _log(log: logging.Logger, facts: Mapping[str, object]) -> None:
    # As `log.info` does, without what a record finds out of its place in the source and its thread.
    if log.isEnabledFor(logging.INFO):
        log.handle(_make_record(log, facts))


def _make_record(
    log: logging.Logger, facts: Mapping[str, object], line: str = ""
) -> logging.LogRecord:
    record, created = logging.LogRecord.__new__(logging.LogRecord), time.time()
    record.__dict__.update(_RECORD, name=log.name, created=created, facts=facts, line=line)
    record.msecs = created % 1 * 1000
    return record


_RECORD = vars(logging.LogRecord("", logging.INFO, "", 0, "", (), None))


class Format(logging.Formatter):
    """Writes a record as key=value pairs: values that are not plain words are JSON strings."""

    def __init__(self, dated: bool = True) -> None:
        super().__init__()
        self._dated = dated

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of ASCII."""
        if line := getattr(record, "line", ""):
            return f"{f'time={_time(record.created)} ' if self._dated else ''}level=info {line}"
        return _join(self._facts(record))

    def _facts(self, record: logging.LogRecord) -> dict[str, object]:
        own, known = dict(getattr(record, "facts", ())), dict(_about.get())
        dated: dict[str, object] = {"time": _time(record.created)} if self._dated else {}
        if not record.msg and not record.exc_info and NAMED.isdisjoint((*own, *known)):
            dated["level"] = LEVELS.get(record.levelname) or record.levelname.lower()
            dated["role"] = _role(record.name, own)
            return {**dated, **known, **own}
        message = record.getMessage() if record.msg else ""
        role_prefix = ROLE.match(record.msg) if message and isinstance(record.msg, str) else None
        if role_prefix:
            message = message[role_prefix.end() :]
        instance = known.pop("instance", "") or own.pop("instance", "") or _instance(record)
        role = (role_prefix and role_prefix[1]) or known.pop("role", "") or _role(record.name, own)
        return {
            **dated,
            "level": LEVELS.get(record.levelname) or record.levelname.lower(),
            "role": role,
            **known,
            **({"instance": instance} if instance else {}),
            **own,
            **({"message": message} if message else {}),
            **({"trace": self.formatException(record.exc_info)} if record.exc_info else {}),
        }


class JournalFormat(Format):
    """The same line with systemd's priority before it, and no time: the journal adds its own."""

    def __init__(self) -> None:
        super().__init__(dated=False)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line that the journal gives the record's priority."""
        line = super().format(record)
        recent_lines.append(f"time={_time(record.created)} {line}"[:LONGEST_RECENT])
        return _prefix(record.levelno) + line


class LogFile(logging.handlers.RotatingFileHandler):
    """A file of mode 0640, moved to .1 (and .1 to .2, to .5) when it is full."""

    broken = False
    _size = 0
    _descriptor = -1

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o640)
        with contextlib.suppress(OSError):  # another's file, or a pipe
            os.fchmod(descriptor, 0o640)
        self._size, self._descriptor = os.fstat(descriptor).st_size, descriptor
        return os.fdopen(descriptor, "a", encoding="ascii", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line with one system call; this process alone makes the file grow."""
        try:
            if self._size >= self.maxBytes:
                self.doRollover()
            if self.stream is None:
                self.stream = self._open()
            line = f"{self.format(record)}\n".encode("ascii", "backslashreplace")
            self._size += os.write(self._descriptor, line)
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Report once that the log can't be written; a full disk must not stop the work."""
        if not self.broken:
            self.broken = True
            write_error(f"{self.baseFilename}: {sys.exc_info()[1]}")


def has_journal() -> bool:
    """Tell whether standard error still is the journal to which systemd connected it."""
    try:
        status = os.fstat(2)
    except OSError:  # it is closed
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"


def describe_place(config: Config) -> str:
    """Return where this process logs: JOURNAL, or the path of a file."""
    return JOURNAL if has_journal() and not config.cloud.log_file else str(config.log_path)


def write_error(message: str) -> None:
    """Write to standard error: the error that ends a command, or one that can't be logged. Where
    that fails too, as it is a file on the same full disk, nobody is told."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{_prefix(logging.ERROR) if has_journal() else ''}eucabox: {message}\n")


def open_stderr() -> None:
    """Log to standard error if it is a terminal or systemd's journal."""
    journal = has_journal()
    if journal or sys.stderr.isatty():
        handler = logging.StreamHandler()
        handler.setFormatter(JournalFormat() if journal else Format())
        logging.getLogger().addHandler(handler)


def open_file(config: Config) -> None:
    """Begin to log to the file that the configuration names, or to the usual one where there is
    no journal; raises LogFileUnusable."""
    file = config.log_path
    if describe_place(config) == JOURNAL:
        return  # one place is enough
    try:
        if not config.cloud.log_file:
            make_folder(file.parent, 0o750)
        limit = config.cloud.log_mb * 2**20
        handler = LogFile(file, maxBytes=limit, backupCount=KEPT, encoding="ascii")
    except OSError as problem:
        raise LogFileUnusable(file=file, reason=problem.strerror or str(problem)) from None
    handler.setFormatter(Format())
    logging.getLogger().addHandler(handler)


def set_level(config: Config) -> None:
    """Set the log level of the configuration."""
    logging.getLogger("eucabox").setLevel(config.cloud.log_level.upper())


def parse(line: str) -> dict[str, str]:
    """Read a line that Format wrote; one that it did not write is a message."""
    facts: dict[str, str] = {}
    end = 0
    while end < len(line):
        field = FIELD.match(line, end)
        if field is None:
            return {"message": line}
        facts[field[1]] = json.loads(field[2]) if field[2].startswith('"') else field[2]
        end = field.end()
    return facts


def files(path: Path) -> list[Path]:
    """Return the files of the log, the oldest first."""
    older = [path.with_name(f"{path.name}.{number}") for number in range(KEPT, 0, -1)]
    return [each for each in (*older, path) if each.exists()]


def _prefix(level: int) -> str:
    return f"<{next(number for least, number in PRIORITIES if level >= least)}>"


def _instance(record: logging.LogRecord) -> str:
    """Return the first argument that is an instance's id: the one that the message is about."""
    if not record.args:
        return ""
    given = record.args if isinstance(record.args, tuple) else ()
    ids_ = (each for each in given if isinstance(each, str) and INSTANCE.fullmatch(each))
    return next(ids_, "")


def _role(logger: str, facts: Mapping[str, object]) -> str:
    if "service" in facts:
        return ROLE_OF_SERVICE.get(str(facts["service"]), "cloud")
    return ROLE_OF.get(logger.removeprefix("eucabox.").split(".")[0], "cloud")


def _time(created: float) -> str:
    """As ids.time_text writes it."""
    second, part = divmod(int(created * 1000), 1000)
    return f"{_second(second)}.{part:03}Z"


@lru_cache(2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _join(facts: Mapping[str, object]) -> str:
    texts = [each if isinstance(each, str) else _text(each) for each in facts.values()]
    joined = "".join(texts)
    plain = "" not in texts and len(joined) < LONGEST and BARE.fullmatch(joined)
    if not plain:
        texts = [_quote(key, text) for key, text in zip(facts, texts, strict=True)]
    return " ".join([f"{key}={text}" for key, text in zip(facts, texts, strict=True)])


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _quote(key: str, text: str) -> str:
    if BARE.fullmatch(text):
        return text[:LONGEST]
    cut = text[: LONGEST_TRACE if key == "trace" else LONGEST]
    return json.dumps(cut).replace("\x7f", "\\u007f")
