"""The styles that stand in each page, so that it is shown before anything else is asked for; what
only some pages have is a file beside."""

import base64
import hashlib
import re
from pathlib import Path

from markupsafe import Markup

FILE = Path(__file__).parent / "static" / "console.css"
COMMENT, BLANKS, AROUND = r"/\*.*?\*/", r"\s+", r" ?([{};]) ?|([:,]) "


def _shorten(text: str) -> str:
    """Leave out of a style sheet what only its readers need."""
    text = re.sub(COMMENT, "", text, flags=re.DOTALL)
    return re.sub(AROUND, r"\1\2", re.sub(BLANKS, " ", text)).strip()


def _hash(text: str) -> str:
    """What a Content-Security-Policy names these styles by, and no others."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


_TEXT = _shorten(FILE.read_text("utf-8"))
STYLES = Markup(f"<style>{_TEXT}</style>")  # noqa: S704 - our own file
SOURCE = _hash(_TEXT)
