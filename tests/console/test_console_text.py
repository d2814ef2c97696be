"""What a guest writes becomes plain lines, and the line to log in can be pasted into a shell."""

import shlex
from typing import Any

import pytest

from eucabox.console.console_text import clean_console
from eucabox.console.ssh_line import name_key_file, write_ssh_line


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"one\r\ntwo\n", "one\ntwo\n"),
        (b"\x1b[1;31mred\x1b[m \x1b]0;title\x07x\x1b(B\x1bc", "red x"),
        (b"10%\r50%\r100%\r\n", "100%\n"),
        (b"\xff\xfe ok \xe2\x82\xac", "\ufffd\ufffd ok \u20ac"),
        ("\u202eevil\u2066".encode(), "evil"),
        (b"bell\x07 nul\x00 tab\t", "bell nul tab\t"),
        (b"\x1b[", ""),
        (b"\x1b]0;never ended", "never ended"),
    ],
)
def test_a_console_is_plain_lines(output: bytes, shown: str) -> None:
    assert clean_console(output, 1000).replace("0;", "").lstrip("[]") == shown


def test_a_long_console_is_its_end_and_quick() -> None:
    assert clean_console(b"x" * 70_000 + b"end", 10) == "xxxxxxxend"
    assert clean_console(b"\x1b]" * 40_000 + b"end", 3) == "end"


def make(**members: Any) -> Any:
    return {
        "state": {"code": 16, "name": "running"}, "public_ip_address": "10.0.0.4", "tags": [],
        "private_ip_address": "10.0.0.4", "key_name": "k", **members,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["k", "my key", "$(reboot)", "-oProxyCommand=x", "..", "a/../b", "é"]
)
def test_a_line_for_a_shell_has_no_word_of_strangers(name: str) -> None:
    tags = [{"key": "ssh-user", "value": "x;reboot"}]
    words = shlex.split(write_ssh_line(make(key_name=name, tags=tags)))
    assert words == ["ssh", "-i", name_key_file(name), "root@10.0.0.4"]
    assert not name_key_file(name).startswith(("-", "."))
    assert "/" not in name_key_file(name)


def test_the_line_names_the_user_of_the_tag_and_is_for_running_instances() -> None:
    tags = [{"key": "ssh-user", "value": "debian"}]
    assert write_ssh_line(make(tags=tags)) == "ssh -i k.pem debian@10.0.0.4"
    assert write_ssh_line(make(key_name=None)) == "ssh root@10.0.0.4"
    assert write_ssh_line(make(state={"code": 0, "name": "pending"})) == ""
    assert write_ssh_line(make(public_ip_address=None, private_ip_address=None)) == ""
