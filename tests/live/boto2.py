"""boto 2.49 under every Python: its copy of six does not import since 3.12; six itself does."""

import importlib
import sys
import types

MOVES = ("", ".queue", ".http_client", ".urllib", ".urllib.parse", ".urllib.request")


def _replace_six() -> None:
    sys.modules["boto.vendored.six"] = importlib.import_module("six")
    for name in MOVES:
        module = importlib.import_module(f"six.moves{name}")
        sys.modules[f"boto.vendored.six.moves{name}"] = module
    sys.modules.setdefault("imp", types.ModuleType("imp"))  # for plugins, of which there are none


if sys.version_info >= (3, 12):
    _replace_six()

import boto  # noqa: E402  # what comes before is for it
import boto.ec2.regioninfo  # noqa: E402
import boto.s3.connection  # noqa: E402

__all__ = ["boto"]
