"""The actions of S3 and S3 Control, a file per resource."""
