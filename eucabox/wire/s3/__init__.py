"""S3 as REST: understand, answer, refuse; never runs a verb."""

from eucabox.wire.s3.answers import answer
from eucabox.wire.s3.refusals import refuse
from eucabox.wire.s3.requests import Understood, understand

__all__ = ["Understood", "answer", "refuse", "understand"]
