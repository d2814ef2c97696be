"""Whatever arrives, the answer is a fault or a checked stream: never another exception."""

import random
from urllib.parse import quote

import pytest

from eucabox.errors import Fault
from tests.wire.sign.recorded import Vector, check, vectors

EVERY = [vector for known in vectors().values() for vector in known]
ODD = ["", "%", "%zz", "\x00", "\xff", "=", "&&", ";", ",", "+", " ", "0", "9" * 40, "-1", "\u0661"]
NAMES = [
    "authorization",
    "x-amz-date",
    "date",
    "host",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "content-encoding",
]


def damaged(vector: Vector, chance: random.Random) -> Vector:
    headers = dict(vector.headers)
    for name in chance.sample(NAMES, 2):
        headers[name] = turned(headers.get(name, ""), chance)
    if chance.random() < 0.3:
        headers.pop(chance.choice(sorted(headers)))
    headers.pop("content-length", None)
    target = vector.target
    if chance.random() < 0.5:
        path, mark, query = target.partition("?")
        target = path + mark + turned(query, chance)
    changed = vector.copy(headers=headers, target=target)
    return changed.with_data(turned_body(vector.data, chance))


def turned(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    odd = chance.choice(ODD)
    return text[:at] + odd + text[at + chance.randrange(3) :]


def turned_body(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body) + 1)
    return body[:at] + (bytes(3) if chance.random() < 0.5 else b"") + body[at:]


@pytest.mark.parametrize("seed", range(4))
def test_only_faults(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(1000):
        vector = damaged(chance.choice(EVERY), chance)
        check_vector(vector)


@pytest.mark.parametrize("name", ["Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_only_faults_in_presigned_parameters(name: str) -> None:
    presigned = [v for v in EVERY if f"X-Amz-{name}=" in v.target]
    chance = random.Random(name)
    for vector in presigned:
        before, _, after = vector.target.partition(f"X-Amz-{name}=")
        value, mark, rest = after.partition("&")
        odd = quote(turned(value, chance), safe="%")
        changed = vector.copy(target=f"{before}X-Amz-{name}={odd}{mark}{rest}")
        check_vector(changed)


def check_vector(vector: Vector) -> None:
    """A fault, if there is one, can stand in any XML."""
    try:
        check(vector)
    except Fault as fault:
        message = [fault.message, *(str(v) for v in fault.facts.values())]
        assert all(c == "\n" or " " <= c <= "~" for text in message for c in text)
