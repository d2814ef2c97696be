"""What an object is given after it was put: access list, tags."""

from dataclasses import replace
from typing import Any

from eucabox.bucket import Object, Store


def set_acl(store: Store, bucket: str, key: str, acl: dict[str, Any] | None) -> Object:
    return store.change_object(bucket, key, lambda properties: replace(properties, acl=acl))


def set_tags(
    store: Store, bucket: str, key: str, tags: dict[str, str], version_id: str = ""
) -> Object:
    return store.change_object(
        bucket, key, lambda properties: replace(properties, tags=tags), version_id
    )
