"""Several verbs of IAM that a form asks for as one: all are performed, or none is left."""

from types import TracebackType

from eucabox.console.visitor import perform
from eucabox.errors import Fault

# Members by which the verb that undoes another names the same thing.
NAMING = (
    "account_name",
    "delegate_account",
    "user_name",
    "group_name",
    "policy_arn",
    "instance_profile_name",
)


class UndoableSteps:
    """What was done, which is undone where the block ends by an exception.

    `is_undone` is False where that was refused, such as to who may create users and delete none.
    """

    def __init__(self) -> None:
        self.is_undone = True
        self._done: list[tuple[str, dict[str, object]]] = []

    def __enter__(self) -> "UndoableSteps":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if exception is not None:
            self._undo()

    def perform(self, verb: str, undone_by: str, /, **members: object) -> None:
        """Perform a verb; raises the Fault that a client would get."""
        perform("iam", verb, **members)
        named = {name: members[name] for name in NAMING if name in members}
        self._done.append((undone_by, named))

    def tell(self, what: str, fault: Fault) -> str:
        """Return why `what` ("The user ann") could not be made, and whether some of it was."""
        if self.is_undone:
            return fault.message
        return f"{what} is created, but not all of it: {fault.message}"

    def _undo(self) -> None:
        try:
            while self._done:
                verb, named = self._done.pop()
                perform("iam", verb, **named)
        except Fault:
            self.is_undone = False
