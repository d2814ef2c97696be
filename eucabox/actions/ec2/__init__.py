"""The actions of EC2, a file per resource."""
