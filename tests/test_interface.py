"""The interface can be replaced: another door, JSON on a line, without eucabox.api and the wire."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eucabox import ids
from eucabox.iam.accounts import Accounts
from eucabox.state import State

DOOR = """
import importlib.abc, json, sys
from pathlib import Path

class Barred(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("flask", "werkzeug", "cheroot", "botocore", "boto3") or (
            name.startswith(("eucabox.api", "eucabox.wire", "eucabox.server", "eucabox.cli"))
        ):
            raise ImportError(f"{name} is barred")

sys.meta_path.insert(0, Barred())
from eucabox import actions, config
from eucabox.cloud import Cloud
from eucabox.errors import Fault

cloud = Cloud(config.load(Path(sys.argv[1])))
for line in sys.stdin:
    asked = json.loads(line)
    call = actions.Call(cloud, cloud.accounts.user(asked["user"]), "1")
    try:
        answer = actions.perform(asked["service"], asked["action"], call, asked["params"])
    except Fault as fault:
        answer = {"fault": fault.code, "message": fault.message}
    print(json.dumps(answer, default=str), flush=True)
cloud.close()
"""


def ask(service: str, action: str, **params: object) -> str:
    return json.dumps({"service": service, "action": action, "user": "admin", "params": params})


@pytest.mark.slow
def test_instances_run_through_another_door(
    accounts: Accounts, state: State, tmp_path: Path
) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n[network]\nown_bridge = eudoor0\n")
    row = {
        "account_id": accounts.user("admin").account_id, "name": "i", "image_location": "b/k",
        "architecture": "x86_64", "virtualization_type": "hvm", "state": "available",
        "image_type": "machine", "size": 2**20, "digest": "d", "created": ids.now(),
        "image_id": "emi-12345678", "root_device_name": "/dev/sda1",
    }  # fmt: skip
    state.insert("images", row)
    lines = [
        ask("ec2", "CreateKeyPair", key_name="k"),
        ask("ec2", "RunInstances", image_id="emi-12345678", min_count=1, max_count=1,
            key_name="k", instance_type="m1.tiny"),
        ask("ec2", "DescribeInstances"),
        ask("ec2", "DescribeVolumes"),
        ask("sts", "GetCallerIdentity"),
        ask("s3", "CreateBucket", bucket="plain-arguments"),
        ask("ec2", "DescribeNothing"),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DOOR, str(file)],
        input="\n".join(lines), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    key, run, described, volumes, who, _, nothing = map(json.loads, done.stdout.splitlines())
    assert "PRIVATE KEY" in key["key_material"]
    instance_id = run["instances"][0]["instance_id"]
    assert described["reservations"][0]["instances"][0]["instance_id"] == instance_id
    assert volumes["fault"] == "UnsupportedOperation"
    assert who["account"] == row["account_id"]
    assert nothing["fault"] == "InvalidAction"
