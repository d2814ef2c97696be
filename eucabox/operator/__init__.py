"""What the operator of the cloud looks at: its log, its settings, its faults, who uses how much."""
