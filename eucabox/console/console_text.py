"""Makes text of what a guest wrote to its serial console; it may be anything."""

import re

# What a terminal would carry out: CSI, OSC up to its end, and the shorter escapes.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-~]"
)
# What is left of control characters, and what turns the direction of text around.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean_console(output: bytes, most: int) -> str:
    """Return the last `most` characters of a console as plain lines.

    Escapes are dropped, and of a line that was written over and over its last form is left.
    """
    text = ESCAPES.sub("", output.decode("utf-8", "replace")).replace("\r\n", "\n")
    lines = (_read_line(each) for each in text.split("\n"))
    return "\n".join(lines)[-most:]


def _read_line(line: str) -> str:
    last = next((each for each in reversed(line.split("\r")) if each), "")
    return CONTROLS.sub("", last)
