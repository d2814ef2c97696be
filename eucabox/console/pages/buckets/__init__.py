"""The pages of buckets and objects, and the road by which browsers send files."""

from eucabox.console.pages.buckets import (
    bucket_access,
    bucket_list,
    bucket_settings,
    object_bytes,
    object_page,
    objects,
    uploads,
)
from eucabox.console.pages.buckets.bucket_page import pages

__all__ = [
    "bucket_access",
    "bucket_list",
    "bucket_settings",
    "object_bytes",
    "object_page",
    "objects",
    "pages",
    "uploads",
]
