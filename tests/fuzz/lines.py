"""Cases over real sockets: as a client would send them, or with bytes of the line damaged."""

import random
import socket

from eucabox.server.listener import Listener
from tests.fuzz.case import Case, sign
from tests.fuzz.shop import Problem, Shop

SECONDS = 20.0
JUNK = (b"\r\n", b"\n", b"\0", b" ", b":", b"\xff", b"HTTP/1.1", b"Transfer-Encoding: chunked\r\n")


def raw(case: Case, chance: random.Random) -> bytes:
    """The bytes of a case; every third is damaged somewhere."""
    headers = {**case.headers, "connection": "close"}
    body = case.body
    if case.chunked:
        headers["transfer-encoding"] = "chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    else:
        headers.setdefault("content-length", str(len(body)))
    lines = [f"{case.method} {case.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    sent = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
    if chance.random() < 0.3:
        at = chance.randrange(min(len(sent), 600))
        sent = sent[:at] + chance.choice(JUNK) + sent[at + chance.randrange(3) :]
    return sent


def exchange(port: int, sent: bytes) -> bytes:
    """All that comes back for some bytes."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as line:
        try:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            while piece := line.recv(1 << 16):
                found += piece
        except TimeoutError:
            raise
        except OSError:
            pass  # refused before all was sent
    return found


def one(shop: Shop, listener: Listener, case: Case, chance: random.Random) -> str:
    """Send a case; Problem unless the answer is a refusal, a good one, or a hang-up."""
    if "authorization" not in case.headers:
        sign(case, shop.owner, chance)
    sent = raw(case, chance)
    try:
        answer = exchange(listener.bind_addr[1], sent)
    except TimeoutError:
        raise Problem(f"{sent[:2000]!r}\nhangs") from None
    if shop.traces.seen:
        raise Problem(f"{sent[:2000]!r}\n{shop.traces.seen.pop()}")
    status = answer.rpartition(b"HTTP/1.1 100 Continue\r\n\r\n")[2][9:12].decode("latin-1")
    if answer and (not status.isdigit() or status in ("500", "502", "503")):
        raise Problem(f"{sent[:2000]!r}\nanswers {answer[:500]!r}")
    return status
