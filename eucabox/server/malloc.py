"""Settings of the C library's allocator."""

import ctypes

# mallopt's numbers, as glibc has them
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
ARENAS = 2  # more arenas only hold more memory, as the GIL lets one thread run
LARGE = 256 * 1024  # bytes that are mapped, and so given back as soon as they are free
SPARE = 1 << 20


def limit_arenas() -> None:
    """Give freed memory back to the system, so that the process shrinks again after a busy hour."""
    library = ctypes.CDLL(None)
    tune = getattr(library, "mallopt", None)
    if tune is None:  # a C library other than glibc
        return
    for name, value in ((ARENA_MAX, ARENAS), (MMAP_THRESHOLD, LARGE), (TRIM_THRESHOLD, SPARE)):
        tune(name, value)
