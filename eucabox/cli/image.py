"""`eucabox image`: the client's side of images, through the HTTP APIs alone."""

import json
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from eucabox.cli import client
from eucabox.cli.client import BotoClient, Client
from eucabox.cli.exports import export_image
from eucabox.cli.progress import Steps
from eucabox.errors import ImageNameExists
from eucabox.hypervisor import architecture
from eucabox.image import bundle as bundles
from eucabox.image import debian, names, settings, tiny_guest
from eucabox.image import manifest as manifests

TYPES = click.Choice(["machine", "kernel", "ramdisk"])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
WAIT_SECONDS = 600


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each of an image's settings."""
    for attribute, words in reversed(settings.WORDS.items()):
        option = f"--{settings.column(attribute).replace('_', '-')}"
        kind = click.Choice([*words, ""]) if words else None
        command = click.option(option, type=kind, help=settings.HELP[attribute])(command)
    return command


class ImageCommands(click.Group):
    """Commands that print an error of the cloud in one line."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a refusal of the cloud is a message, not a traceback."""
        try:
            return super().invoke(ctx)
        except ClientError as refused:
            error = refused.response["Error"]
            message = error["Message"].strip().partition("\n")[0]  # below are strings to sign
            raise click.ClickException(f"{error['Code']}: {message}") from None
        except BotoCoreError as problem:
            raise click.ClickException(str(problem)) from None


@click.group(cls=ImageCommands)
@click.option("--credentials", "folder", type=FOLDER, help="What `eucabox credentials` wrote.")
@click.pass_context
def image(context: click.Context, folder: Path | None) -> None:
    """Build, bundle, upload, register and list images, as a user of the cloud."""
    context.obj = folder


image.add_command(export_image)


@image.command()
@click.argument("what", type=click.Choice(["tiny", "debian"]), default="tiny")
@click.option("--out", type=FOLDER, required=True, help="The folder for the files.")
def build(what: str, out: Path) -> None:
    """Build a guest from distribution packages: kernel, ramdisk, root, and of debian a whole disk.

    tiny boots in seconds; debian has cloud-init, and needs mmdebstrap and root to be built.
    """
    steps = Steps()
    with steps.step(f"building the {what} guest"):
        made = tiny_guest.build_tiny(out) if what == "tiny" else debian.build_debian(out)
    for file in vars(made).values():
        click.echo(f"  {file}  {file.stat().st_size / 2**20:.1f} MiB")


@image.command()
@click.argument("file", type=FILE)
@click.option("--out", type=FOLDER, required=True, help="The folder for the parts.")
@click.option("--type", "image_type", type=TYPES, default="machine", show_default=True)
@click.option("--arch", default=architecture.HOST.ec2[-1], show_default=True)
@click.option("--prefix", help="The name of the bundle.  [default: the file's name]")
@click.option("--kernel", "kernel_id", help="The kernel image it boots with, eki-...")
@click.option("--ramdisk", "ramdisk_id", help="The ramdisk image it boots with, eri-...")
@click.pass_obj
def bundle(folder: Path | None, /, file: Path, out: Path, **members: str) -> None:
    """Encrypt and sign a kernel, ramdisk or root file system into parts with a manifest."""
    manifest = bundle_file(client.read(folder), file, out, Steps(), **members)
    click.echo(f"  {manifest}")


@image.command()
@click.argument("manifest", type=FILE)
@click.option("--bucket", required=True, help="The bucket; made if it is missing.")
@click.pass_obj
def upload(folder: Path | None, manifest: Path, bucket: str) -> None:
    """Upload a bundle: the parts beside the manifest, then the manifest."""
    location = upload_bundle(client.read(folder), manifest, bucket, Steps())
    click.echo(f"  {location}")


@image.command()
@click.argument("location")
@click.option("--name", help="The image's name.  [default: the manifest's]")
@click.pass_obj
def register(folder: Path | None, location: str, name: str | None) -> None:
    """Register BUCKET/KEY, a manifest or a disk, and wait until it is available."""
    image_id = register_image(client.read(folder), location, name, Steps())
    click.echo(image_id)


@image.command()
@click.argument("file", type=FILE)
@click.option("--bucket", required=True, help="The bucket; made if it is missing.")
@click.option("--name", help="The image's name.  [default: the file's name]")
@click.option("--type", "image_type", type=TYPES, default="machine", show_default=True)
@click.option("--arch", default=architecture.HOST.ec2[-1], show_default=True)
@click.option("--kernel", help="The kernel: a file, or an id eki-...")
@click.option("--ramdisk", help="The ramdisk: a file, or an id eri-...")
@click.pass_obj
def install(
    folder: Path | None, file: Path, bucket: str, kernel: str | None, ramdisk: str | None,
    name: str | None, image_type: str, arch: str,
) -> None:  # fmt: skip
    """Bundle, upload and register in one step; with --kernel FILE and --ramdisk FILE all three."""
    user, steps = client.read(folder), Steps()
    kernel_id = _ensure_installed(user, kernel, bucket, "kernel", arch, steps)
    ramdisk_id = _ensure_installed(user, ramdisk, bucket, "ramdisk", arch, steps)
    image_id = install_file(
        user, file, bucket, steps, name=name, image_type=image_type, arch=arch,
        kernel_id=kernel_id, ramdisk_id=ramdisk_id,
    )  # fmt: skip
    click.echo(image_id)


@image.command("import")
@click.argument("file", type=FILE)
@click.option("--bucket", required=True, help="The bucket; made if it is missing.")
@click.option("--name", help="The image's name.  [default: the file's name]")
@click.pass_obj
def import_image(folder: Path | None, file: Path, bucket: str, name: str | None) -> None:
    """Upload a whole disk (qcow2 or raw) as it is and register it as an HVM image."""
    user, steps = client.read(folder), Steps()
    ensure_bucket(user, bucket)
    _put(user, bucket, file, steps)
    click.echo(register_image(user, f"{bucket}/{file.name}", name, steps))


@image.command("set")
@click.argument("image_id")
@_options
@click.pass_obj
def set_image(folder: Path | None, /, image_id: str, **given: str | None) -> None:
    """Change how an image's instances are made from now on; an empty word is the default again."""
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise click.UsageError("Give at least one setting to change; --help lists them.")
    ec2 = client.read(folder).ec2()
    for attribute in settings.WORDS:
        if (value := wanted.get(settings.column(attribute))) is not None:
            ec2.modify_image_attribute(ImageId=image_id, Attribute=attribute, Value=value)
            click.echo(f"  {attribute}  {value or '(the default)'}")


@image.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_images(folder: Path | None, as_json: bool) -> None:
    """List the images that you can run."""
    rows = client.read(folder).ec2().describe_images()["Images"]
    if as_json:
        click.echo(json.dumps(rows, default=str))
        return
    for row in rows:
        words = (row["ImageId"], row["ImageType"], row["State"], row["Name"], row["ImageLocation"])
        click.echo("  ".join(f"{word:<12}" for word in words).rstrip())
        if reason := row.get("StateReason", {}).get("Message"):
            click.echo(f"{'':14}{reason}")


def bundle_file(
    user: Client, file: Path, out: Path, steps: Steps, image_type: str = "machine",
    arch: str = architecture.HOST.ec2[-1], prefix: str | None = None, kernel_id: str | None = None,
    ramdisk_id: str | None = None,
) -> Path:  # fmt: skip
    """Bundle a file for this cloud and return the manifest's path."""
    out.mkdir(parents=True, exist_ok=True)
    with steps.step(f"bundling {file.name}") as progress:
        return bundles.bundle(
            file,
            out,
            prefix=prefix or file.name,
            image_type=image_type,
            architecture=arch,
            kernel_id=kernel_id,
            ramdisk_id=ramdisk_id,
            user=user.account_id,
            user_certificate=user.file("EC2_CERT").read_text(),
            user_private_key=user.file("EC2_PRIVATE_KEY").read_text(),
            cloud_certificate=user.file("EUCALYPTUS_CERT").read_text(),
            progress=progress,
        )


def upload_bundle(user: Client, manifest: Path, bucket: str, steps: Steps) -> str:
    """Upload a bundle's parts and manifest and return its BUCKET/KEY; raises InvalidManifest."""
    prefix = manifest.name.removesuffix(".manifest.xml")
    parsed = manifests.parse(manifest.read_bytes(), str(manifest))
    parts = [manifest.parent / part.name for part in parsed.parts]
    for part in parts:
        if not part.is_file():
            raise click.ClickException(f"{part}, which {manifest.name} lists, is not there.")
    ensure_bucket(user, bucket)
    s3 = user.s3()
    count = "1 part" if len(parts) == 1 else f"{len(parts)} parts"
    with steps.step(f"uploading {prefix}, {count}") as progress:
        for number, part in enumerate([*parts, manifest], 1):
            with part.open("rb") as body:
                s3.put_object(Bucket=bucket, Key=part.name, Body=body, ACL="aws-exec-read")
            progress(number, len(parts) + 1)
    return f"{bucket}/{manifest.name}"


def register_image(user: Client, location: str, name: str | None, steps: Steps) -> str:
    """Register a manifest or disk, wait until the image is available, and return its id.

    Without a name it gets one that is free, made of its file's.
    """
    ec2 = user.ec2()
    with steps.step(f"registering {location}"):
        image_id = _register(ec2, location, name)
        _wait_until_available(ec2, image_id)
    return image_id


def _register(ec2: BotoClient, location: str, name: str | None) -> str:
    file = names.name_from_file(location.rpartition("/")[2].removesuffix(".manifest.xml"))
    try:
        registered = ec2.register_image(ImageLocation=location, Name=name or file)
    except ClientError as refused:
        if name or refused.response["Error"]["Code"] != ImageNameExists.code:
            raise
        registered = ec2.register_image(
            ImageLocation=location, Name=f"{file}-{secrets.token_hex(4)}"
        )
    return str(registered["ImageId"])


def install_file(
    user: Client, file: Path, bucket: str, steps: Steps, name: str | None = None, **members: Any
) -> str:
    """Bundle, upload and register one file and return the image's id."""
    with tempfile.TemporaryDirectory(prefix="eucabox-bundle-") as folder:
        manifest = bundle_file(user, file, Path(folder), steps, **members)
        location = upload_bundle(user, manifest, bucket, steps)
    return register_image(user, location, name, steps)


def ensure_bucket(user: Client, bucket: str) -> None:
    """Make a bucket unless it is there."""
    s3 = user.s3()
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        s3.create_bucket(Bucket=bucket)


def _ensure_installed(
    user: Client, given: str | None, bucket: str, image_type: str, arch: str, steps: Steps
) -> str | None:
    if given is None or not Path(given).is_file():
        return given
    return install_file(user, Path(given), bucket, steps, image_type=image_type, arch=arch)


def _put(user: Client, bucket: str, file: Path, steps: Steps) -> None:
    total, done = file.stat().st_size, 0
    with steps.step(f"uploading {file.name}") as progress:

        def count(sent: int) -> None:
            nonlocal done
            done += sent
            progress(done, total)

        user.s3().upload_file(str(file), bucket, file.name, Callback=count)


def _wait_until_available(ec2: BotoClient, image_id: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        if image["State"] == "available":
            return
        if image["State"] != "pending":
            reason = image.get("StateReason", {}).get("Message", image["State"])
            raise click.ClickException(f"{image_id}: {reason}")
        time.sleep(0.2)
    raise click.ClickException(f"{image_id} is still pending after {WAIT_SECONDS} s")
