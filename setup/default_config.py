"""Writes eucabox.conf with each key, its default and a sentence of docs: default_config.py FILE.

The keys and defaults are those of eucabox/config.py, the sentence is the first one that
docs/configuration.md has of the key; tests/test_config.py compares the file with what this makes.
"""

import re
import sys
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

from eucabox.config import SECTIONS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "configuration.md"
LINE = re.compile(r"^\| `(\w+)` \| [^|]* \| (.*) \|$")
SENTENCE = re.compile(r".*?[.](?= |$)")
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
HEAD = """\
# eucabox.conf: see docs/configuration.md, or eucabox.conf(5) where it is installed.
# Every line that begins with # is a default; take the # away to set a key. Files *.conf of the
# folder eucabox.conf.d beside this file are read after it, in order of name: the last one counts.
# `eucabox config check` looks for mistakes and tells which file a setting is from.
# [reload]: taken over by `systemctl reload eucabox`; the other keys need a restart.
"""


def render() -> str:
    """Return the whole file."""
    return HEAD + "".join(f"\n{_section(name, kind)}" for name, kind in SECTIONS.items())


def _section(name: str, kind: Any) -> str:
    sentences = _read_sentences(name)
    keys = "\n".join(_key(each, sentences[each.name]) for each in fields(kind))
    return f"[{name}]\n# {kind.__doc__}\n\n{keys}"


def _key(key: Any, sentence: str) -> str:
    text = f"{sentence} [reload]" if key.metadata["reload"] else sentence
    value = ("no", "yes")[key.default] if isinstance(key.default, bool) else key.default
    lines = textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="# ")
    return "\n".join([*lines, f"#{key.name} = {value}".rstrip(), ""])


def _read_sentences(section: str) -> dict[str, str]:
    """Return the first sentence that the docs have of each key of a section."""
    text = DOCS.read_text("utf-8").partition(f"\n## [{section}]\n")[2].partition("\n## ")[0]
    lines = filter(None, map(LINE.match, text.splitlines()))
    return {line[1]: _first_sentence(line[2]) for line in lines}


def _first_sentence(text: str) -> str:
    plain = LINK.sub(r"\1", text).replace("`", "").removesuffix(" *")
    sentence = SENTENCE.match(plain)
    assert sentence, text
    return sentence[0]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), "utf-8")
