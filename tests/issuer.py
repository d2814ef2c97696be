"""A small identity provider of the tests' own: its keys by HTTP on loopback, and its tokens."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT = "shop"
DISCOVERY = "/.well-known/openid-configuration"


class Issuer:
    """What an issuer at `url` says and signs; the tests bend `documents`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        path = "/" + url.partition("://")[2].partition("/")[2].rstrip("/")
        path = path.rstrip("/")
        self.documents: dict[str, Any] = {
            path + DISCOVERY: {"issuer": url, "jwks_uri": f"{url}/keys"},
            path + "/keys": {"keys": [self.jwk()]},
        }

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    def jwk(self, **changed: Any) -> dict[str, Any]:
        """The public key as the key set has it."""
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**public, "kid": "one", "use": "sig", "alg": "RS256", **changed}

    def token(
        self, claims: Mapping[str, Any] | None = None, /, kid: str = "one", **more: Any
    ) -> str:
        """A token of a person for CLIENT, with other claims; one that is None is left out."""
        now = int(time.time())
        whole = {"iss": self.url, "sub": "person-1", "aud": CLIENT, "iat": now, "exp": now + 300}
        whole = {
            name: value
            for name, value in {**whole, **more, **(claims or {})}.items()
            if value is not None
        }
        return jwt.encode(whole, self.key, algorithm="RS256", headers={"kid": kid})


@contextmanager
def serving(port: int = 0, path: str = "") -> Iterator[Issuer]:
    """An issuer that answers on 127.0.0.1, at its `path`."""
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    issuer = Issuer(f"http://localhost:{server.server_address[1]}{path}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            document = issuer.documents.get(self.path)
            if callable(document):
                document(self)
                return
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
