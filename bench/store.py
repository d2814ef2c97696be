"""Measures the bucket store against plain files: prints rates and ratios; keeps nothing.

Usage: python bench/store.py [folder]   (the folder's disk is what is measured)
"""

import hashlib
import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from eucabox.bucket import ObjectProperties, Store

OWNER = "111122223333"
FACTS = ObjectProperties(content_type="application/octet-stream", owner=OWNER)
SMALL = os.urandom(4096)
LARGE = os.urandom(64 << 20)
COUNT = 800
TURNS = 4
LISTED = 10_000
THREADS = 8


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def best(work: Callable[[], object], times: int = 3) -> float:
    return min(timed(work) for _ in range(times))


def plain_puts(folder: Path) -> None:
    """Write, flush, rename and flush the folder: what no store that keeps its word can beat."""
    descriptor = os.open(folder, os.O_RDONLY)
    for number in range(COUNT):
        new = folder / "new"
        with new.open("wb", buffering=0) as file:
            file.write(SMALL)
            hashlib.md5(SMALL, usedforsecurity=False).hexdigest()
            os.fdatasync(file.fileno())
        new.rename(folder / f"plain{number}")
        os.fsync(descriptor)
    os.close(descriptor)


def plain_large(folder: Path) -> None:
    md5 = hashlib.md5(usedforsecurity=False)
    with (folder / "large").open("wb", buffering=0) as file:
        for start in range(0, len(LARGE), 1 << 20):
            piece = memoryview(LARGE)[start : start + (1 << 20)]
            md5.update(piece)
            file.write(piece)
        os.fdatasync(file.fileno())


def puts(store: Store, prefix: str, count: int) -> None:
    for number in range(count):
        store.put("bench", f"{prefix}/{number:06}", io.BytesIO(SMALL), FACTS)


def gets(store: Store, prefix: str, count: int) -> None:
    for number in range(count):
        with store.open("bench", f"{prefix}/{number:06}") as found:
            b"".join(found.chunks())


def in_threads(work: Callable[[Store, str, int], None], store: Store) -> None:
    threads = [
        threading.Thread(target=work, args=(store, f"t{number}", COUNT // THREADS))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def pages(store: Store) -> None:
    after, count = "", 0
    while True:
        page = store.list("bench", prefix="listed/", start_after=after)
        count += len(page.objects)
        if page.next is None:
            break
        after = page.next
    assert count == LISTED


def small(store: Store, folder: Path) -> None:
    # By turns, so that a disk which others use is the same for both.
    plain = one = many = 0.0
    for turn in range(TURNS):
        plain = max(plain, COUNT / timed(lambda: plain_puts(folder)))
        one = max(one, COUNT / timed(partial(puts, store, f"one{turn}", COUNT)))
        many = max(many, COUNT / timed(lambda: in_threads(puts, store)))
    print(f"PUT 4 KiB, 1 thread    {one:8.0f} /s   {one / plain:.2f} of plain files")
    print(f"PUT 4 KiB, {THREADS} threads   {many:8.0f} /s   {many / plain:.2f} of the same")
    get = COUNT / best(lambda: gets(store, "one0", COUNT))
    print(f"GET 4 KiB, 1 thread    {get:8.0f} /s")
    get = COUNT / best(lambda: in_threads(gets, store))
    print(f"GET 4 KiB, {THREADS} threads   {get:8.0f} /s")


def large(store: Store, folder: Path) -> None:
    plain = put = 0.0
    for _ in range(TURNS):
        plain = max(plain, 64 / timed(lambda: plain_large(folder)))
        body = io.BytesIO(LARGE)
        put = max(put, 64 / timed(partial(store.put, "bench", "large", body, FACTS)))
    print(f"PUT 64 MiB             {put:8.0f} MiB/s  {put / plain:.2f} of plain write + MD5")
    copied = 64 / best(lambda: store.copy("bench", "large", "bench", "copy"))
    print(f"COPY 64 MiB            {copied:8.0f} MiB/s")


def listing(store: Store) -> None:
    puts(store, "listed", LISTED)
    print(f"LIST {LISTED} keys       {best(lambda: pages(store)):8.3f} s")
    rate = LISTED / timed(lambda: store.rescan("bench"))
    print(f"RESCAN                 {rate:8.0f} /s")
    gone = timed(lambda: [store.delete("bench", f"listed/{n:06}") for n in range(COUNT)])
    print(f"DELETE                 {COUNT / gone:8.0f} /s")


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        plain = Path(folder) / "plain"
        plain.mkdir()
        store = Store(Path(folder) / "buckets")
        store.create_bucket("bench", OWNER)
        small(store, plain)
        large(store, plain)
        listing(store)
        store.close()


if __name__ == "__main__":
    main()
