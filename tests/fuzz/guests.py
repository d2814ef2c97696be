"""What a guest, or a stranger on its network, asks of the metadata service."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from eucabox import api
from eucabox.actions import Call, perform
from tests.fuzz import odd
from tests.fuzz.case import Case
from tests.fuzz.cloud_shop import CloudShop
from tests.fuzz.shop import Problem, clock

SOURCES = ("172.30.64.4", "172.30.64.5", "172.30.64.6", "172.30.64.99", "10.0.0.1", "", "x", "::1")
TOKEN, TTL = "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"
VERSIONS = ("latest", "2009-04-04", "1.0", "2021-03-23", "2099-01-01", "0.0", "latest ")
METHODS = ("GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "get", "PATCH")


class GuestShop(CloudShop):
    """A cloud with the paths of all that its metadata service tells."""

    def furnish(self) -> None:
        super().furnish()
        first = self.things["instance"][0]
        self.do("ec2", "AssociateIamInstanceProfile", instance_id=first,
                iam_instance_profile={"name": "app"})  # fmt: skip
        self.cloud.state.update("instances", {"instance_id": first}, user_data=b"#!/bin/sh")
        self.cloud.network.owns_address = lambda *_: True  # type: ignore[method-assign]
        tokens = (self._make_token(source) for source in SOURCES[:2])
        self.tokens = [each for each in tokens if each]
        self.guest_app = api.create_metadata_app(self.cloud)
        call = Call(self.cloud, None, "request", region="eucabox-1", source=SOURCES[0])
        told = perform("metadata", "GetMetadata", call, {"token": self.tokens[0]})
        self.paths = sorted(_list_paths(told or {}))

    def _make_token(self, source: str) -> str:
        call = Call(self.cloud, None, "request", region="eucabox-1", source=source)
        return str((perform("metadata", "CreateToken", call, {"seconds": 20000}) or {})["token"])

    def is_failure(self, status: int, body: bytes) -> bool:
        return status >= 500

    def send_metadata(self, case: Case, source: str) -> tuple[int, dict[str, str], bytes]:
        """Send what a guest sends to its metadata service; the answer."""
        self._freshen()
        took = clock()
        try:
            answer = self.send_to(self.guest_app, case, source)
        except Problem:
            raise
        except Exception as error:
            raise Problem(f"{case.shown()}\nraised {error!r}") from error
        self._check(case, *answer, took())
        self.seen[str(answer[0])] += 1
        return answer


def _list_paths(tree: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in tree.items():
        path = f"{before}/{quote(name)}"
        yield path
        if isinstance(value, Mapping):
            yield f"{path}/"
            yield from _list_paths(value, path)


def ask(chance: odd.Chance, shop: GuestShop) -> tuple[Case, str]:
    """A request for metadata: its path, its token or its method odd, and from which address."""
    version = chance.choice(VERSIONS) if chance.random() < 0.3 else "latest"
    path = f"/{version}{chance.choice(shop.paths)}"
    roll = chance.random()
    if roll < 0.15:
        path = f"/{version}/meta-data/iam/security-credentials/{chance.choice(['app', 'x', ''])}"
    elif roll < 0.3:
        path = "/latest/api/token"
    elif roll < 0.3 + chance.odd:
        path = bend(path, chance)
    case = Case("GET", path, signed="")
    if path.endswith("token") or chance.random() < 0.1:
        case.method = chance.choice(["PUT"] * 6 + [*METHODS])
        seconds = ["60", "21600", "21601", "0", "-1", "1e3", "9" * 9, "9" * 30, "", "\u0661"]
        case.headers[TTL] = odd.in_header(chance.choice(seconds))
    if chance.random() < 0.8:
        case.headers[TOKEN] = chance.choice(shop.tokens)
        if chance.random() < chance.odd:
            text = case.headers[TOKEN]
            at = chance.randrange(len(text))
            case.headers[TOKEN] = chance.choice(
                [text[:at], text[:at] + "x" + text[at + 1 :], text * 50]
            )
    for name in ("x-forwarded-for", "host", "range", "content-type", "expect", TOKEN, TTL):
        if chance.random() < chance.odd / 4:
            case.headers[name] = odd.in_header(odd.text(chance))[:5000]
    case.body = chance.choice([b""] * 9 + [b"x" * 1000])
    source = chance.choices(SOURCES, [60, 20, 5, 5, 3, 1, 1, 1])[0]
    return case, source


def bend(path: str, chance: odd.Chance) -> str:
    at = chance.randrange(len(path) + 1)
    piece = [
        "/",
        "//",
        "/../",
        "%2f",
        "%00",
        "%ff",
        "%",
        "?a=b",
        "0=",
        "=",
        "\x7f",
        "a" * 5000,
        "/.",
        "%2e%2e/",
    ]
    return path[:at] + chance.choice([*piece, quote(odd.text(chance)[:500])]) + path[at:]


KINDS = {"metadata": (ask, 100)}
