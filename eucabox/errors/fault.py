"""What every fault is: an AWS code, a text, and the caller's own facts in it."""

from typing import Any, ClassVar


class Fault(Exception):
    """A fault with the caller's own facts in it.

    `code` is the AWS error code; `text` a format string over the keyword facts; `facts` keeps
    them for protocols that answer with extra elements. Messages are pure ASCII.
    """

    code: ClassVar[str] = "InternalError"
    text: ClassVar[str] = "An internal error has occurred. The log has the cause."

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.message = self._say(facts)
        super().__init__(self.message)

    def _say(self, facts: dict[str, Any]) -> str:
        said = self.text.format(**facts)
        return said.encode("ascii", "backslashreplace").decode("ascii")
