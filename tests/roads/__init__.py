"""The straight road beside the general one: the same requests down both, on equal clouds."""
