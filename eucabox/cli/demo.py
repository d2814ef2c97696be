"""`eucabox demo`: from nothing to an SSH login on a real instance, as an ordinary user would go.

It goes on the cloud that this host's service runs, or else on one of its own.
"""

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from eucabox import config as configuration
from eucabox import network
from eucabox.cli import CommandContext, background, client, demo_traces, image
from eucabox.cli.client import BotoClient, Client
from eucabox.cli.data_owner import is_unit_installed
from eucabox.cli.progress import Steps
from eucabox.cli.users import open_accounts, write_credentials
from eucabox.config import Config
from eucabox.errors import ProgramFailed, UserExists
from eucabox.iam import credentials_folder as folders
from eucabox.image import tiny_guest
from eucabox.run import run

FOLDER = Path("/var/lib/eucabox-demo")
LIVE = ["pending", "running"]
INSTANCE_TYPE = "m1.tiny"
SSH_SECONDS = 180
CONFIGURATION = """\
[cloud]
data_dir = {folder}/data

[network]
own_bridge = eucademo0
"""
HELLO = "hello from the user data"
USER_DATA = f"""\
#!/bin/sh
echo "{HELLO}" > /run/demo
"""
# What the guest says of itself, so that nobody has to believe that it is the right one.
PROOF = """\
for leaf in meta-data/instance-id meta-data/local-ipv4 meta-data/ami-id user-data; do
  echo "$leaf: $(timeout 10 wget -q -O - http://169.254.169.254/latest/$leaf)"
done
echo "user data ran: $(cat /run/demo)"
uname -sr
"""


@dataclass(frozen=True)
class DemoPlace:
    """A cloud to go on: as which user, and under which name key pair, group and images are made.

    With `is_service` the cloud is the host's own service, which is there before and stays.
    """

    config: Config
    folder: Path
    user: str
    name: str
    bucket: str
    is_service: bool

    @property
    def config_option(self) -> str:
        """What to type behind `eucabox` so that a command is about this cloud."""
        default = self.config.file in (None, configuration.DEFAULT_FILE)
        return "" if default else f" --config {self.config.file}"


@dataclass(frozen=True)
class DemoGuest:
    """The instance that the demo ran, and how to reach it."""

    instance_id: str
    address: str
    key_file: Path
    known_hosts: Path

    def ssh(self, *command: str) -> list[str]:
        """Return the arguments of an ssh to the guest."""
        return [
            "ssh", "-i", str(self.key_file),
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.known_hosts}",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-o", "LogLevel=ERROR",
            f"root@{self.address}", *command,
        ]  # fmt: skip


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Keep a cloud of the demo's own here.  [default: the service's cloud, else {FOLDER}]",
)
@click.option(
    "--stop",
    "stopping",
    is_flag=True,
    help="End what the demo made, and a cloud of its own, but not the service.",
)
@click.pass_obj
def demo(settings: CommandContext, folder: Path | None, stopping: bool) -> None:
    """Go from an image to an SSH login, on the running service or on a cloud of its own."""
    if os.geteuid() != 0:
        raise click.ClickException("run as root: real machines and their network need it")
    place = None if folder else _find_service(settings)
    place = place or _own_place((folder or FOLDER).resolve())
    try:
        if not stopping:
            _journey(place)
        elif place.is_service:
            demo_traces.remove(client.read(_write_credentials(place).folder), place, Steps())
        else:
            background.stop(place.folder / "eucabox.conf", purge=True)
    except ClientError as refused:
        error = refused.response["Error"]
        raise click.ClickException(f"{error['Code']}: {error['Message']}") from None
    except BotoCoreError as problem:
        raise click.ClickException(_why_unanswered(problem, place)) from None


def _find_service(settings: CommandContext) -> DemoPlace | None:
    """Return the cloud of this host's service, or None without a service."""
    config = settings.config
    if background.running_pid(config):
        name = "eucabox-demo"
        folder = config.cloud.data_dir.with_name(f"{config.cloud.data_dir.name}-service-demo")
        return DemoPlace(config, folder, "admin", name, name, is_service=True)
    if is_unit_installed():
        raise click.ClickException(
            "the service eucabox does not run: type `systemctl start eucabox`, and where it does"
            f" not start `journalctl -u eucabox`; --folder {FOLDER} goes on a cloud of its own"
        )
    return None


def _own_place(folder: Path) -> DemoPlace:
    config = configuration.load(_config_file(folder))
    return DemoPlace(config, folder, "demo", "demo", "demo-images", is_service=False)


def _why_unanswered(problem: BotoCoreError, place: DemoPlace) -> str:
    """Say so where eucabox itself is gone: the client's words name only the address."""
    if background.running_pid(place.config):
        return str(problem)
    command = f"{_program()}{place.config_option} logs"
    return f"eucabox was ended meanwhile; `{command}` may say why. Run the demo again: it goes on"


def _program() -> str:
    """The program as the reader can type it, also where it is not in the PATH."""
    return sys.argv[0] if sys.argv[0].endswith("/eucabox") else "eucabox"


def _journey(place: DemoPlace) -> None:
    to_type = network.load(place.config).hindrance()
    if to_type:
        raise click.ClickException(f"this host's firewall keeps guests from DHCP; type: {to_type}")
    steps = Steps()
    _begin(place, steps)
    with steps.step(f"the user {place.user} and its credentials"):
        written = _write_credentials(place)
    user = client.read(written.folder)
    image_id = _image(user, place, steps)
    with steps.step("a key pair, and port 22 open in a security group"):
        key_file = _key_pair(user.ec2(), place)
        _group(user.ec2(), place.name)
    with steps.step("ending the instances of an earlier run"):
        _end_earlier(user.ec2(), place.name)
    guest_ = _instance(user.ec2(), image_id, place.name, key_file, steps)
    with steps.step("asking the guest who it is, over SSH"):
        output = _prove(guest_, place.config)
    _print_summary(place, written, guest_, output, user.ec2(), steps)


def _begin(place: DemoPlace, steps: Steps) -> None:
    if place.is_service:
        with steps.step(f"the service's cloud, {folders.endpoint(place.config)}"):
            _refuse_without_metadata(place.config)
        return
    with steps.step("starting eucabox"):
        background.start(place.folder / "eucabox.conf", place.folder / "stderr")
        _refuse_without_metadata(place.config)


def _refuse_without_metadata(config: Config) -> None:
    if problems := _list_problems(config):  # the guest would get no key and no user data
        raise click.ClickException(problems[0])


def _list_problems(config: Config) -> list[str]:
    problems = background.status(config).get("problems", [])
    return [each for each in problems if each.startswith(("metadata: ", "network: "))]


def _config_file(folder: Path) -> Path:
    file = folder / "eucabox.conf"
    if not file.exists():
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(CONFIGURATION.format(folder=folder))
    return file


def _write_credentials(place: DemoPlace) -> folders.CredentialsFolder:
    if not place.is_service:
        with suppress(UserExists):  # an earlier run made it
            open_accounts(place.config).create_user(place.user)
    return write_credentials(place.config, place.user, place.folder / "credentials")


def _image(user: Client, place: DemoPlace, steps: Steps) -> str:
    """Return the demo's image: on a service any that exists, else the one of today's guest."""
    if place.is_service and (known := _find_image(user.ec2(), f"{place.name}-*")):
        return known
    with steps.step("building a guest from distribution packages"):
        made = tiny_guest.build_tiny(place.folder / "guest")
    digest = _digest(made.kernel, made.ramdisk, made.root)
    name = f"{place.name}-{digest}"
    return _find_image(user.ec2(), name) or _install_guest(user, made, place, digest, steps)


def _find_image(ec2: BotoClient, name: str) -> str:
    filters = [{"Name": "name", "Values": [name]}, {"Name": "image-type", "Values": ["machine"]}]
    images = ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    available = [each["ImageId"] for each in images if each["State"] == "available"]
    return str(available[0]) if available else ""


def _install_guest(
    user: Client, made: tiny_guest.TinyGuest, place: DemoPlace, digest: str, steps: Steps
) -> str:
    def install(file: Path, **members: str) -> str:
        prefix = f"{file.stem}-{digest}"
        return image.install_file(user, file, place.bucket, steps, prefix=prefix, **members)

    boot = {
        "kernel_id": install(made.kernel, image_type="kernel"),
        "ramdisk_id": install(made.ramdisk, image_type="ramdisk"),
    }
    return install(made.root, image_type="machine", name=f"{place.name}-{digest}", **boot)


def _digest(*files: Path) -> str:
    """Return a name for these files' content, so that a changed guest is another image."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _key_pair(ec2: BotoClient, place: DemoPlace) -> Path:
    name, file = place.name, place.folder / "keys" / f"{place.name}.pem"
    known = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}])["KeyPairs"]
    if file.exists() and known:
        return file
    ec2.delete_key_pair(KeyName=name)
    made = ec2.create_key_pair(KeyName=name, KeyType="ed25519")
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(made["KeyMaterial"])
    return file


def _group(ec2: BotoClient, name: str) -> None:
    known = [each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]]
    if name not in known:
        ec2.create_security_group(GroupName=name, Description="the demo: SSH from anywhere")
    port = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    try:
        ec2.authorize_security_group_ingress(
            GroupName=name, IpPermissions=[{**port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        )
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "InvalidPermission.Duplicate":
            raise


def _end_earlier(ec2: BotoClient, name: str) -> None:
    filters = [
        {"Name": "key-name", "Values": [name]},
        {"Name": "instance-state-name", "Values": LIVE},
    ]
    reservations = ec2.describe_instances(Filters=filters)["Reservations"]
    earlier = [each["InstanceId"] for row in reservations for each in row["Instances"]]
    if earlier:
        ec2.terminate_instances(InstanceIds=earlier)


def _instance(ec2: BotoClient, image_id: str, name: str, key_file: Path, steps: Steps) -> DemoGuest:
    with steps.step(f"running {image_id}"):
        row = ec2.run_instances(
            ImageId=image_id, InstanceType=INSTANCE_TYPE, MinCount=1, MaxCount=1, KeyName=name,
            SecurityGroups=[name], UserData=USER_DATA,
        )["Instances"][0]  # fmt: skip
        instance = _wait_until_running(ec2, row["InstanceId"])
    known_hosts = key_file.with_name("known_hosts")
    known_hosts.unlink(missing_ok=True)
    guest = DemoGuest(row["InstanceId"], instance["PrivateIpAddress"], key_file, known_hosts)
    with steps.step(f"waiting for SSH on {guest.address}"):
        _wait_for_ssh(ec2, guest)
    return guest


def _describe(ec2: BotoClient, instance_id: str) -> dict[str, Any]:
    rows = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    instance: dict[str, Any] = rows[0]["Instances"][0]
    return instance


def _wait_until_running(ec2: BotoClient, instance_id: str) -> dict[str, Any]:
    while True:
        instance = _describe(ec2, instance_id)
        state = instance["State"]["Name"]
        if state == "running":
            return instance
        if state != "pending":
            reason = instance.get("StateReason", {}).get("Message", "it gave no reason")
            raise click.ClickException(f"{instance_id} is {state}: {reason}")
        time.sleep(0.2)


def _wait_for_ssh(ec2: BotoClient, guest: DemoGuest) -> None:
    deadline = time.monotonic() + SSH_SECONDS
    while True:
        try:
            run(*guest.ssh("true"), timeout=20)
        except ProgramFailed as refused:
            instance = _describe(ec2, guest.instance_id)
            if instance["State"]["Name"] != "running" or time.monotonic() > deadline:
                raise click.ClickException(
                    f"no SSH on {guest.address} ({refused.message}); the instance is"
                    f" {instance['State']['Name']}; its console:\n{_console(ec2, guest)}"
                ) from None
            time.sleep(0.3)
        else:
            return


def _prove(guest: DemoGuest, config: Config) -> str:
    output = run(*guest.ssh(PROOF), timeout=30).decode("utf-8", "replace")
    expected = (guest.instance_id, guest.address, USER_DATA.strip(), f"ran: {HELLO}")
    if not all(each in output for each in expected):
        why = _list_problems(config) or [f"the guest at {guest.address} says it is another one"]
        raise click.ClickException(f"{why[0]}:\n{output}")
    return output


def _console(ec2: BotoClient, guest: DemoGuest) -> str:
    output: str = ec2.get_console_output(InstanceId=guest.instance_id).get("Output", "")
    return output


def _print_summary(
    place: DemoPlace,
    written: folders.CredentialsFolder,
    guest: DemoGuest,
    output: str,
    ec2: BotoClient,
    steps: Steps,
) -> None:
    click.echo("\nThe console, its last lines:")
    for line in _console(ec2, guest).splitlines()[-12:]:
        click.echo(f"  | {line.rstrip()}")
    click.echo("\nThe guest, over SSH:")
    for line in output.strip().splitlines():
        click.echo(f"  | {line}")
    base = written.endpoint
    node = background.status(place.config).get("node", {})
    rows = [
        ("EC2", f"{base}/services/compute"),
        ("S3", f"{base}/services/objectstorage"),
        ("credentials", f". {written.eucarc}"),
        ("instance", f"{guest.instance_id} at {guest.address}"),
        ("hypervisor", str(node.get("detail", ""))),
        ("ssh", " ".join(guest.ssh())),
        ("stop", _stop_command(place)),
    ]
    click.echo(f"\nAll of it took {sum(seconds for _, seconds in steps.times):.1f} s.\n")
    for name, value in rows:
        click.echo(f"  {name:<12} {value}")
    (place.folder / "demo.json").write_text(
        json.dumps({**dict(rows), "steps": steps.times}, indent=1)
    )


def _stop_command(place: DemoPlace) -> str:
    if place.is_service:
        return f"{_program()}{place.config_option} demo --stop"
    folder = place.folder
    return f"make stop DEMO={folder}   (or: {_program()} demo --folder {folder} --stop)"
