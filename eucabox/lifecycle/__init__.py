"""What buckets' lifecycle rules say, and the thread that carries them out; never HTTP."""

from eucabox.lifecycle.engine import Lifecycle

__all__ = ["Lifecycle"]
