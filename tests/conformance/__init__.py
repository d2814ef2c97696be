"""Suites of other projects, run against a real eucabox; their sources are named, never kept."""
