"""Requests that no honest client sends, by the hundred thousand, and what must hold of each."""
