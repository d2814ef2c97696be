"""One table of packet rules that is written whole, in one step; knows no rule."""

import logging

from eucabox.network import host
from eucabox.run import run

log = logging.getLogger("eucabox.network")


class Table:
    """An nft table that other programs on this host may change or delete at any time."""

    def __init__(self, family: str, name: str) -> None:
        self.family = family
        self.name = name
        self._rules = ""
        self._listed = b""  # as nft listed it once it was written

    def make(self, chains: str) -> None:
        """Have the table hold exactly these sets and chains; nothing is done where it does."""
        head = f"table {self.family} {self.name}"
        rules = f"{head} {{\n}}\ndelete {head}\n{head} {{\n{chains}\n}}\n"
        if rules == self._rules and self._is_whole():
            return
        run("nft", "-f", "-", input=rules.encode())
        self._rules, self._listed = rules, host.listing(self.family, self.name)

    def remove(self) -> None:
        """Take the table away."""
        if host.listing(self.family, self.name):
            run("nft", "delete", "table", self.family, self.name)
        self._rules = ""

    def _is_whole(self) -> bool:
        if host.listing(self.family, self.name) == self._listed:
            return True
        log.warning("role=cluster another program changed the table %s; making it again", self.name)
        return False
