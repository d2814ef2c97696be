"""Removes what a demo made on the cloud of a running service; touches nothing else there."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import click
from botocore.exceptions import ClientError

from eucabox.cli.client import BotoClient, Client
from eucabox.cli.progress import Steps

END_SECONDS = 180


class DemoTraces(Protocol):
    """The names of what the demo made, and the folder of its files."""

    @property
    def name(self) -> str:
        """The name of key pair and group, and the beginning of the images'."""

    @property
    def bucket(self) -> str:
        """The bucket of the images' parts."""

    @property
    def folder(self) -> Path:
        """Credentials, key and guest."""


def remove(user: Client, traces: DemoTraces, steps: Steps) -> None:
    """End the instances and remove images, bucket, key pair, group and folder of a demo."""
    ec2 = user.ec2()
    with steps.step("ending the demo's instances"):
        _end_instances(ec2, traces.name)
    with steps.step("removing its images and their bucket"):
        _remove_images(ec2, traces)
        _remove_bucket(user.s3(), traces.bucket)
    with steps.step("removing its key pair, group and files"):
        ec2.delete_key_pair(KeyName=traces.name)
        _ignore("InvalidGroup.NotFound", ec2.delete_security_group, GroupName=traces.name)
        shutil.rmtree(traces.folder, ignore_errors=True)


def _end_instances(ec2: BotoClient, name: str) -> None:
    states = ["pending", "running", "stopping", "stopped", "shutting-down"]
    filters = [
        {"Name": "key-name", "Values": [name]},
        {"Name": "instance-state-name", "Values": states},
    ]
    deadline = time.monotonic() + END_SECONDS
    while alive := _list_instances(ec2, filters):
        if time.monotonic() > deadline:
            raise click.ClickException(f"{', '.join(alive)} did not end in {END_SECONDS} s")
        ec2.terminate_instances(InstanceIds=alive)
        time.sleep(1)


def _list_instances(ec2: BotoClient, filters: list[dict[str, Any]]) -> list[str]:
    rows = ec2.describe_instances(Filters=filters)["Reservations"]
    return [each["InstanceId"] for row in rows for each in row["Instances"]]


def _remove_images(ec2: BotoClient, traces: DemoTraces) -> None:
    """Deregister the images from the demo's bucket: machines, kernels and ramdisks."""
    for each in ec2.describe_images(Owners=["self"])["Images"]:
        if each["ImageLocation"].startswith(f"{traces.bucket}/"):
            ec2.deregister_image(ImageId=each["ImageId"])


def _remove_bucket(s3: BotoClient, bucket: str) -> None:
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=each["Key"])
        s3.delete_bucket(Bucket=bucket)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _ignore(code: str, call: Callable[..., object], **members: object) -> None:
    try:
        call(**members)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != code:
            raise
