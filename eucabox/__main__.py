"""`python -m eucabox` is the command `eucabox`."""

from eucabox.cli import main

main()
