"""What the tests of S3's clients share: data, odd keys, and how a client is run."""

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.live.process import Running

TOOLS = Path(sys.executable).parent
DATA = bytes(range(256)) * 4096  # 1 MiB
LARGE = secrets.token_bytes(1 << 20) * 11 + b"tail"
ODD_KEYS = [
    "a",
    "a/b",
    "dir/",
    "dir/x",
    "sl//y",
    "/lead",
    "../up",
    "./dot",
    "é ü+&%20?#~()",
    "plus+and space",
    "s" * 255,
    "s" * 256,
    "k" * 1024,
    "p" * 200 + "/" + "q" * 200,
    "nl\ny",
    "%2F/%2f",
    "quote'\"<>&;",
    *(".", "..", "a/.", "a/..", "a//b", "a///", "//", "/a/", "../../etc/passwd", "a/../../b"),
    *(".eucabox", ".eucabox/x", ".eucabox/index.db", ".eucabox/objects/00/x", "x/.eucabox/y"),
    *(" ", " lead", "trail ", "a\\b", "~", "-", "?", "*", "#", "%", "%%", "+", ";", "=", "a&b=c"),
    *("\t", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\ufffd"),
    *("\U00010000", "\U0001f600", "\U0002fa1d", "\U000e0001", "\U000f0000", "\U0010fffd"),
    *("\u00e9", "e\u0301", "\u202ertl", "a" * 1022 + "\u00e9", "/".join(["d"] * 512)),
]


def a_name() -> str:
    return f"b-{secrets.token_hex(6)}"


def create_bucket(cloud: Running) -> str:
    name = a_name()
    client = cloud.client("s3")
    client.create_bucket(Bucket=name)
    client.close()
    return name


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def environment(cloud: Running, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "HOME": str(cloud.folder),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONWARNINGS": "ignore",
        **more,
    }


def run(cloud: Running, *argv: str, **more: str) -> str:
    done = subprocess.run(
        argv,
        check=False,
        timeout=30,
        env=environment(cloud, **more),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def exchange(cloud: Running, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=20) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(1 << 16), b""))
