import os
import socket

from eucabox.network.port_holder import holder_of


def test_who_listens_is_named_and_nobody_is_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"process {os.getpid()})" in holder_of(port)
    assert holder_of(port) == ""
