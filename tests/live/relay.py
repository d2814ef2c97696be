"""Another address of this machine at which a server is met, byte by byte, such as IPv6's own."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

PIECE = 65536


@contextlib.contextmanager
def relayed(address: str, port: int) -> Iterator[None]:
    """Have `address` hand what comes at a port to the same port of 127.0.0.1."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as behind:
                answers = threading.Thread(target=_pour, args=(behind, self.request), daemon=True)
                answers.start()
                _pour(self.request, behind)
                answers.join()

    with _Server((address, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = daemon_threads = True


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side has left
        while data := source.recv(PIECE):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
