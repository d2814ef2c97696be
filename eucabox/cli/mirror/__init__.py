"""`eucabox bucket mirror`: a bucket copied one way to another S3, checked and kept alike."""
