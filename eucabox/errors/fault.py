"""What every fault is: an AWS code, a text, and the caller's own facts in it."""

from typing import Any, ClassVar


class Fault(Exception):
    """A fault with the caller's own facts in it.

    `code` is the AWS error code; `text` a format string over the keyword facts, AWS's own sentence
    where clients compare it, and `detail_text` another for what it leaves out; `facts` keeps them
    for protocols that answer with extra elements. `message` is sentence and detail in one, for
    protocols that have no element for the second. All are pure ASCII. `exit_status` is what a
    process ends with that can't begin, or go on, for it.
    """

    code: ClassVar[str] = "InternalError"
    text: ClassVar[str] = "An internal error has occurred. The log has the cause."

    detail_text: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.sentence = _format(self.text, facts)
        self.detail = _format(self.detail_text, facts) if self.detail_text else ""
        self.message = self._join()
        super().__init__(self.message)

    def _join(self) -> str:
        if not self.detail:
            return self.sentence
        stop = "" if self.sentence.endswith((".", ":")) else "."
        return f"{self.sentence}{stop} {self.detail}"


def _format(text: str, facts: dict[str, Any]) -> str:
    return text.format(**facts).encode("ascii", "backslashreplace").decode("ascii")
