"""The administrator's hooks at the events of instances; never decides what happens at one."""

import logging
from collections.abc import Mapping
from pathlib import Path

from eucabox import ids
from eucabox.config import Config
from eucabox.domains.admin_programs import is_meant_to_run, reason_not_trusted, run_program
from eucabox.domains.hook_facts import Facts, encode
from eucabox.errors import Fault, HookRefused, ProgramFailed

log = logging.getLogger("eucabox.node")


class Hooks:
    """Runs every executable of the folder [node] hooks, by name, one after the other.

    Each gets the arguments EVENT DATA_DIR INSTANCE_FOLDER, and on standard input one line of
    JSON with the event and the facts.
    """

    def __init__(self, config: Config, facts: Facts) -> None:
        self.config = config
        self._facts = facts

    def ask(self, event: str, instance_id: str, **more: object) -> None:
        """Run the hooks before a step of a launch; the first that fails raises HookRefused."""
        for hook in self._list_hooks():
            try:
                self._run(hook, event, instance_id, more)
            except ProgramFailed as fault:
                raise HookRefused(
                    program=hook.name, event=event, reason=fault.facts["reason"]
                ) from None

    def tell(self, event: str, instance_id: str) -> None:
        """Run the hooks at an event; one that fails is logged."""
        for hook in self._list_hooks():
            try:
                self._run(hook, event, instance_id, {})
            except Fault as fault:
                log.warning("role=node at %s of %s: %s", event, instance_id, fault.message)

    def _list_hooks(self) -> list[Path]:
        """Return the hooks that may be run; what others can write is left out with a warning."""
        folder = self.config.node.hooks
        if not folder.is_dir():
            return []
        if reason := reason_not_trusted(folder):
            log.warning("role=node no hook of %s is run: %s", folder, reason)
            return []
        return [each for each in sorted(folder.iterdir()) if _is_trusted(each)]

    def _run(self, hook: Path, event: str, instance_id: str, more: Mapping[str, object]) -> None:
        facts = self._facts.describe(instance_id)
        document = {"event": event, "time": ids.now(), **facts, **more}
        places = (str(self.config.cloud.data_dir), str(facts["instance_folder"]))
        run_program(hook, event, *places, input=encode(document))


def _is_trusted(hook: Path) -> bool:
    if not is_meant_to_run(hook):
        return False
    if reason := reason_not_trusted(hook):
        log.warning("role=node the hook %s is not run: %s", hook, reason)
        return False
    return True
