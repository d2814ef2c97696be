"""Programs of an administrator, written for a test: its own, and the examples of docs/hooks.md."""

from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs" / "hooks.md"


def program(file: Path, text: str, mode: int = 0o755) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def shell(file: Path, *lines: str, mode: int = 0o755) -> Path:
    return program(file, "\n".join(("#!/bin/sh", *lines)) + "\n", mode)


def example(word: str) -> str:
    """Return the example of the docs that has a word in it."""
    blocks = DOCS.read_text().split("```")[1::2]
    (found,) = [block for block in blocks if word in block]
    return found.partition("\n")[2]
