"""Codes by the clock: those of the standard, and which moments count."""

import struct
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from eucabox.iam import mfa_codes

SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # of RFC 6238: "12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ],
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert mfa_codes.show_code(SEED, seconds // mfa_codes.STEP) == code


def test_a_seed_has_160_bits_and_is_new_each_time() -> None:
    seeds = {mfa_codes.make_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(each) * 5 for each in seeds} == {160}


@pytest.mark.parametrize(("late", "found"), [(-2, None), (-1, -1), (0, 0), (1, 1), (2, None)])
def test_a_code_counts_a_step_before_and_after(late: int, found: int | None) -> None:
    code = mfa_codes.show_code(SEED, 1000 - late)
    step = mfa_codes.find_step(SEED, code, 1000)
    assert step == (None if found is None else 1000 - found)


@pytest.mark.parametrize(
    "code", ["", "12345", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "\ud800"]
)
def test_what_is_no_code_is_none_of_a_device(code: str) -> None:
    assert mfa_codes.find_step(SEED, code, 1000) is None


def test_two_codes_in_a_row_tell_how_wrong_a_clock_is() -> None:
    def find(first: int, second: int) -> int | None:
        codes = mfa_codes.show_code(SEED, first), mfa_codes.show_code(SEED, second)
        return mfa_codes.find_pair(SEED, *codes, 1000)

    assert find(999, 1000) == 1000
    assert find(960, 961) == 961
    assert find(1039, 1040) == 1040
    assert find(1040, 1041) is None
    assert find(1000, 1000) is None
    assert find(1000, 999) is None
    assert find(998, 1000) is None


def test_an_app_is_set_up_by_an_address_and_its_picture() -> None:
    address = mfa_codes.make_address(SEED, "phone", "ann lee")
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/eucabox:phone@ann lee"
    assert parse_qs(parts.query) == {"secret": [SEED], "issuer": ["eucabox"]}
    picture = mfa_codes.draw_qr_code(address)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width == height > 150
