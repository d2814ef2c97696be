"""What the C library does with memory that is freed; allocates none itself."""

import ctypes

# mallopt's numbers, as glibc has them
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
ARENAS = 2  # there is one interpreter: more arenas only keep more for themselves
LARGE = 256 * 1024  # bytes that are mapped, and so given back as soon as they are free
SPARE = 1 << 20


def limit_arenas() -> None:
    """Have freed memory given back to the system, so that a busy hour leaves no mark."""
    library = ctypes.CDLL(None)
    tune = getattr(library, "mallopt", None)
    if tune is None:  # a C library other than glibc
        return
    for name, value in ((ARENA_MAX, ARENAS), (MMAP_THRESHOLD, LARGE), (TRIM_THRESHOLD, SPARE)):
        tune(name, value)
