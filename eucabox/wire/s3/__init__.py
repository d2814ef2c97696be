"""S3 as REST: understand, answer, refuse; never runs a verb."""

from eucabox.wire.s3.errors import refuse
from eucabox.wire.s3.requests import S3Request, understand
from eucabox.wire.s3.responses import answer

__all__ = ["S3Request", "answer", "refuse", "understand"]
