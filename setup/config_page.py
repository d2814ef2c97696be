"""Makes the man page eucabox.conf(5) from docs/configuration.md."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
SECTION = re.compile(r"^## \[(\w+)\]$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
HEAD = """\
.TH EUCABOX.CONF 5 "" "eucabox {version}" "File formats"
.SH NAME
eucabox.conf \\- the configuration of eucabox, a private EC2 and S3 cloud
.SH SYNOPSIS
.I /etc/eucabox/eucabox.conf
.br
.I /etc/eucabox/eucabox.conf.d/*.conf
.SH DESCRIPTION
An INI file: sections in brackets, a key and its value on a line.
Every key has a default, so an empty file, or none, is fine.
A wrong key or value keeps eucabox from starting, with a line that names file, section and key;
.B eucabox config check
tells beforehand, and which file each setting is from.
.PP
Files *.conf of the folder beside it are read after it, in order of name: where two set one key,
the last one counts.
Upgrades leave them alone.
.PP
Keys marked * are taken over by
.BR "systemctl reload eucabox" ;
the others need a restart.
Instances run on through both.
"""
TAIL = """\
.SH SEE ALSO
.BR eucabox (1)
"""


@dataclass(frozen=True)
class Key:
    """A row of the page: a key, its default as it is written in the file, and its meaning."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """A section of the file with its keys."""

    name: str
    purpose: str
    keys: tuple[Key, ...]


def read_sections(page: Path = PAGE) -> Iterator[Section]:
    """Yield the sections in the page's order."""
    _, *parts = SECTION.split(page.read_text("utf-8"))
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        keys = (Key(key, _default(value), meaning) for key, value, meaning in ROW.findall(text))
        yield Section(name, text.strip().partition("\n")[0], tuple(keys))


def render(version: str) -> str:
    """Return the whole page."""
    lines = [HEAD.format(version=version).rstrip()]
    for section in read_sections():
        lines += [f'.SH "[{section.name}]"', _roff(section.purpose)]
        for key in section.keys:
            default = f"\\fR (default: \\fB{_escape(key.default)}\\fR)" if key.default else ""
            lines += [".TP", f"\\fB{key.name}{default}", _roff(key.meaning)]
    return "\n".join([*lines, TAIL])


def _default(cell: str) -> str:
    return "" if cell == "(empty)" else cell.strip("`")


def _roff(text: str) -> str:
    words = _escape(LINK.sub(lambda match: match[1].replace(".md", ""), text))
    bold = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", words)
    return "\n".join(f"\\&{line}" if line[:1] in ".'" else line for line in textwrap.wrap(bold, 98))


def _escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
