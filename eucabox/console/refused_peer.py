"""A WebSocket that is there only to say why there is none: scripts can read no other answer."""

from eucabox.console.socket_loop import TURN_SECONDS
from eucabox.console.web_socket import ENDED, WebSocket


class RefusedPeer:
    """A browser that is told the reason, in at most 120 characters, and let go."""

    def __init__(self, web_socket: WebSocket, reason: str) -> None:
        self.web_socket = web_socket
        web_socket.close(ENDED, reason)

    def take(self, message: str | bytes) -> None:
        """Whatever was sent meanwhile, nobody gets it."""

    def can_take(self) -> bool:
        """Whatever."""
        return True

    def refill(self) -> float:
        """There is nothing more to say."""
        return TURN_SECONDS

    def other_descriptor(self) -> int:
        """None."""
        return -1

    def check(self) -> None:
        """It ends already."""

    def leave(self) -> None:
        """It has nothing to give back."""
