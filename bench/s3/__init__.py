"""S3 servers side by side on one disk: a light client, the peers, the figures as ratios."""

from bench.s3 import figures


def main() -> None:
    figures.run([])
