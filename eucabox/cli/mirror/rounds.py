"""The order of a mirror: all keys once, and then those that change; copies nothing itself."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import click
from botocore.exceptions import BotoCoreError, ClientError

from eucabox.cli.mirror.copier import Copier, MirrorOptions
from eucabox.cli.mirror.pace import Pace
from eucabox.cli.mirror.source import explain

THREADS = 4
QUEUED = 64  # keys that wait for a thread
MOST_FAILURES = 1000  # after which the rest is not tried
LOOK, LONGEST_LOOK = 1.0, 5.0  # seconds between two looks for changes; longer while there are none
RETRY = 30.0  # seconds between two tries of what failed
LONGEST_WAIT = 60.0  # between two tries to reach a cloud that is down

Work = Callable[[], object]


class Rounds:
    """Mirrors a bucket, and follows it."""

    def __init__(self, copier: Copier, pace: Pace, options: MirrorOptions) -> None:
        self._copier, self._pace, self._options = copier, pace, options

    def mirror_all(self) -> None:
        """Bring every key up to date.

        Raises MirrorStoppedError, and ClickException where so many fail that the destination must
        be at fault.
        """
        source = self._copier.source
        with self._workers() as submit:
            if self._options.with_versions:
                for key, versions in source.list_versions():
                    submit(partial(self._copier.mirror, key, versions))
            else:
                for key in source.list_keys():
                    submit(partial(self._copier.mirror, key))
        if self._options.deletes:
            with self._workers() as submit:
                for key in self._copier.destination.list_keys():
                    submit(partial(self._copier.try_delete, key))
        self._copier.drop_old_uploads()

    def follow(self, position: str) -> None:
        """Mirror what changes until the mirror is told to end; one that is told to ends with
        MirrorStoppedError."""
        wait, retry_in = LOOK, RETRY
        while True:
            self._pace.wait(wait)
            try:
                position, is_complete, keys = self._copier.source.read_changes(position)
            except click.ClickException as problem:  # the cloud is being restarted
                click.echo(f"waiting: {problem.format_message()}", err=True)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            if not is_complete:
                position = position if self._try_all() else ""  # without one all is compared again
                wait = LOOK
                continue
            retry_in -= wait
            if retry_in <= 0:
                keys, retry_in = [*keys, *self._pace.counts.failures], RETRY
            wait = LOOK if keys else min(1.5 * wait, LONGEST_LOOK)
            self._mirror_keys(keys)

    def _try_all(self) -> bool:
        """Mirror everything; False where a side does not answer, as it is being restarted."""
        try:
            self.mirror_all()
        except (BotoCoreError, ClientError) as problem:
            click.echo(f"waiting: {explain(problem)}", err=True)
            return False
        return True

    def _mirror_keys(self, keys: Iterable[str]) -> None:
        with self._workers() as submit:
            for key in dict.fromkeys(keys):
                submit(partial(self._copier.mirror, key))

    @contextmanager
    def _workers(self) -> Iterator[Callable[[Work], None]]:
        """Yield what hands work to a few threads; at the end wait for them, and raise the first
        of their errors."""
        places = threading.Semaphore(QUEUED)
        begun: list[Future[object]] = []

        def run(work: Work) -> object:
            try:
                return work()
            finally:
                places.release()

        def submit(work: Work) -> None:
            while not places.acquire(timeout=1):
                self._pace.check()
            self._check_failures()
            begun[:] = [each for each in begun if not each.done() or each.exception()]
            begun.append(pool.submit(run, work))

        with ThreadPoolExecutor(THREADS, thread_name_prefix="mirror") as pool:
            try:
                yield submit
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        for each in begun:
            each.result()

    def _check_failures(self) -> None:
        self._pace.check()
        failures = self._pace.counts.failures
        if len(failures) >= MOST_FAILURES:
            (first, *_) = failures.values()
            raise click.ClickException(
                f"{len(failures)} objects failed, so the rest is not tried. The first:"
                f" {first.key}: {first.reason}"
            )
