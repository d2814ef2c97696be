"""Ansible's modules of amazon.aws against the real process and a real guest."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running

ANSIBLE = Path(sys.executable).parent.parent / "ansible" / "bin" / "ansible-playbook"
PLAYBOOK = Path(__file__).with_name("ansible.yml")
BUCKETS = Path(__file__).with_name("ansible_s3.yml")
PEOPLE = Path(__file__).with_name("ansible_iam.yml")
MADE = 3  # the key, the group and the instance


def changed(cloud: Running, key: Path, tag: str) -> int:
    """Play the tasks of a tag; return how many of them say that they changed something."""
    assert ANSIBLE.exists(), f"no {ANSIBLE}: make test makes it with setup/ansible.sh"
    given = json.dumps({"public_key": key.with_suffix(".pub").read_text().strip()})
    return played(cloud, PLAYBOOK, key.parent, "--tags", tag, "--extra-vars", given)


def played(cloud: Running, playbook: Path, home: Path, *options: str) -> int:
    """Play a playbook; return how many of its tasks say that they changed something."""
    done = subprocess.run(
        [ANSIBLE, *options, playbook],
        capture_output=True, text=True, check=False, timeout=guests.PATIENCE, cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_ACCESS_KEY": cloud.access_key,
            "AWS_SECRET_KEY": cloud.secret_key,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    recap = re.search(r"^localhost .*\bchanged=(\d+)", done.stdout, re.MULTILINE)
    assert recap, done.stdout
    return int(recap[1])


def test_a_playbook_makes_changes_nothing_again_and_takes_away(
    cloud: Running, tiny_guest: TinyGuest, tmp_path: Path
) -> None:
    image_id = guests.install(cloud, tiny_guest)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    ec2 = cloud.client("ec2")

    assert changed(cloud, key, "made") == MADE
    (instance,) = (each for row in ec2.describe_instances()["Reservations"]
                   for each in row["Instances"])  # fmt: skip
    assert (instance["State"]["Name"], instance["ImageId"]) == ("running", image_id)
    assert changed(cloud, key, "made") == 0
    assert guests.said_over_ssh(instance["PrivateIpAddress"], key, "echo in") == "in\n"

    assert changed(cloud, key, "gone") == MADE
    assert guests.describe(ec2, instance["InstanceId"])["State"]["Name"] == "terminated"
    assert not ec2.describe_key_pairs()["KeyPairs"]
    groups = ec2.describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    assert changed(cloud, key, "gone") == 0
    ec2.close()


def test_a_bucket_with_all_its_settings(cloud: Running, tmp_path: Path) -> None:
    assert played(cloud, BUCKETS, tmp_path, "--tags", "made") == 2  # the bucket and the object
    assert played(cloud, BUCKETS, tmp_path, "--tags", "made") == 0
    assert played(cloud, BUCKETS, tmp_path, "--tags", "gone") == 1
    assert played(cloud, BUCKETS, tmp_path, "--tags", "gone") == 0


def test_users_groups_roles_and_what_they_may_do(cloud: Running, tmp_path: Path) -> None:
    iam = cloud.client("iam")
    assert played(cloud, PEOPLE, tmp_path, "--tags", "made") == 9  # what it makes, one a task
    assert played(cloud, PEOPLE, tmp_path, "--tags", "made") == 0
    assert played(cloud, PEOPLE, tmp_path, "--tags", "gone") == 6
    left = (iam.list_users()["Users"], iam.list_groups()["Groups"], iam.list_roles()["Roles"],
            iam.list_instance_profiles()["InstanceProfiles"],
            iam.list_policies(Scope="Local")["Policies"])  # fmt: skip
    assert left == ([], [], [], [], [])
    assert played(cloud, PEOPLE, tmp_path, "--tags", "gone") == 0
    iam.close()
