"""The doors that odd requests come by: for each what it opens, its kinds of cases, and how one is
tried."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.fuzz import files, forms, guests, kinds, pages, sockets
from tests.fuzz.cloud_shop import CloudShop
from tests.fuzz.odd import Chance
from tests.fuzz.shop import open_shop


class Opened(Protocol):
    """What a door opens."""

    seen: Counter[str]
    longest: float


Try = Callable[[Any, str, Chance], None]


@dataclass(frozen=True)
class Door:
    """What it opens in a folder, the share of each kind of its cases, and how one is tried."""

    open: Callable[[Path], AbstractContextManager[Any]]
    kinds: dict[str, int]
    try_one: Try


def _try_request(table: dict[str, Any]) -> Try:
    def try_one(shop: Any, kind: str, chance: Chance) -> None:
        shop.ask(table[kind][0](chance, shop), chance)

    return try_one


def _try_page(shop: Any, kind: str, chance: Chance) -> None:
    shop.visit(*pages.KINDS[kind][0](chance, shop))


def _try_guest(shop: Any, kind: str, chance: Chance) -> None:
    shop.send_metadata(*guests.KINDS[kind][0](chance, shop))


def _try_line(shop: Any, kind: str, chance: Chance) -> None:
    sockets.KINDS[kind][0](chance, shop)


def _try_file(desk: Any, kind: str, chance: Chance) -> None:
    write, read = files.KINDS[kind]
    desk.try_one(kind, read(desk), write(chance, desk))


@contextmanager
def _open_desk(folder: Path) -> Iterator[files.Desk]:
    desk = files.Desk(folder)
    yield desk
    desk.close()


def _requests(open: Callable[[Path], AbstractContextManager[Any]], table: dict[str, Any]) -> Door:
    return Door(open, {name: each[1] for name, each in table.items()}, _try_request(table))


def _files(*names: str) -> Door:
    return Door(_open_desk, dict.fromkeys(names, 1), _try_file)


DOORS = {
    "s3": _requests(open_shop, kinds.KINDS),
    "ec2": _requests(CloudShop.opened, forms.KINDS),
    "iam": _requests(CloudShop.opened, forms.IAM_KINDS),
    "sts": _requests(CloudShop.opened, forms.STS_KINDS),
    "policies": _requests(CloudShop.opened, forms.POLICY_KINDS),
    "console": Door(
        pages.PageShop.opened, {name: each[1] for name, each in pages.KINDS.items()}, _try_page
    ),
    "metadata": Door(guests.GuestShop.opened, {"metadata": 1}, _try_guest),
    "sockets": Door(
        sockets.LineShop.opened, {name: each[1] for name, each in sockets.KINDS.items()}, _try_line
    ),
    "manifests": _files("manifest"),
    "qcow2": _files("disk"),
    "tar": _files("bundle", "backup"),
    "dhcp": _files("frame"),
    "documents": _files("document"),
}
