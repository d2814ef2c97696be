"""The verbs of S3 and S3 Control, a file per resource; never HTTP."""
