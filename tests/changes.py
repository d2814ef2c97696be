"""What an object is given after it was put: access list, tags."""

from dataclasses import replace

from eucabox.bucket import Object, Store
from eucabox.store.types import Acl


def set_acl(store: Store, bucket: str, key: str, acl: Acl | None) -> Object:
    return store.change_object(bucket, key, lambda properties: replace(properties, acl=acl))


def set_tags(
    store: Store, bucket: str, key: str, tags: dict[str, str], version_id: str = ""
) -> Object:
    return store.change_object(
        bucket, key, lambda properties: replace(properties, tags=tags), version_id
    )
