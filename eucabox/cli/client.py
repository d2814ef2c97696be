"""What the image and demo commands know of a cloud: endpoints, keys, EC2 and S3 clients."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click

EXPORT = re.compile(r'^export (\w+)=(?:"(.*)"|(.*))$')
NEEDED = ("EC2_URL", "S3_URL", "AWS_ACCESS_KEY", "AWS_SECRET_KEY")


class BotoClient(Protocol):
    """A client of boto3, which makes a method of each operation of a service when it is opened."""

    def __getattr__(self, operation: str) -> Callable[..., Any]: ...


@dataclass(frozen=True)
class Client:
    """A user's settings, by the names that eucarc gives them."""

    settings: Mapping[str, str]

    @property
    def account_id(self) -> str:
        """The user's 12-digit account."""
        return self.settings.get("EC2_USER_ID", "").replace("-", "")

    def file(self, name: str) -> Path:
        """Return the file that a setting names; a clear error when it is not there."""
        value = self.settings.get(name, "")
        if not value or not Path(value).is_file():
            raise click.ClickException(
                f"{name} is {value!r}, which is no file: source eucarc, or give --credentials."
            )
        return Path(value)

    def ec2(self) -> BotoClient:
        """Return a boto3 client of the cloud's EC2."""
        return self._client("ec2", self.settings["EC2_URL"])

    def s3(self) -> BotoClient:
        """Return a boto3 client of the cloud's S3."""
        return self._client("s3", self.settings["S3_URL"])

    def _client(self, service: str, url: str) -> BotoClient:
        import boto3
        from botocore.config import Config

        if not url.startswith(("http://", "https://")):
            variable = f"{service.upper()}_URL"
            raise click.ClickException(f"{variable} is {url!r}; it begins with http:// or https://")
        client: BotoClient = boto3.client(
            service,
            endpoint_url=url,
            region_name=self.settings.get("AWS_DEFAULT_REGION", "eucabox-1"),
            aws_access_key_id=self.settings["AWS_ACCESS_KEY"],
            aws_secret_access_key=self.settings["AWS_SECRET_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )
        return client


def read(folder: Path | None) -> Client:
    """Return the client of a folder that `eucabox credentials` wrote, or of the environment."""
    settings = _exports(folder) if folder else dict(os.environ)
    missing = [name for name in NEEDED if not settings.get(name)]
    if missing:
        where = f"{folder}/eucarc" if folder else "The environment"
        raise click.ClickException(
            f"{where} does not set {', '.join(missing)}: source the eucarc that"
            " `eucabox credentials` writes, or give its folder with --credentials."
        )
    return Client(settings)


def _exports(folder: Path) -> dict[str, str]:
    file = folder / "eucarc"
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as problem:
        raise click.ClickException(f"{file}: {problem.strerror}") from None
    matches = (EXPORT.match(line) for line in lines)
    return {
        match[1]: (match[2] or match[3] or "").replace("${EUCA_KEY_DIR}", str(folder.resolve()))
        for match in matches
        if match
    }
