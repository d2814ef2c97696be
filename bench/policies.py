"""What policies cost: the same requests by a root, who needs none, and by a user with some, in turn
and in one process; CPU time from the parsed request to its answer, signature included."""

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
from eucabox import api, ids
from eucabox import config as configuration
from eucabox.actions import Call, perform
from eucabox.cloud import Cloud
from eucabox.wire.protocols import load_models

ROUNDS, ROWS = 500, 1000
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


class Door:
    """Hands signed requests to the API as its listener does."""

    def __init__(self, cloud: Cloud) -> None:
        self._api = api.ApiDispatcher(cloud, api._choose_for_clients)

    def time(self, keys: Credentials, service: str, method: str, path: str, form: str) -> float:
        """Return the CPU seconds of one request."""
        body, headers = form.encode(), {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        if form:
            headers = {"content-type": "application/x-www-form-urlencoded"}
        sent = AWSRequest(method=method, url=f"http://{HOST}{path}", headers=headers, data=body)
        (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, "eucabox").add_auth(sent)
        lower = {name.lower(): value for name, value in sent.headers.items()}
        lower |= {"host": HOST, "content-length": str(len(body))}
        request = self._api.build_request(method, path, lower, _Body(body), None, "127.0.0.1")
        began = time.thread_time()
        answer = self._api.handle(request)
        spent = time.thread_time() - began
        if answer.file is not None:
            answer.file.file.close()
        assert answer.status in (200, 412), answer.body
        return spent


class _Body:
    """The body of a request that is whole."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        piece = self._content if size < 0 else self._content[:size]
        self._content = self._content[len(piece) :]
        return piece


REQUESTS = {
    "GetObject 4 KiB": ("s3", "GET", "/box/k", "", ROUNDS),
    "RunInstances": ("ec2", "POST", "/", LAUNCH, ROUNDS // 4),
    f"DescribeInstances {ROWS}": (
        "ec2", "POST", "/", "Action=DescribeInstances&Version=2016-11-15", 12,
    ),
}  # fmt: skip


def measure(folder: Path) -> None:
    file = folder / "eucabox.conf"
    file.write_text(SETTINGS.format(folder=folder / "data", port=8773))
    cloud = Cloud(configuration.load(file))
    load_models()
    root = cloud.accounts.user_credentials(cloud.accounts.user("admin"))
    account_id = root.caller.account_id
    keys = Credentials(root.caller.access_key_id, root.secret), add_user(cloud, account_id)
    add_image(cloud)
    fill(cloud, account_id)
    call = Call(cloud, root.caller, "r")
    perform("s3", "CreateBucket", call, {"bucket": "box"})
    perform("s3", "PutObject", call, {"bucket": "box", "key": "k", "body": b"x" * 4096})
    door = Door(cloud)
    for name, (service, method, path, form, rounds) in REQUESTS.items():
        spent: tuple[list[float], list[float]] = ([], [])
        for number in range(2 * rounds):
            for who in (0, 1) if number % 2 else (1, 0):  # neither is always the first
                spent[who].append(door.time(keys[who], service, method, path, form))
        # the quickest twentieth: what others do on the host only adds time
        without, with_some = (statistics.quantiles(each, n=20)[0] * 1e6 for each in spent)
        share = with_some / without
        print(f"{name:24} {without:9.0f} us {with_some:9.0f} us   {100 * (share - 1):+5.1f} %")
    cloud.close()


def main() -> None:
    print("                              a root       a user")
    with tempfile.TemporaryDirectory(prefix="policies.") as folder:
        measure(Path(folder))


if __name__ == "__main__":
    main()
