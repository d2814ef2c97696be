"""One-time codes by the clock (RFC 6238) as virtual MFA devices show them: makes seeds, finds out
when a device showed a code. Stores nothing, and knows no device."""

import hmac
import io
import itertools
import time

import pyotp

STEP = 30  # seconds that a device shows one code for
SEED_LETTERS = 32  # of Base32: 160 bits, as long as what is hashed with it
SKEW = 1  # steps that a device, and who types its code, may be late or early
WIDEST = 40  # steps that a device's clock may be wrong: two codes in a row tell by how many
ISSUER = "eucabox"
PIXELS = 5  # of a module of the QR code


def make_seed() -> str:
    """Return a new seed, in Base32."""
    return pyotp.random_base32(SEED_LETTERS)


def read_step() -> int:
    """Return the number of the step that it is now."""
    return int(time.time()) // STEP


def show_code(seed: str, step: int) -> str:
    """Return the code of a step."""
    return pyotp.HOTP(seed).at(step)


def find_step(seed: str, code: str, expected: int) -> int | None:
    """Return the step near the expected one in which a device showed the code, None for none; in
    a time that does not depend on it."""
    steps = range(expected - SKEW, expected + SKEW + 1)
    return _find_last([step for step in steps if _is_same(show_code(seed, step), code)])


def find_pair(seed: str, first: str, second: str, expected: int) -> int | None:
    """Return the step of the second of two codes that follow each other, None where they do not,
    or lie farther from the expected step than a device's clock is wrong."""
    shown = [show_code(seed, step) for step in range(expected - WIDEST, expected + WIDEST + 1)]
    pairs = enumerate(itertools.pairwise(shown), expected - WIDEST + 1)
    return _find_last([n for n, pair in pairs if _is_same("".join(pair), first + second)])


def make_address(seed: str, device: str, holder: str) -> str:
    """Return the otpauth:// address that sets up an app."""
    return pyotp.TOTP(seed).provisioning_uri(name=f"{device}@{holder}", issuer_name=ISSUER)


def draw_qr_code(address: str) -> bytes:
    """Return a picture of an address, as PNG."""
    import segno  # 1 MiB, for a device that is set up

    picture = io.BytesIO()
    segno.make(address, micro=False).save(picture, kind="png", scale=PIXELS)
    return picture.getvalue()


def _is_same(shown: str, typed: str) -> bool:
    return hmac.compare_digest(shown.encode(), typed.encode("utf-8", "surrogatepass"))


def _find_last(steps: list[int]) -> int | None:
    return steps[-1] if steps else None
