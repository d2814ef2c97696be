"""The actions of IAM, a file per resource."""
