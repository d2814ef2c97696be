"""Attacks on one eucabox, each bounded in clients and time, and what an honest client waits."""
