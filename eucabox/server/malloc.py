"""Settings of the C library's allocator."""

import ctypes

# mallopt's numbers, as glibc has them
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
ARENAS = 2  # more arenas only hold more memory, as the GIL lets one thread run
# A block that is mapped is given back as soon as it is free, but costs a page fault for each 4 KiB:
# a third of the time of an answer with a thousand rows, which is some blocks of 2 MB.
LARGE = 4 << 20  # bytes that are mapped
SPARE = 8 << 20  # bytes that stay free at the end of the heap


def limit_arenas() -> None:
    """Give freed memory back to the system, so that the process shrinks again after a busy hour."""
    library = ctypes.CDLL(None)
    tune = getattr(library, "mallopt", None)
    if tune is None:  # a C library other than glibc
        return
    for name, value in ((ARENA_MAX, ARENAS), (MMAP_THRESHOLD, LARGE), (TRIM_THRESHOLD, SPARE)):
        tune(name, value)


def give_back() -> None:
    """Give back to the system what is free now, between other blocks too."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
