"""A plain HTTP client for tests: sends a target and headers as they are."""

import http.client
from dataclasses import dataclass
from email.message import Message
from functools import partialmethod


@dataclass
class Response:
    """What came back."""

    status_code: int
    headers: Message
    data: bytes

    @property
    def location(self) -> str:
        return self.headers["Location"] or ""

    @property
    def content_type(self) -> str:
        return self.headers["Content-Type"] or ""


class Http:
    """Requests to a port of this machine, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(
        self,
        target: str,
        method: str = "GET",
        data: bytes | str = b"",
        headers: dict[str, str] | None = None,
        base_url: str = "",
    ) -> Response:
        body = data.encode() if isinstance(data, str) else data
        fields = {"Host": base_url.rpartition("/")[2] or f"127.0.0.1:{self._port}"}
        fields |= {"Content-Length": str(len(body))} | (headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in fields.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    get = partialmethod(send, method="GET")
    head = partialmethod(send, method="HEAD")
    options = partialmethod(send, method="OPTIONS")
    put = partialmethod(send, method="PUT")
