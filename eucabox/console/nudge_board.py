"""Tells pages that something of their account changed, by a word; what it is, they ask for."""

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from eucabox.console.socket_loop import TURN_SECONDS, SocketLoop
from eucabox.console.socket_right import SocketRight
from eucabox.console.web_socket import NOT_ACCEPTABLE, WebSocket
from eucabox.events.command_events import CommandWatch

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

GAP_SECONDS = 0.3  # between two nudges of a page, which gets at once what came meanwhile
MOST_TOPICS = 64  # of a page
OF_ADMINISTRATOR = ""  # the account of what the administrator alone sees


class NudgePeer:
    """A page that is open: it is told topics, and says nothing itself."""

    def __init__(self, web_socket: WebSocket, right: SocketRight, board: "NudgeBoard") -> None:
        self.web_socket = web_socket
        self._right = right
        self._board = board
        self._topics: set[str] = set()
        self._told_at = 0.0
        board.join(self)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Of which accounts it is told."""
        caller = self._right.caller
        return (caller.account_id, OF_ADMINISTRATOR) if caller.admin else (caller.account_id,)

    def add(self, topic: str) -> None:
        """Tell it of a topic, once."""
        if len(self._topics) < MOST_TOPICS:
            self._topics.add(topic)

    def take(self, message: str | bytes) -> None:
        """Nothing is expected."""
        self.web_socket.close(NOT_ACCEPTABLE, "Nothing is asked here.")

    def can_take(self) -> bool:
        """Always: a message ends it."""
        return True

    def refill(self) -> float:
        """Tell what there is, unless that was done just now."""
        self._board.deal()
        if not self._topics:
            return TURN_SECONDS
        left = self._told_at + GAP_SECONDS - time.monotonic()
        if left <= 0 and self.web_socket.has_room:
            self.web_socket.send(json.dumps(sorted(self._topics)))
            self._topics.clear()
            self._told_at = time.monotonic()
            return TURN_SECONDS
        return max(left, GAP_SECONDS / 10)

    def other_descriptor(self) -> int:
        """None."""
        return -1

    def check(self) -> None:
        """End it with the session."""
        if end := self._right.find_end():
            self.web_socket.close(*end)

    def leave(self) -> None:
        """The page is gone."""
        self._board.part(self)


class NudgeBoard:
    """All pages that are open, in one thread, and what is to be told to them."""

    def __init__(self, cloud: "Cloud") -> None:
        self.loop = SocketLoop("nudges")
        self._cloud = cloud
        self._lock = threading.Lock()
        self._peers: set[NudgePeer] = set()
        self._news: set[tuple[str, str]] = set()  # account and topic
        self._unsubscribe: Callable[[], None] | None = None
        # what commands change, which can't tell this process; looked at by the loop's thread
        self._commands: CommandWatch | None = None
        self._looked_at = 0.0

    def join(self, peer: NudgePeer) -> None:
        """Take in a page; the first one begins to listen."""
        with self._lock:
            self._peers.add(peer)
            if self._unsubscribe is None:
                self._unsubscribe = self._cloud.events.subscribe(self._note)

    def part(self, peer: NudgePeer) -> None:
        """Forget a page."""
        with self._lock:
            self._peers.discard(peer)
            if not self._peers:
                self._commands, self._looked_at = None, 0.0  # the next page has a new thread

    def deal(self) -> None:
        """Give each page what is news to it."""
        self._look_at_commands()
        if not self._news:
            return
        with self._lock:
            news, self._news = self._news, set()
            for peer in self._peers:
                for account_id in peer.accounts:
                    for topic in (each[1] for each in news if each[0] == account_id):
                        peer.add(topic)

    def _look_at_commands(self) -> None:
        if time.monotonic() < self._looked_at + TURN_SECONDS:
            return
        self._looked_at = time.monotonic()
        if self._commands is None:
            self._commands = CommandWatch(self._cloud.state, self._note)
        self._commands.look()

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def _note(self, account_id: str, topic: str) -> None:
        """Something changed; called by whoever changed it, so it waits for nothing."""
        with self._lock:
            if not self._peers:
                return
            self._news.add((account_id, topic))
        self.loop.wake()
