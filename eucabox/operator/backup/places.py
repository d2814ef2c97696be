"""What each name in a backup stands for; a name that is none of these is refused.

backup.json                                  what made the backup, first of all
buckets/NAME/.eucabox/bucket.json            a bucket's settings: when it was begun, and at its end
buckets/NAME/.eucabox/uploads/ID/FILE        a part of an upload, or upload.json, which is last
buckets/NAME/.eucabox/objects/hh/HASH.key    a key that no path can hold, before the object HASH
buckets/NAME/.eucabox/versions/hh/HASH/key   a key that has versions, before these
buckets/NAME/a/b/c.txt                       the object a/b/c.txt
state/FILE                                   the database, and the files of keys and names
images/NAME.FORMAT, images/NAME.json         a file of the image cache, and what is known of it
instances/ID/FILE                            the disk of a stopped instance
settings/FILE                                a file of the configuration
manifest.json                                what is in the backup, last of all
"""

import re
from dataclasses import dataclass

from eucabox.errors import Fault
from eucabox.store.paths import LONGEST_KEY, RESERVED, check_bucket_name, components, digest
from eucabox.store.version_ids import VERSION_KEY

HEAD, MANIFEST, DATABASE = "backup.json", "manifest.json", "eucabox.db"
STATE_FILES = {  # in the data directory, with their modes there
    DATABASE: 0o600,
    "key": 0o600,
    "bucket-keys": 0o600,
    "names.json": 0o644,
    "lifecycle": 0o644,
    "ca/ca.crt": 0o644,
    "ca/ca.key": 0o600,
    "ca/cloud.crt": 0o644,
    "ca/cloud.key": 0o600,
    "ca/server.crt": 0o644,
    "ca/server.key": 0o600,
    "network/subnet": 0o644,
}
INSTANCE_FILES = (
    "disk.qcow2", "disk-sda2.qcow2", "disk-sda3.qcow2", "seed.iso", "nvram.fd", "boot.json",
)  # fmt: skip
SETTINGS, OBJECT, HASHED_KEY, HASHED, VERSION_OF, VERSION, UPLOAD = (
    "settings", "object", "hashed key", "hashed", "version of", "version", "upload",
)  # fmt: skip
HASH = r"(?P<hh>[0-9a-f]{2})/(?P<hash>[0-9a-f]{64})"
RESERVED_NAMES = (
    (SETTINGS, re.compile(r"bucket\.json")),
    (UPLOAD, re.compile(r"uploads/(?P<id>[0-9a-f]{40})/(?P<name>[0-9]{5}|upload\.json)", re.ASCII)),
    (HASHED_KEY, re.compile(rf"objects/{HASH}\.key")),
    (HASHED, re.compile(rf"objects/{HASH}")),
    (VERSION_OF, re.compile(rf"versions/{HASH}/key")),
    (VERSION, re.compile(rf"versions/{HASH}/(?P<name>{VERSION_KEY.pattern}(?:\.marker)?)")),
)
IMAGE = re.compile(r"(?P<name>[0-9a-z][0-9a-z-]{0,199})\.(?P<form>raw|qcow2|json)")
INSTANCE = re.compile(r"(?P<id>i-[0-9a-f]{8,17})/(?P<name>[a-z0-9.-]+)")
CONFIGURATION = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}/)?[A-Za-z0-9_-][\w.-]{0,199}")


@dataclass(frozen=True)
class MemberPlace:
    """Where a member belongs: `room` is the first part of its name, `kind` what it is in a
    bucket, `owner` the bucket, the instance or the name of the image, `name` the file."""

    room: str
    name: str
    owner: str = ""
    kind: str = ""
    upload_id: str = ""
    hash: str = ""


def parse_name(name: str) -> MemberPlace | None:
    """Return the place of a member's name; None if no backup has such a name."""
    room, _, rest = name.partition("/")
    if name in (HEAD, MANIFEST):
        return MemberPlace(name, name)
    if room == "buckets":
        bucket, _, path = rest.partition("/")
        return _parse_bucket(bucket, path)
    if room == "state":
        return MemberPlace(room, rest) if rest in STATE_FILES else None
    if room == "images" and (match := IMAGE.fullmatch(rest)):
        return MemberPlace(room, rest, owner=match["name"])
    if room == "instances" and (match := INSTANCE.fullmatch(rest)):
        return (
            MemberPlace(room, match["name"], match["id"])
            if match["name"] in INSTANCE_FILES
            else None
        )
    if room == "settings" and CONFIGURATION.fullmatch(rest):
        return MemberPlace(room, rest)
    return None


def _parse_bucket(bucket: str, path: str) -> MemberPlace | None:
    try:
        check_bucket_name(bucket)
    except Fault:
        return None
    first, _, rest = path.partition("/")
    if first != RESERVED:
        key = path.encode()
        fits = 0 < len(key) <= LONGEST_KEY and components(key, 0) is not None
        return MemberPlace("buckets", path, bucket, OBJECT) if fits else None
    for kind, pattern in RESERVED_NAMES:
        if match := pattern.fullmatch(rest):
            found = match.groupdict()
            if found.get("hash", "")[:2] != found.get("hh", ""):
                return None
            name, upload_id = found.get("name", rest), found.get("id", "")
            return MemberPlace("buckets", name, bucket, kind, upload_id, found.get("hash", ""))
    return None


def make_hashed_path(kind: str, key: bytes, name: str = "") -> str:
    """Return the path in a bucket's folder of a key's file that lies under its hash."""
    found = digest(key)
    folder = f"{RESERVED}/{'versions' if kind in (VERSION, VERSION_OF) else 'objects'}/{found[:2]}"
    if kind in (VERSION, VERSION_OF):
        return f"{folder}/{found}/{name or 'key'}"
    return f"{folder}/{found}{'.key' if kind == HASHED_KEY else ''}"
