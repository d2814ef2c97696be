"""Clients that put, change, copy, delete and read the same few keys until the server is gone."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tests.live.kills import bodies, checks
from tests.live.kills.history import NOTHING, Register
from tests.live.kills.worker import Worker
from tests.live.kills.world import BUCKETS, KEYS, VERSIONED, Made, Place, World

GONE = ("NoSuchUpload",)
ABSENT = ("NoSuchKey",)
MOST_VERSIONS = 24  # each is read after each kill


class Client(Worker):
    """A client of S3; it chooses of `steps` what it does next."""

    def __init__(self, world: World, s3: Any, seed: str, steps: list[str]) -> None:
        super().__init__(world, seed)
        self.s3, self.steps = s3, steps

    def act(self) -> None:
        place = self.chance.choice(BUCKETS), self.chance.choice(KEYS)
        self.doing = self.chance.choice(self.steps)
        getattr(self, self.doing)(place)

    def _bodily(self, label: str) -> dict[str, Any]:
        self.world.contents[bodies.plain_tag(label)] = label
        return {"Body": bodies.body(label, bodies.size(label)), **self._said(label)}

    def _said(self, label: str) -> dict[str, Any]:
        secret = {"ServerSideEncryption": "AES256"} if self.chance.random() < 0.2 else {}
        return {**bodies.said(label), "Tagging": f"own={label}", **secret}

    # --- objects -----------------------------------------------------------------------------

    def put(self, place: Place) -> None:
        label = self.world.label("put")
        self._write("put", place, label, partial(self.s3.put_object, **self._bodily(label)))

    def copy(self, place: Place) -> None:
        source = {"Bucket": self.chance.choice(BUCKETS), "Key": self.chance.choice(KEYS)}
        if (source["Bucket"], source["Key"]) == place:
            return
        label = self.world.label("copy")
        directives = {"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}
        members = {**self._said(label), **directives}

        def ask(**where: str) -> Any:
            return self.s3.copy_object(**where, CopySource=source, **members)["CopyObjectResult"]

        self._write("copy", place, label, ask, ABSENT)

    def delete(self, place: Place) -> None:
        self._write("delete", place, NOTHING, self.s3.delete_object)

    def _write(
        self,
        what: str,
        place: Place,
        value: str,
        ask: Callable[..., Any],
        refusals: tuple[str, ...] = (),
    ) -> None:
        bucket, key = place
        request = partial(ask, Bucket=bucket, Key=key)
        self.world.write(what, self.world.objects[place], value, request, refusals)

    # --- what is kept beside an object ----------------------------------------------------------

    def tag(self, place: Place) -> None:
        label = self.world.label("tag")
        tags = {"TagSet": [{"Key": "own", "Value": label}]}
        ask = partial(self.s3.put_object_tagging, Tagging=tags)
        self._mark("tags", place, label, ask)

    def share(self, place: Place) -> None:
        acl = self.chance.choice(["private", "public-read"])
        self._mark("acl", place, acl, partial(self.s3.put_object_acl, ACL=acl))

    def _mark(self, mark: str, place: Place, value: str, ask: Callable[..., Any]) -> None:
        bucket, key = place
        register = self.world.marks[mark, place]
        self.world.write(mark, register, value, partial(ask, Bucket=bucket, Key=key), ABSENT)

    # --- uploads in parts ------------------------------------------------------------------------

    def upload(self, place: Place) -> None:
        """Begin an upload, or take up one that is there, put parts, and end it in some way."""
        known = [each for each in self.world.uploads.copy().items() if self.chance.random() < 0.5]
        upload_id, made = self.chance.choice(known) if known else self._begin(place)
        named = {"Bucket": made.place[0], "Key": made.place[1], "UploadId": upload_id}
        for number, piece in enumerate(bodies.parts(made.label), 1):
            done = number in made.parts and made.parts[number].writes[-1].sums
            if not done or self.chance.random() < 0.1:
                self._part(made, named, number, piece)
        self._end(made, named)

    def _begin(self, place: Place) -> tuple[str, Made]:
        label = self.world.label("upload")
        self.world.contents[bodies.copied_tag(label)] = label
        made = self.s3.create_multipart_upload(Bucket=place[0], Key=place[1], **self._said(label))
        return made["UploadId"], self._remember(label, place, made["UploadId"])

    def _end(self, made: Made, named: dict[str, str]) -> None:
        tags = {number: each.writes[-1].sums for number, each in made.parts.items()}
        if self.chance.random() < 0.1:
            abort = partial(self.s3.abort_multipart_upload, **named)
            self.world.write("abort", made.there, NOTHING, abort, GONE)
        elif len(tags) == 2 and all(tags.values()):
            self._complete(
                made, named, [{"PartNumber": each, "ETag": tags[each]} for each in sorted(tags)]
            )

    def _remember(self, label: str, place: Place, upload_id: str) -> Made:
        made = Made(label, place, self._there(label), {})
        self.world.uploads[upload_id] = made
        self.world.count("create upload")
        return made

    def _there(self, label: str) -> Register:
        register = Register()
        register.settle(label, time.monotonic())
        return register

    def _part(self, made: Made, named: dict[str, str], number: int, piece: bytes) -> Any:
        register = made.parts.setdefault(number, Register())
        ask = partial(self.s3.upload_part, **named, PartNumber=number, Body=piece)
        return self.world.write("part", register, f"{made.label}.{number}", ask, GONE)

    def _complete(self, made: Made, named: dict[str, str], parts: list[Any]) -> None:
        ending = made.there.begin(NOTHING, time.monotonic())
        members = {"MultipartUpload": {"Parts": parts}}
        ask = partial(self.s3.complete_multipart_upload, **named, **members)
        register = self.world.objects[made.place]
        if self.world.write("complete", register, made.label, ask, GONE) is not None:
            ending.ended = time.monotonic()

    # --- versions --------------------------------------------------------------------------------

    def version(self, place: Place) -> None:
        if len(self.world.versions) >= MOST_VERSIONS:
            return self.unversion(place)
        label, key = self.world.label("version"), place[1]
        self.world.unnamed[label] = key
        made = self.s3.put_object(Bucket=VERSIONED, Key=key, **self._bodily(label))
        return self._keep_version(key, made["VersionId"], label)

    def mark(self, place: Place) -> None:
        label, key = self.world.label("marker"), place[1]
        self.world.unnamed[label] = key
        made = self.s3.delete_object(Bucket=VERSIONED, Key=key)
        self._keep_version(key, made["VersionId"], label)

    def _keep_version(self, key: str, version_id: str, label: str) -> None:
        self.world.versions[key, version_id] = self._there(label)
        del self.world.unnamed[label]
        self.world.count("version" if label.startswith("version") else "marker")

    def unversion(self, place: Place) -> None:
        known = list(self.world.versions)
        if known:
            key, version_id = self.chance.choice(known)
            named = {"Bucket": VERSIONED, "Key": key, "VersionId": version_id}
            register = self.world.versions[key, version_id]
            ask = partial(self.s3.delete_object, **named)
            self.world.write("delete version", register, NOTHING, ask)

    # --- readers ---------------------------------------------------------------------------------

    def read(self, place: Place) -> None:
        """What is read is one write's, whole, and one that may be seen now."""
        bucket, key = place
        began = time.monotonic()
        try:
            found = self.s3.get_object(Bucket=bucket, Key=key)
        except ClientError as refused:
            if not self.world.refused("read", refused, ABSENT):
                return
            label = NOTHING
        else:
            label, content = found["Metadata"]["label"], found["Body"].read()
            self.world.count("read")
            wrong = self._wrong(place, label, found, content)
            if wrong:
                self.world.problem(f"read of {place}: {wrong}")
        if not self.world.objects[place].allows(label, began, time.monotonic()):
            writes = self.world.objects[place].writes
            self.world.problem(f"read of {place} saw {label!r}, began {began}; writes: {writes}")

    def _wrong(self, place: Place, label: str, found: Any, content: bytes) -> str:
        return checks.wrong(self.world, label, found, content)
