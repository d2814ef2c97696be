"""A caged program has memory for the threads that qemu-img starts, and no more than MEMORY."""

import sys

import pytest

from eucabox.errors import ProgramFailed
from eucabox.image.caged_programs import MEMORY, run_caged

# As many as qemu-img starts for slow disks, each with something of its own in memory.
THREADS = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
everybody = threading.Barrier(64)
def work():
    assert libc.malloc(1000)
    everybody.wait()
threads = [threading.Thread(target=work) for _ in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("all")
"""


def test_sixty_four_threads_fit() -> None:
    assert run_caged(sys.executable, "-c", THREADS) == b"all\n"


def test_what_is_larger_than_its_memory_fails() -> None:
    with pytest.raises(ProgramFailed) as problem:
        run_caged(sys.executable, "-c", f"bytearray({MEMORY})")
    assert "MemoryError" in problem.value.message
