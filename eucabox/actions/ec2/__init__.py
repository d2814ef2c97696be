"""The verbs of EC2, a file per resource; never HTTP."""
