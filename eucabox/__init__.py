"""eucabox: a private EC2 and S3 cloud in one process on one machine."""

__version__ = "0.1.0"
