"""What policies cost: the same requests by a root, who needs none, and by a user with some.

They come in turn. First CPU time from the parsed request to its answer, signature included, in this
process; then that of a whole process of eucabox whose requests come over HTTP, on one connection.
"""

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.journeys import SETTINGS, add_image
from bench.process import read_cpu
from eucabox import api, ids
from eucabox import config as configuration
from eucabox.actions import Call, perform
from eucabox.cloud import Cloud
from eucabox.wire import model
from tests.live.process import Running, running

ROUNDS, ROWS = 500, 1000
AT_ONCE = 20  # requests by HTTP whose CPU time is read together
HOST = "127.0.0.1:8773"
LAUNCH = (
    "Action=RunInstances&Version=2016-11-15&ImageId=emi-12345678&MinCount=1&MaxCount=1"
    "&InstanceType=m1.tiny&DryRun=true"
)
OWN = {"StringEquals": {"aws:ResourceTag/owner": "${aws:username}"}}
NEAR = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}


def allow(actions: list[str], resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


POLICIES = {
    "ec2": [
        allow(["ec2:RunInstances", "ec2:Describe*"], Condition=NEAR),
        allow(["ec2:StopInstances", "ec2:TerminateInstances"], Condition=OWN),
    ],
    "s3": [
        allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::box/*", Condition=NEAR),
        allow(["s3:ListBucket"], "arn:aws:s3:::box"),
    ],
    "no": [{**allow(["s3:DeleteBucket", "iam:*"]), "Effect": "Deny"}],
}


def add_user(cloud: Cloud, account_id: str) -> Credentials:
    """A user with three policies and a key."""
    caller = cloud.accounts.user("admin")

    def do(name: str, **params: Any) -> Any:
        return perform("iam", name, Call(cloud, caller, "r"), params)

    do("CreateUser", user_name="eve")
    for name, statements in POLICIES.items():
        text = json.dumps({"Version": "2012-10-17", "Statement": statements})
        do("PutUserPolicy", user_name="eve", policy_name=name, policy_document=text)
    key = do("CreateAccessKey", user_name="eve")["access_key"]
    return Credentials(key["access_key_id"], key["secret_access_key"])


def fill(cloud: Cloud, account_id: str) -> None:
    """Write rows of instances with tags."""
    now = ids.now()
    reservation = {"reservation_id": ids.new("r"), "account_id": account_id, "created": now}
    cloud.state.insert("reservations", reservation)
    rows = [
        {
            "instance_id": ids.new("i"), "reservation_id": reservation["reservation_id"],
            "account_id": account_id, "ami_launch_index": number, "image_id": "emi-12345678",
            "instance_type": "m1.tiny", "state": "terminated", "state_code": 48,
            "launch_time": now, "state_time": now, "terminated_time": now,
            "availability_zone": "eucabox-1a", "architecture": "x86_64",
            "virtualization_type": "hvm", "vcpus": 1, "memory_mb": 128, "disk_gb": 1,
            "domain_uuid": ids.domain_uuid(),
        }
        for number in range(ROWS)
    ]  # fmt: skip
    tags = [
        {
            "resource_id": row["instance_id"], "account_id": account_id,
            "resource_type": "instance", "key": "owner", "value": "eve",
        }
        for row in rows
    ]  # fmt: skip
    with cloud.state.transaction() as database:
        database.table("instances").insert_all(rows)
        database.table("tags").insert_all(tags)


def sign(
    keys: Credentials, host: str, service: str, method: str, path: str, form: str
) -> AWSRequest:
    """Return a signed request."""
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    if form:
        headers = {"content-type": "application/x-www-form-urlencoded"}
    url = f"http://{host}{path}"
    sent = AWSRequest(method=method, url=url, headers=headers, data=form.encode())
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, "eucabox").add_auth(sent)
    return sent


class Door:
    """Hands signed requests to the API as its listener does."""

    def __init__(self, cloud: Cloud) -> None:
        self._api = api.ApiDispatcher(cloud, api._choose_for_clients)

    def time(self, keys: Credentials, service: str, method: str, path: str, form: str) -> float:
        """Return the CPU seconds of one request."""
        sent, body = sign(keys, HOST, service, method, path, form), form.encode()
        lower = {name.lower(): value for name, value in sent.headers.items()}
        lower |= {"host": HOST, "content-length": str(len(body))}
        request = self._api.build_request(method, path, lower, _Body(body), None, "127.0.0.1")
        began = time.thread_time()
        answer = self._api.handle(request)
        spent = time.thread_time() - began
        if answer.file is not None:
            answer.file.file.close()
        assert answer.status == (412 if form == LAUNCH else 200), answer.body
        return spent


class HttpDoor:
    """Sends signed requests to a process of eucabox, on one connection."""

    def __init__(self, cloud: Running) -> None:
        assert cloud.process is not None
        self._pid, self._host = cloud.process.pid, f"127.0.0.1:{cloud.port}"
        self._client = http.client.HTTPConnection(self._host, timeout=60)

    def time(self, keys: Credentials, service: str, method: str, path: str, form: str) -> float:
        """Return the CPU seconds that the process spends on a request, the mean of some."""
        sent, body = sign(keys, self._host, service, method, path, form), form.encode()
        headers = {name: str(value) for name, value in sent.headers.items()}
        began = read_cpu(self._pid)
        for _ in range(AT_ONCE):
            self._client.request(method, path, body or None, headers)
            answer = self._client.getresponse()
            answer.read()
            assert answer.status == (412 if form == LAUNCH else 200), answer.status
        return (read_cpu(self._pid) - began) / AT_ONCE


class _Body:
    """The body of a request that is whole."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        piece = self._content if size < 0 else self._content[:size]
        self._content = self._content[len(piece) :]
        return piece


GET, RUN = "GetObject 4 KiB", "RunInstances"
REQUESTS = {
    GET: ("s3", "GET", "/box/k", ""),
    RUN: ("ec2", "POST", "/", LAUNCH),
    f"DescribeInstances {ROWS}": (
        "ec2", "POST", "/", "Action=DescribeInstances&Version=2016-11-15",
    ),
}  # fmt: skip


def prepare(cloud: Cloud) -> tuple[Credentials, Credentials]:
    """Fill a cloud with what the requests are about; the keys of its root and of a user."""
    root = cloud.accounts.user_credentials(cloud.accounts.user("admin"))
    account_id = root.caller.account_id
    keys = Credentials(root.caller.access_key_id, root.secret), add_user(cloud, account_id)
    add_image(cloud)
    fill(cloud, account_id)
    call = Call(cloud, root.caller, "r")
    perform("s3", "CreateBucket", call, {"bucket": "box"})
    perform("s3", "PutObject", call, {"bucket": "box", "key": "k", "body": b"x" * 4096})
    return keys


def compare(
    door: Door | HttpDoor, keys: tuple[Credentials, Credentials], name: str, rounds: int
) -> None:
    """Print what one request costs for both."""
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * rounds):
        for who in (0, 1) if number % 2 else (1, 0):  # neither is always the first
            spent[who].append(door.time(keys[who], *REQUESTS[name]))
    # the quickest twentieth: what others do on the host only adds time
    without, with_some = (statistics.quantiles(each, n=20)[0] * 1e6 for each in spent)
    share = with_some / without
    print(f"{name:24} {without:9.0f} us {with_some:9.0f} us   {100 * (share - 1):+5.1f} %")


def measure(folder: Path) -> None:
    """In this process."""
    file = folder / "eucabox.conf"
    file.write_text(SETTINGS.format(folder=folder / "data", port=8773))
    cloud = Cloud(configuration.load(file))
    model.load()
    keys, door = prepare(cloud), Door(cloud)
    for name, rounds in zip(REQUESTS, (ROUNDS, ROUNDS // 4, 12), strict=True):
        compare(door, keys, name, rounds)
    cloud.close()


def measure_by_http() -> None:
    """In a process of its own."""
    with running("[node]\nvirt_type = qemu\n") as process:
        process.stop()  # its data directory is for one alone
        cloud = Cloud(configuration.load(process.config_file))
        keys = prepare(cloud)
        cloud.close()
        process.start()
        door = HttpDoor(process)
        for name, rounds in ((GET, ROUNDS // 2), (RUN, ROUNDS // 10)):
            compare(door, keys, name, rounds)


def main() -> None:
    print("                              a root       a user")
    with tempfile.TemporaryDirectory(prefix="policies.") as folder:
        measure(Path(folder))
    print("by HTTP")
    measure_by_http()


if __name__ == "__main__":
    main()
