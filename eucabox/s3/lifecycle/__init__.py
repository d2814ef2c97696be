"""Lifecycle rules of buckets, and the thread that carries them out; never HTTP."""

from eucabox.s3.lifecycle.worker import Lifecycle

__all__ = ["Lifecycle"]
