"""Blanks are ASCII: a letter whose UTF-8 has the byte A0 or 85 comes back as it was sent."""

import ast
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import eucabox
from eucabox import ascii_text as blanks
from eucabox.s3 import preconditions
from eucabox.wire import parsers
from eucabox.wire.s3.multipart_form import parse_boundary
from eucabox.wire.sign import dates
from tests.wire.conftest import Box

LETTERS = "à Å Š ą \u0420 \u0445"
NAME = f'attachment; filename="voilà {LETTERS}.pdf"; x=voilà'
# Rooms whose text comes from clients; the others read what programs and operators say.
ROOMS = ("wire", "server", "store", "s3", "api.py", "ec2/instance_metadata.py", "bucket.py")
SPLITTERS = ("strip", "lstrip", "rstrip", "split", "rsplit")
LOOSE = ("splitlines", "isspace", "title", "casefold")


def _got(box: Box, key: str) -> str:
    return box.ask("GET", f"/box/{key}").headers["content-disposition"]


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_header_of_boto3_comes_back_whole(box: Box, version: str) -> None:
    s3 = box.client(signature_version=version)
    s3.put_object(Bucket="box", Key=version, Body=b"x", ContentDisposition=NAME)
    assert _got(box, version) == NAME


@pytest.mark.parametrize("letter", LETTERS.split())
def test_a_letter_at_the_end_of_a_signed_header_is_part_of_it(box: Box, letter: str) -> None:
    value = f"voil{letter}"
    headers = {"content-disposition": value, "x-amz-meta-a": value}
    assert box.ask("PUT", "/box/end", b"x", headers).status == 200
    assert box.ask("GET", "/box/end").headers["x-amz-meta-a"] == value
    assert _got(box, "end") == value


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_an_unsigned_header_of_a_presigned_put_comes_back_whole(box: Box, version: str) -> None:
    s3 = box.client(signature_version=version)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "box", "Key": "url"})
    headers = {"Content-Disposition": "voilà", "Content-Type": ""}
    target = url.removeprefix(f"http://127.0.0.1:{box.port}")
    assert box.send("PUT", target, b"x", headers).status == 200
    assert _got(box, "url") == "voilà"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_header_that_was_moved_into_an_address_comes_back_whole(box: Box, version: str) -> None:
    s3 = box.client(signature_version=version)
    members = {"Bucket": "box", "Key": "moved", "WebsiteRedirectLocation": "/voilà"}
    target = s3.generate_presigned_url("put_object", Params=members)
    target = target.removeprefix(f"http://127.0.0.1:{box.port}")
    name = "x-amz-website-redirect-location"
    sent = {} if f"{name}=" in target.lower() else {name: "/voilà"}
    reply = box.send("PUT", target, b"x", {**sent, "Content-Type": ""})
    assert reply.status == 200, reply.body
    assert box.ask("HEAD", "/box/moved").headers[name] == "/voilà"


def test_a_field_of_a_form_comes_back_whole(box: Box) -> None:
    form = box.client().generate_presigned_post(
        "box",
        "form",
        Fields={"Content-Disposition": "voilà", "x-amz-meta-a": "à"},
        Conditions=[{"Content-Disposition": "voilà"}, {"x-amz-meta-a": "à"}],
    )
    mark, parts = "----b", []
    for name, value in (*form["fields"].items(), ("file", "content")):
        file = '; filename="x"' if name == "file" else ""
        parts.append(
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}\r\n'
        )
    sent = ("".join(parts) + f"--{mark}--\r\n").encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    assert box.send("POST", "/box", sent, kind).status == 204
    assert _got(box, "form") == "voilà"
    assert box.ask("HEAD", "/box/form").headers["x-amz-meta-a"] == "à"


def test_tabs_and_runs_of_spaces_are_folded_as_clients_fold_them(box: Box) -> None:
    for value in ("a  b", "a\tb", "a \t b"):
        assert box.ask("PUT", "/box/runs", b"x", {"x-amz-meta-a": value}).status == 200


@pytest.mark.parametrize("text", ["a\xa0", "\x85a", "\u2003a\u3000", "a\x1c"])
def test_what_unicode_takes_for_a_blank_stays(text: str) -> None:
    assert blanks.strip(f" {text}\t") == text
    assert blanks.fold(f"a \t {text}") == f"a {text}"
    assert blanks.remove_blanks(f" {text} {text}") == text + text
    assert blanks.split_list(f"{text} , ,b") == [text, "b"]
    assert preconditions.unquote_etag(f' "{text}" ') == text


def test_only_letters_of_ascii_are_made_small() -> None:
    assert blanks.lower("\u212aEY \u00c0") == "\u212aey \u00c0"  # a Kelvin sign is no k
    assert blanks.upper("\u017fha256 \u00e0") == "\u017fHA256 \u00e0"  # a long s is no s


def test_a_boundary_may_have_any_byte_that_is_no_blank() -> None:
    assert parse_boundary("multipart/form-data; boundary=a\xa0\x85b c") == b"a\xa0\x85b"


@pytest.mark.parametrize("text", ["\xa0Mon, 23 Nov 2026 01:02:03 GMT", "\u0662\u0663 Nov 2026"])
def test_a_date_has_no_other_digits_and_blanks(text: str) -> None:
    assert dates.parse(text) is None
    with pytest.raises(ValueError):
        parsers._parse_rfc822(text)
    assert dates.parse("Mon, 23 Nov 2026 01:02:03 GMT") == datetime(
        2026, 11, 23, 1, 2, 3, tzinfo=UTC
    )


def test_many_digits_are_read_at_once() -> None:
    began = time.process_time()
    with pytest.raises(ValueError):
        parsers._parse_number("1" * 200_000 + "x")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("text", ["\u0661", "1_0", "nan", "inf", "\xa01", "0x1", ""])
def test_a_number_has_digits_of_ascii(text: str) -> None:
    with pytest.raises(ValueError):
        parsers._parse_number(text)
    with pytest.raises(ValueError):
        parsers._integer_parser("integer")(text)
    assert (parsers._parse_number(" -1.5e3 "), parsers._integer_parser("integer")(" +7 ")) == (
        -1500.0,
        7,
    )


# --- and so that it stays -----------------------------------------------------------------------


def _files() -> Iterator[Path]:
    for room in ROOMS:
        path = Path(eucabox.__file__).parent / room
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _loose(call: ast.Call) -> bool:
    """Whether a call leaves it to Unicode what a blank, a digit or a letter is."""
    if not isinstance(call.func, ast.Attribute):
        return False
    name, bare = call.func.attr, not call.args and not call.keywords
    if name == "compile" and isinstance(call.func.value, ast.Name) and call.func.value.id == "re":
        pattern = call.args[0]
        text: Any = pattern.value if isinstance(pattern, ast.Constant) else ""
        flags = ast.unparse(call)
        if isinstance(text, bytes):
            return False  # bytes know ASCII alone
        return "re.ASCII" not in flags and (
            bool(re.search(r"\\[swdbSWDB]", text)) or "IGNORECASE" in flags
        )
    return name in LOOSE or (bare and name in SPLITTERS)


@pytest.mark.not_fast
def test_no_text_of_a_client_is_cut_where_unicode_sees_a_blank() -> None:
    wrong = [
        f"{path.parent.name}/{path.name}:{call.lineno}: {ast.unparse(call)[:60]}"
        for path in _files()
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and _loose(call)
    ]
    allowed = {
        "server/listener.py", "server/request.py",  # titles of header names, which are ASCII
        "store/keyring.py", "store/journal.py",  # files of our own
    }  # fmt: skip
    assert [each for each in wrong if each.partition(":")[0] not in allowed] == []
