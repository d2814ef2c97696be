"""The mixed load: threads that each do their kind of work at a pace, on a bounded set of things."""

import contextlib
import http.client
import json
import random
import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from tests.live import guests
from tests.live.process import Running

BUCKETS = ("long-run-a", "long-run-b")
KEYS = 150
PASSWORD = "a long enough password"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}],
}
# The guest reads its metadata until it ends.
USER_DATA = """#!/bin/sh
(while sleep 1; do
  for each in instance-id public-keys/ placement/availability-zone nowhere; do
    wget -q -O /dev/null http://169.254.169.254/latest/meta-data/$each
  done
  wget -q -O /dev/null http://169.254.169.254/latest/user-data
done) </dev/null >/dev/null 2>&1 &
"""
TERMINATED_KEPT = 120  # seconds, so that the number of rows settles soon


class Tally:
    """What was done, and what went wrong, by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def problem(self, text: str) -> None:
        with self._lock:
            self.problems.append(text)


class Worker(threading.Thread, ABC):
    """Takes steps at a pace until it is told to stop; a step that fails is a problem."""

    pace = 1.0  # steps a second

    def __init__(self, cloud: Running, tally: Tally, seed: str) -> None:
        super().__init__(name=type(self).__name__)
        self.cloud, self.tally = cloud, tally
        self.chance = random.Random(seed)
        self.over = threading.Event()

    def client(self, service: str) -> Any:
        return self.cloud.client(service, read_timeout=30)

    def run(self) -> None:
        while not self.over.wait(self.chance.expovariate(self.pace)):
            step = self.chance.choice(self.steps())
            name = f"{self.name} {getattr(step, '__name__', 'step').strip('_')}"
            began = time.monotonic()
            try:
                step()
            except (ClientError, BotoCoreError, OSError, AssertionError) as error:
                self.tally.problem(f"{name}: {error!r}"[:1000])
            self.tally.count(name)
            if time.monotonic() - began > 20 and not isinstance(self, Guests):
                self.tally.problem(f"{name} took {time.monotonic() - began:.0f} s")

    @abstractmethod
    def steps(self) -> list[Callable[[], object]]:
        """What it may do next."""


class Objects(Worker):
    """Puts, reads, lists and deletes objects; a key that is not there is no problem."""

    pace = 14.0

    def __init__(self, cloud: Running, tally: Tally, seed: str) -> None:
        super().__init__(cloud, tally, seed)
        self.s3 = self.client("s3")

    def steps(self) -> list[Callable[[], object]]:
        return [
            *([self.put] * 4), *([self.get] * 6), self.head, self.delete, self.list, self.copy,
            self.tag, self.upload, self.abort,
        ]  # fmt: skip

    def place(self) -> dict[str, Any]:
        number = self.chance.randrange(KEYS)
        return {"Bucket": self.chance.choice(BUCKETS), "Key": f"folder-{number % 7}/{number}"}

    def put(self) -> None:
        size = self.chance.choice([0, 10, 1000, 20_000, 100_000])
        metadata = {"number": str(size)}
        self.s3.put_object(**self.place(), Body=self.chance.randbytes(size), Metadata=metadata)

    def get(self) -> None:
        with may_be_gone():
            self.s3.get_object(**self.place())["Body"].read()

    def head(self) -> None:
        with may_be_gone():
            self.s3.head_object(**self.place())

    def delete(self) -> None:
        self.s3.delete_object(**self.place())

    def list(self) -> None:
        prefix = f"folder-{self.chance.randrange(7)}/"
        self.s3.list_objects_v2(Bucket=self.chance.choice(BUCKETS), Prefix=prefix, Delimiter="/")

    def copy(self) -> None:
        place = source = self.place()
        while source == place:  # which S3 refuses
            source = self.place()
        with may_be_gone():
            self.s3.copy_object(**place, CopySource=source)

    def tag(self) -> None:
        tags = [{"Key": "number", "Value": str(self.chance.randrange(9))}]
        with may_be_gone():
            self.s3.put_object_tagging(**self.place(), Tagging={"TagSet": tags})

    def _begin(self) -> tuple[dict[str, Any], str]:
        place = self.place()
        upload = self.s3.create_multipart_upload(**place)["UploadId"]
        part = {"UploadId": upload, "PartNumber": 1, "Body": self.chance.randbytes(9000)}
        return {**place, "UploadId": upload}, self.s3.upload_part(**place, **part)["ETag"]

    def upload(self) -> None:
        upload, tag = self._begin()
        parts = [{"PartNumber": 1, "ETag": tag}]
        self.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def abort(self) -> None:
        upload, _ = self._begin()
        self.s3.abort_multipart_upload(**upload)


@contextlib.contextmanager
def may_be_gone() -> Any:
    try:
        yield
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            raise


class Compute(Worker):
    """Describes, tags, makes and deletes key pairs and security groups."""

    pace = 6.0

    def __init__(self, cloud: Running, tally: Tally, seed: str) -> None:
        super().__init__(cloud, tally, seed)
        self.ec2 = self.client("ec2")

    def steps(self) -> list[Callable[[], object]]:
        ec2 = self.ec2
        return [
            ec2.describe_instances, ec2.describe_images, ec2.describe_security_groups,
            ec2.describe_key_pairs, ec2.describe_availability_zones, ec2.describe_instance_types,
            ec2.describe_tags, ec2.describe_instance_status, self.key, self.group, self.tag,
        ]  # fmt: skip

    def fresh(self) -> str:
        return f"long-run-{self.chance.randrange(10**9)}"

    def key(self) -> None:
        name = self.fresh()
        self.ec2.create_key_pair(KeyName=name, KeyType="ed25519")
        self.ec2.delete_key_pair(KeyName=name)

    def group(self) -> None:
        name = self.fresh()
        group = self.ec2.create_security_group(GroupName=name, Description="of the long run")
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
        rules = [{**rule, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=rules)
        self.ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=rules)
        self.ec2.delete_security_group(GroupId=group["GroupId"])

    def tag(self) -> None:
        name = self.fresh()
        key = self.ec2.create_key_pair(KeyName=name, KeyType="ed25519")["KeyPairId"]
        tags = [{"Key": "long", "Value": "run"}, {"Key": "Name", "Value": name}]
        self.ec2.create_tags(Resources=[key], Tags=tags)
        self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [key]}])
        self.ec2.delete_tags(Resources=[key], Tags=tags[:1])
        self.ec2.delete_key_pair(KeyName=name)


class People(Worker):
    """Makes and deletes users, keys, policies and groups; now and then a session of a role."""

    pace = 1.5
    SESSIONS = 0.05  # of all steps: each lives for a quarter of an hour

    def __init__(self, cloud: Running, tally: Tally, seed: str) -> None:
        super().__init__(cloud, tally, seed)
        self.iam, self.sts = self.client("iam"), self.client("sts")
        self.role = self.iam.create_role(
            RoleName="long-run", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]

    def steps(self) -> list[Callable[[], object]]:
        iam, sts = self.iam, self.sts
        rare = [self.session] if self.chance.random() < self.SESSIONS else []
        return [
            self.user, self.group, iam.list_users, iam.list_roles, iam.get_account_summary,
            sts.get_caller_identity, *rare * 7,
        ]  # fmt: skip

    def user(self) -> None:
        name = f"long-run-{self.chance.randrange(10**9)}"
        policy = {"UserName": name, "PolicyName": "read"}
        self.iam.create_user(UserName=name)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        self.iam.put_user_policy(**policy, PolicyDocument=POLICY)
        self.iam.get_user_policy(**policy)
        self.iam.delete_user_policy(**policy)
        self.iam.delete_access_key(UserName=name, AccessKeyId=key)
        self.iam.delete_user(UserName=name)

    def group(self) -> None:
        name = f"long-run-{self.chance.randrange(10**9)}"
        self.iam.create_group(GroupName=name)
        self.iam.list_groups()
        self.iam.delete_group(GroupName=name)

    def session(self) -> None:
        self.sts.assume_role(RoleArn=self.role, RoleSessionName="long-run", DurationSeconds=900)


class Pages(Worker):
    """A browser's requests to the console, signed in, and anew each few minutes."""

    pace = 2.0
    ANEW = 300  # seconds
    PATHS = (
        "/", "/instances", "/instances/list", "/images", "/groups", "/key-pairs", "/buckets",
        "/users", "/users/list", "/roles", "/log", "/sessions", "/security-groups", "/home/health",
    )  # fmt: skip

    def __init__(self, cloud: Running, tally: Tally, seed: str) -> None:
        super().__init__(cloud, tally, seed)
        self.cookies: dict[str, str] = {}
        code = (cloud.data / "first-run-code").read_text().strip()
        _, page = self.ask("GET", "/first-run")
        self.send("/first-run", page, code=code, password=PASSWORD, again=PASSWORD)
        self.signed_in = time.monotonic()
        self.page = ""

    def steps(self) -> list[Callable[[], object]]:
        return [self.show]

    def show(self) -> None:
        if time.monotonic() - self.signed_in > self.ANEW:
            self.sign_in_again()
        path = self.chance.choice(self.PATHS)
        status, self.page = self.ask("GET", path)
        assert status in (200, 404), f"{path} answers {status}"

    def sign_in_again(self) -> None:
        _, page = self.ask("GET", "/users")
        self.send("/sign-out", page)
        self.cookies.clear()
        _, page = self.ask("GET", "/sign-in")
        self.send("/sign-in", page, user="admin", password=PASSWORD, account="")
        self.signed_in = time.monotonic()
        self.tally.count("Pages signed in")

    def send(self, path: str, page: str, **fields: str) -> None:
        token = re.search(r'name="?csrf"? value="?([^" >]+)', page)
        assert token, f"no token for {path} in {page[:300]}"
        status, answer = self.ask("POST", path, urlencode({**fields, "csrf": token[1]}))
        assert status == 303, f"{path} answers {status} {answer[:300]}"

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        headers = {"Host": self.cloud.console.removeprefix("http://")}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = self.cloud.console
        client = http.client.HTTPConnection("127.0.0.1", self.cloud.console_port, timeout=30)
        with contextlib.closing(client):
            client.request(method, path, body, headers)
            answer = client.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, answer.read().decode()


RAW = (
    b"", b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"PUT /long-run-a/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it",
    b"PUT /long-run-a/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    b"GET /long-run-a/none HTTP/1.1\r\nHost: x\r\nAuthorization: AWS x:y\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nAction=DescribeInstances&x=yyy",
    b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)  # fmt: skip


class Strangers(Worker):
    """Bad requests and connections that end in the middle, at every listener."""

    pace = 6.0

    def steps(self) -> list[Callable[[], object]]:
        return [self.leave, self.wait_for_answer]

    def _connect(self) -> socket.socket:
        ports = (self.cloud.port, self.cloud.https_port, self.cloud.console_port)
        return socket.create_connection(("127.0.0.1", self.chance.choice(ports)), 10)

    def leave(self) -> None:
        with self._connect() as line:
            line.sendall(self.chance.choice(RAW))

    def wait_for_answer(self) -> None:
        with self._connect() as line, contextlib.suppress(OSError):
            line.sendall(self.chance.choice(RAW))
            line.shutdown(socket.SHUT_WR)
            line.settimeout(40)
            while line.recv(65536):
                pass


class Guests(Worker):
    """Every few minutes a guest that boots, reads its metadata, and is terminated."""

    EVERY, RUNS = 240.0, 100.0  # seconds
    pace = 1 / 5

    def __init__(self, cloud: Running, tally: Tally, seed: str, image_id: str) -> None:
        super().__init__(cloud, tally, seed)
        self.ec2, self.image_id, self.next = self.client("ec2"), image_id, time.monotonic()

    def steps(self) -> list[Callable[[], object]]:
        return [self.launch if time.monotonic() >= self.next else self.look]

    def look(self) -> None:
        self.ec2.describe_instances()

    def launch(self) -> None:
        self.next = time.monotonic() + self.EVERY
        made = guests.run(self.ec2, self.image_id, UserData=USER_DATA)
        self.over.wait(self.RUNS)
        is_early = self.over.is_set()  # before the guest can have said anything
        assert is_early or guests.console(self.ec2, made["InstanceId"]), "no word on the console"
        self.ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
        guests.wait_for(self.ec2, made["InstanceId"], "terminated")
