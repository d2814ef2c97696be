"""What S3 means: access, ACLs, locks, encryption, conditions, lifecycle; never a file or HTTP."""
