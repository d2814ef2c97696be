"""STS: who a caller is, and temporary credentials; never a permanent key."""
