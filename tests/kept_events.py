"""What verbs hand to the log of events, in a list: for clouds of few rooms."""

from collections.abc import Sequence

from eucabox.events import Event


class KeptEvents:
    """Takes events and topics, and writes none."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self.topics: list[str] = []

    def record(self, event: Event, topics: Sequence[str] = ()) -> None:
        self.kept.append(event)
        self.topics += topics
