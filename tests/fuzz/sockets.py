"""Odd requests over real sockets, to the API, the metadata service and the console: their bytes
damaged or cut off; and what a browser may send on a WebSocket."""

import contextlib
import random
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from eucabox import api
from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.server.listener import Listener
from tests.fuzz import forms, lines, odd, pages
from tests.fuzz.case import Case, sign
from tests.fuzz.pages import PageShop
from tests.fuzz.shop import HANGS, Problem, TooSlow

THREADS = 4
SHORTLY = 0.05  # seconds that a WebSocket is listened to
FRAMES = (
    b"\x81\x85\0\0\0\0hello", b"\x82\x80\0\0\0\0", b"\x88\x82\0\0\0\0\x03\xe8", b"\xff\xff",
    b"\x89\xfe\xff\xff", b"\x8a\x80\0\0\0\0", b"\x01\x81\0\0\0\0x", b"\x81\x05hello",
    b"\x82\xff" + b"\xff" * 8, b"\x81\x84\0\0\0\0\xff\xfe\xfd\xfc", b"\xf1\x80\0\0\0\0",
    b"\x88\x81\0\0\0\0x", b"\x80\x80\0\0\0\0", b"\x89\x84\0\0\0\0ping",
)  # fmt: skip


class LineShop(PageShop):
    """A cloud with its listeners."""

    def __init__(self, folder: Path) -> None:
        self._listening = ExitStack()
        self.ports: dict[str, int] = {}
        super().__init__(folder)

    def furnish(self) -> None:
        super().furnish()
        self._listening.close()
        metadata = api.create_metadata_app(self.cloud)
        for name, app in (("api", self.app), ("console", self.console), ("metadata", metadata)):
            listener = Listener(("127.0.0.1", 0), app, THREADS, (name, "port"))
            listener.open()
            self._listening.callback(listener.shut)
            self.ports[name] = listener.bind_addr[1]

    def close(self) -> None:
        self._listening.close()
        self.console.sockets.close()
        super().close()

    def exchange(self, name: str, sent: bytes) -> None:
        """Send bytes; Problem unless an answer or a hang-up follows soon."""
        self._freshen()
        began = time.monotonic()
        try:
            answer = lines.exchange(self.ports[name], sent)
        except TimeoutError:
            raise Problem(f"{name} {sent[:2000]!r}\nhangs") from None
        self.check_answer(name, sent, answer)
        seconds = time.monotonic() - began
        self.longest = max(self.longest, seconds)
        if seconds > HANGS:  # the threads that serve share the machine with others
            raise TooSlow(f"{name} {sent[:2000]!r}\ntakes {seconds:.1f} s")

    def check_answer(self, name: str, sent: bytes, answer: bytes) -> None:
        if self.traces.seen:
            trace = "\n".join(self.traces.seen)
            self.traces.seen.clear()
            raise Problem(f"{name} {sent[:2000]!r}\n{trace}")
        status = answer.rpartition(b"HTTP/1.1 100 Continue\r\n\r\n")[2][9:12].decode("latin-1")
        failed = status == "500" and not self.is_failure(500, answer)
        if answer and not failed and (not status.isdigit() or status in ("500", "502")):
            raise Problem(f"{name} {sent[:2000]!r}\nanswers {answer[:500]!r}")
        self.seen[f"{name} {status}"] += 1
        if (status == "303" and b"/sign-in" in answer) or pages.TOO_OLD in answer:
            self.begin_sessions()

    def talk(self, head: bytes, frames: bytes) -> None:
        """Open a WebSocket, say something and leave."""
        self._freshen()
        answer = b""
        with socket.create_connection(("127.0.0.1", self.ports["console"]), 20) as line:
            line.sendall(head)
            line.settimeout(SHORTLY)
            with contextlib.suppress(OSError):
                answer = line.recv(65536)
                line.sendall(frames)
                while line.recv(65536):
                    pass
        self.check_answer("socket", head + frames, answer)


def ask_api(chance: odd.Chance, shop: LineShop) -> None:
    service = chance.choice(["ec2", "iam", "sts"])
    case = forms.make_case(service, chance.choice(forms.list_actions(service)), chance, shop)
    if "authorization" not in case.headers:
        sign(case, shop.owner, chance)
    shop.exchange("api", lines.raw(case, chance))


def ask_page(chance: odd.Chance, shop: LineShop) -> None:
    case, token = chance.choice([pages.show, pages.send])(chance, shop)
    shop.exchange("console", lines.raw(_address(case, token), chance))


def ask_metadata(chance: odd.Chance, shop: LineShop) -> None:
    path = chance.choice(["/latest/meta-data/", "/", "/latest/api/token", "/latest/user-data"])
    case = Case(chance.choice(["GET", "PUT", "HEAD"]), path, signed="")
    case.headers["host"] = odd.in_header(odd.text(chance))[:3000]
    shop.exchange("metadata", lines.raw(case, chance))


def open_socket(chance: odd.Chance, shop: LineShop) -> None:
    rule = chance.choice([each for each in shop.rules if each.websocket])
    case = Case("GET", shop.place(rule.rule, chance), signed="")
    case.headers = pages.socket_head(chance) if chance.random() < 0.3 else dict(pages.SOCKET)
    head = lines.raw(_address(case, shop.tokens[0]), random.Random(1))
    frames = b"".join(chance.choice(FRAMES) for _ in range(chance.choice([0, 1, 3, 50])))
    if chance.random() < 0.3:
        frames += chance.randbytes(chance.choice([1, 100, 70_000]))
    shop.talk(head.replace(b"connection: close\r\n", b""), frames)


def _address(case: Case, token: str) -> Case:
    """Add what a browser says of the console and of who uses it."""
    case.headers.setdefault("Host", pages.HOST)
    if token:
        case.headers.setdefault("Cookie", f"{LOGIN_COOKIE}={token}")
    return case


KINDS: dict[str, tuple[Any, int]] = {
    "line-api": (ask_api, 50),
    "line-page": (ask_page, 30),
    "line-metadata": (ask_metadata, 10),
    "line-socket": (open_socket, 10),
}
