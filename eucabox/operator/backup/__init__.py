"""The whole cloud in one sealed file: writes, verifies and restores it (docs/backup.md)."""
