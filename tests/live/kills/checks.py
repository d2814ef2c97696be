"""What must hold after a restart, when nobody writes: looks at everything, changes nothing."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.live.kills import bodies
from tests.live.kills.history import NOTHING, Register
from tests.live.kills.world import BUCKETS, KEYS, MARKS, VERSIONED, Place, World

READER = "http://acs.amazonaws.com/groups/global/AllUsers"


def wrong(world: World, label: str, found: Any, content: bytes) -> str:
    """What is wrong with an object that was got, "" if it is whole and the label's."""
    kind, md5 = world.kinds.get(label), hashlib.md5(content).hexdigest()
    tag = found["ETag"].strip('"')
    if kind in ("put", "plain", "version"):
        expected, tags = bodies.body(label, bodies.size(label)), {bodies.plain_tag(label)}
    elif kind == "upload":
        expected, tags = b"".join(bodies.parts(label)), {bodies.joined_tag(label)}
    elif kind == "copy" and md5 in world.contents:
        expected, tags = content, {md5}
    else:
        return f"{label!r} with {len(content)} bytes of MD5 {md5} was never written"
    if content != expected:
        return f"{label!r} has {len(content)} bytes, of {len(expected)}, that differ"
    if tag not in tags or found["ContentLength"] != len(content):
        return f"{label!r} has ETag {tag} and length {found['ContentLength']}"
    said = bodies.said(label)
    if (found["Metadata"], found["ContentType"]) != (said["Metadata"], said["ContentType"]):
        return f"{label!r} has {found['Metadata']} and {found['ContentType']}"
    return ""


def whole(world: World, s3: Any, root: Path, *, pruned: bool = True) -> None:
    """Look at all that there is and settle what may be there. Unless `pruned`, a folder may have
    been made for an object that never came: a loss of power leaves no word of whose it was."""
    for bucket in BUCKETS:
        listed = {each["Key"]: each for each in pages(s3, "list_objects_v2", bucket, "Contents")}
        for key in listed.keys() - set(KEYS):
            world.problem(f"{bucket}/{key} is listed and was never put")
        for key in KEYS:
            _object(world, s3, (bucket, key), listed.get(key))
        _tree(world, root / bucket, set(listed), pruned)
        _uploads(world, s3, bucket)
    _versions(world, s3)
    _leftovers(world, root)


def pages(s3: Any, operation: str, bucket: str, what: str) -> Iterator[Any]:
    for page in s3.get_paginator(operation).paginate(Bucket=bucket):
        yield from page.get(what, [])


# --- objects -------------------------------------------------------------------------------------


def _object(world: World, s3: Any, place: Place, listed: Any) -> None:
    bucket, key = place
    began, label, head = time.monotonic(), NOTHING, None
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
        found = s3.get_object(Bucket=bucket, Key=key)
        label, content = found["Metadata"].get("label", "no label"), found["Body"].read()
        if problem := wrong(world, label, found, content):
            world.problem(f"{place}: {problem}")
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            world.problem(f"{place}: {refused}")
    _listed(world, place, listed, head)
    _allowed(world, place, label, head, began)
    for mark in MARKS:
        _marked(world, s3, mark, place, label, began)
    world.objects[place].settle(label, began)


def _listed(world: World, place: Place, listed: Any, head: Any) -> None:
    same = bool(listed) == bool(head)
    if same and head:
        same = (listed["ETag"], listed["Size"]) == (head["ETag"], head["ContentLength"])
    if not same:
        world.problem(f"{place}: listed {listed}, HEAD says {head}")
    elif head and listed["LastModified"].replace(microsecond=0) != head["LastModified"]:
        world.problem(f"{place}: listed {listed['LastModified']}, HEAD {head['LastModified']}")


def _allowed(world: World, place: Place, label: str, head: Any, began: float) -> None:
    register = world.objects[place]
    if not register.allows(label, began, time.monotonic()):
        world.problem(f"{place}: is {label!r}, may not be; writes: {register.writes}")
    for write in register.find(label):
        if head and write.sums and write.sums != head["ETag"].strip('"'):
            world.problem(f"{place}: was answered ETag {write.sums}, has {head['ETag']}")


def _marked(world: World, s3: Any, mark: str, place: Place, label: str, now: float) -> None:
    """Tags and ACL: the object's own, or of a change that came after or beside its write."""
    register = world.marks[mark, place]
    if label == NOTHING:
        register.settle(NOTHING, now)
        return
    tag = "" if world.kinds.get(label) == "plain" else label
    own = tag if mark == "tags" else "private"
    found = (_tags if mark == "tags" else _acl)(s3, place)
    writes = world.objects[place].find(label)
    if not register.allows_beside(found, own, writes):
        world.problem(
            f"{place}: {mark} are {found!r}, may not be; writes of it: {writes};"
            f" changes: {register.writes}"
        )
    register.settle(found, now)


def _tags(s3: Any, place: Place) -> str:
    found = s3.get_object_tagging(Bucket=place[0], Key=place[1])["TagSet"]
    return ",".join(str(each["Value"]) for each in found if each["Key"] == "own")


def _acl(s3: Any, place: Place) -> str:
    grants = s3.get_object_acl(Bucket=place[0], Key=place[1])["Grants"]
    public = any(each["Grantee"].get("URI") == READER for each in grants)
    return "public-read" if public else "private"


# --- uploads and versions ------------------------------------------------------------------------


def _uploads(world: World, s3: Any, bucket: str) -> None:
    listed = {each["UploadId"] for each in pages(s3, "list_multipart_uploads", bucket, "Uploads")}
    for upload_id, made in list(world.uploads.items()):
        if made.place[0] != bucket:
            continue
        value, now = made.label if upload_id in listed else NOTHING, time.monotonic()
        if not made.there.allows(value, now, now):
            world.problem(f"upload {made.label} is {value!r}; writes: {made.there.writes}")
        if value == NOTHING:
            del world.uploads[upload_id]
            continue
        made.there.settle(value, now)
        _not_completed(world, s3, made.label, made.place)
        named = {"Bucket": bucket, "Key": made.place[1], "UploadId": upload_id}
        _parts(world, s3, made.label, made.parts, named)


def _not_completed(world: World, s3: Any, label: str, place: Place) -> None:
    """An upload that became an object is in progress no more."""
    if world.objects[place].writes[-1].value == label:
        world.problem(f"upload {label} is both an object at {place} and in progress")


def _parts(
    world: World, s3: Any, label: str, parts: dict[int, Register], named: dict[str, str]
) -> None:
    listed = {each["PartNumber"]: each for each in s3.list_parts(**named).get("Parts", [])}
    pieces, now = bodies.parts(label), time.monotonic()
    for number, register in parts.items():
        value = f"{label}.{number}" if number in listed else NOTHING
        if not register.allows(value, now, now):
            world.problem(f"part {label}.{number} is {value!r}; writes: {register.writes}")
        register.settle(value, now)
    for number, each in listed.items():
        md5 = hashlib.md5(pieces[number - 1]).hexdigest()
        if each["ETag"].strip('"') != md5 or each["Size"] != len(pieces[number - 1]):
            world.problem(f"part {label}.{number} is listed as {each}")


def _versions(world: World, s3: Any) -> None:
    listed = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=VERSIONED):
        for each in page.get("Versions", []):
            listed[each["Key"], each["VersionId"]] = _version(world, s3, each)
        for each in page.get("DeleteMarkers", []):
            listed[each["Key"], each["VersionId"]] = "marker"
    for known, register in list(world.versions.items()):
        value, now = listed.pop(known, NOTHING), time.monotonic()
        value = register.writes[0].value if value == "marker" else value
        if not register.allows(value, now, now):
            world.problem(f"version {known} is {value!r}; writes: {register.writes}")
        if value == NOTHING:
            del world.versions[known]
        else:
            register.settle(value, now)
    for (key, version_id), label in listed.items():
        _unanswered(world, key, version_id, label)
    world.unnamed.clear()


def _version(world: World, s3: Any, each: Any) -> str:
    named = {"Bucket": VERSIONED, "Key": each["Key"], "VersionId": each["VersionId"]}
    found = s3.get_object(**named)
    label = str(found["Metadata"]["label"])
    if problem := wrong(world, label, found, found["Body"].read()):
        world.problem(f"version {named}: {problem}")
    if each["IsLatest"]:
        current = s3.head_object(Bucket=VERSIONED, Key=each["Key"])
        if current["VersionId"] != each["VersionId"]:
            world.problem(f"{each} is listed as the latest, HEAD says {current['VersionId']}")
    return label


def _unanswered(world: World, key: str, version_id: str, label: str) -> None:
    """A version whose writer got no answer: it was asked for, and once."""
    if label == "marker":
        asked = [each for each in world.unnamed if world.kinds[each] == "marker"]
        label = next((each for each in asked if world.unnamed[each] == key), label)
    if world.unnamed.pop(label, None) != key:
        world.problem(f"version {version_id} of {key}, {label!r}, was never asked for")
    register = Register()
    register.settle(label, time.monotonic())
    world.versions[key, version_id] = register


# --- the disk ------------------------------------------------------------------------------------


def _tree(world: World, folder: Path, listed: set[str], pruned: bool) -> None:
    """The files at home are objects; the others have a home that no path can be."""
    found = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".eucabox" not in path.parts
    }
    if not found <= listed:
        world.problem(f"{folder} has {found - listed}, which are not listed")
    hashed = [each for each in (folder / ".eucabox" / "objects").glob("*/*") if each.suffix == ""]
    if len(found) + len(hashed) != len(listed):
        world.problem(f"{folder} has {len(found)}+{len(hashed)} files, {len(listed)} are listed")
    empty = [str(path) for path in folder.rglob("*") if path.is_dir() and not any(path.iterdir())]
    left = [each for each in empty if ".eucabox" not in each]
    if left and pruned:
        world.problem(f"folders without an object: {left}")


def _leftovers(world: World, root: Path) -> None:
    reserved = [root / ".eucabox" / "new", root / ".eucabox" / "gone"]
    reserved += root.glob("*/.eucabox/temporary")
    left = [str(path) for folder in reserved if folder.exists() for path in folder.iterdir()]
    if left:
        world.problem(f"temporary files: {left}")
