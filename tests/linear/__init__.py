"""Clients on few keys, kills in between, and a checker that judges whether what they were told has
one order."""
