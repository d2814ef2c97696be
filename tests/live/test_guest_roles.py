"""A guest reads the credentials of its role and reaches the API at its bridge with nothing else."""

import contextlib
import json
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running
from tests.live.roles import (
    ALLOWED,
    OTHER,
    PUBLIC,
    ROLE,
    copy_client,
    make_buckets,
    make_role,
    refuse,
)

METADATA = "http://169.254.169.254/latest/meta-data"


@dataclass
class Guest:
    """The one instance, and what it says over SSH."""

    instance_id: str
    address: str
    key: Path

    def says(self, command: str) -> str:
        return guests.said_over_ssh(self.address, self.key, command).strip()

    def read(self, path: str) -> str:
        return self.says(f"wget -q -O - {shlex.quote(f'{METADATA}/{path}')}")

    @contextlib.contextmanager
    def forward(self, endpoint: str) -> Iterator[str]:
        """Carry connections of this host into the guest, which makes them to its endpoint."""
        host, _, port = endpoint.removeprefix("http://").partition(":")
        inside = ["ssh", "-i", str(self.key), *guests.OPTIONS, f"root@{self.address}"]
        with socket.create_server(("127.0.0.1", 0)) as server:

            def carry() -> None:
                while True:
                    try:
                        accepted, _ = server.accept()
                    except OSError:
                        return
                    with accepted:
                        subprocess.Popen([*inside, f"nc {host} {port}"], stdin=accepted.fileno(),
                                         stdout=accepted.fileno()).wait()  # fmt: skip

            thread = threading.Thread(target=carry, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
            server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture(scope="module")
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2")
    yield client
    client.close()


@pytest.fixture(scope="module")
def guest(cloud: Running, ec2: Any, tiny_guest: TinyGuest) -> Guest:
    make_role(cloud)
    make_buckets(cloud)
    image_id = guests.install(cloud, tiny_guest)
    key = guests.key_pair(ec2, cloud.folder, "roles")
    row = guests.run(
        ec2,
        image_id,
        KeyName=key.stem,
        IamInstanceProfile={"Name": ROLE},
        UserData="#!/bin/sh\necho user data has $AWS_ENDPOINT_URL\n",
    )
    assert row["IamInstanceProfile"]["Arn"].endswith(f":instance-profile/{ROLE}")
    return Guest(row["InstanceId"], row["PrivateIpAddress"], key)


@pytest.fixture(scope="module")
def endpoint(guest: Guest) -> str:
    return guest.read("services/endpoint")


def test_the_guest_has_the_address_of_the_api_in_its_environment(
    cloud: Running, ec2: Any, guest: Guest, endpoint: str
) -> None:
    gateway = guest.says("ip route | awk '$1 == \"default\" { print $3 }'")
    assert endpoint == f"http://{gateway}:{cloud.port}"
    shell = "sh -l -c 'echo $AWS_ENDPOINT_URL $AWS_DEFAULT_REGION'"
    assert guest.says(shell) == f"{endpoint} {guest.read('placement/region')}"
    guests.booted(ec2, guest.instance_id)
    wanted = f"user data has {endpoint}"
    guests.until(lambda: wanted in guests.console(ec2, guest.instance_id), "user data")


def test_the_door_opens_for_what_is_public_and_for_nothing_else_unsigned(
    guest: Guest, endpoint: str
) -> None:
    assert guest.says(f"wget -q -O - {endpoint}/{PUBLIC}/hello") == "hello"
    assert "403" in guest.says(f"wget -O - {endpoint}/{ALLOWED} 2>&1 || true")
    ports = " ".join(str(port) for port in (22, 53, 80, 111, 8775))
    probe = f"for port in {ports}; do timeout 2 nc -z {endpoint[7:].partition(':')[0]} $port"
    assert guest.says(f"{probe} && echo $port; done; echo end").split()[-1] == "end"


def test_its_role_lists_a_bucket_and_not_another_from_within(
    cloud: Running, guest: Guest, endpoint: str
) -> None:
    assert guest.read("iam/security-credentials/") == ROLE
    keys = json.loads(guest.read(f"iam/security-credentials/{ROLE}"))
    assert keys["Code"] == "Success"
    assert json.loads(guest.read("iam/info"))["InstanceProfileArn"].endswith(f"/{ROLE}")
    with guest.forward(endpoint) as forwarded:
        who = copy_client("sts", keys, forwarded).get_caller_identity()["Arn"]
        assert who.endswith(f":assumed-role/{ROLE}/{guest.instance_id}")
        s3 = copy_client("s3", keys, forwarded)
        assert [row["Key"] for row in s3.list_objects_v2(Bucket=ALLOWED)["Contents"]] == ["mine"]
        assert refuse(s3.list_objects_v2, Bucket=OTHER) == "AccessDenied"
        ec2 = copy_client("ec2", keys, forwarded)
        assert refuse(ec2.describe_instances) == "UnauthorizedOperation"


def test_the_keys_are_void_as_the_instance_ends(cloud: Running, ec2: Any, guest: Guest) -> None:
    keys = json.loads(guest.read(f"iam/security-credentials/{ROLE}"))
    s3 = copy_client("s3", keys, cloud.endpoint)
    s3.list_objects_v2(Bucket=ALLOWED)
    ec2.terminate_instances(InstanceIds=[guest.instance_id])
    assert refuse(s3.list_objects_v2, Bucket=ALLOWED) == "InvalidAccessKeyId"
    assert refuse(copy_client("sts", keys, cloud.endpoint).get_caller_identity) == (
        "InvalidClientTokenId"
    )
    guests.wait_for(ec2, guest.instance_id, "terminated")
    assert refuse(s3.list_objects_v2, Bucket=ALLOWED) == "InvalidAccessKeyId"
