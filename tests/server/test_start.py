"""What a start loads, and what waits for who needs it: at rest the process is mostly its code."""

import gc
import subprocess
import sys

import pytest

from eucabox import api, server

RARE = (
    *("flask", "jinja2", "werkzeug", "wsproto", "eucabox.console"),  # for people
    *("botocore.model", "urllib3", "boto3"),
    *("pycdlib", "segno", "jwt", "html", "xml.sax", "email.headerregistry"),
)
SCRIPT = """
import sys
from eucabox import api, server
api.preload()
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_a_start_loads_nothing_that_most_clouds_never_need() -> None:
    argv = [sys.executable, "-c", SCRIPT, *RARE]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_garbage_is_looked_for_whatever_becomes_of_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("a model can't be read")

    monkeypatch.setattr(api, "preload", fail)
    gc.disable()
    try:
        with pytest.raises(OSError, match="a model"):
            server._warm_up()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
