"""A client in a thread of its own, that does one thing after the other until the server is gone."""

import random
import threading
from abc import ABC, abstractmethod

from botocore.exceptions import ClientError

from tests.live.kills.things import Lost
from tests.live.kills.world import LOST, World


class Worker(threading.Thread, ABC):
    """One client with a random mind of its own; `act` does the next thing."""

    def __init__(self, world: World, seed: str) -> None:
        super().__init__(daemon=True)
        self.world = world
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.doing = ""

    @abstractmethod
    def act(self) -> None:
        """Do one thing."""

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.act()
            except Lost:  # else more would be in doubt than was sent
                return
            except LOST:
                self.world.count("lost")
            except ClientError as refused:
                self.world.refused(self.doing, refused, ())
            except Exception as error:  # a client that ends unseen would prove nothing
                self.world.problem(f"{self.doing}: {error!r}")
