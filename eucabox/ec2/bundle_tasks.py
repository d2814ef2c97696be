"""Bundle tasks: one row each, carried out in the background; bundles and images of instances."""

import contextlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from eucabox import ids, instance_states
from eucabox.config import Config
from eucabox.errors import BundleCancelled, BundlingInProgress, Fault, InstanceGone
from eucabox.hypervisor import architecture
from eucabox.image import snapshot
from eucabox.image.workers import Workers
from eucabox.instance_states import BUNDLING, NO_REASON, InstanceState
from eucabox.state import State

if TYPE_CHECKING:
    from eucabox.bucket import Store
    from eucabox.iam.accounts import Accounts
    from eucabox.iam.caller import Caller
    from eucabox.images import Images
    from eucabox.node import Node

log = logging.getLogger("eucabox.bundles")
OPEN = ("pending", "waiting-for-shutdown", "bundling", "storing", "cancelling")
POLL = 0.5  # seconds between two looks at the row of an instance that is shutting down
KEPT_DAYS = 7  # for which a finished task stays listed
BUNDLED_ACL = "ec2-bundle-read"


class _StoppedError(Exception):
    """The cloud is being stopped; the task resumes at the next start."""


class BundleTaskRow(TypedDict):
    """A bundle task."""

    bundle_id: str
    instance_id: str
    account_id: str
    user_id: str
    owner: str
    bucket: str
    prefix: str
    state: str
    progress: int
    error_code: str
    error_message: str
    start_time: str
    update_time: str
    image_id: str | None
    no_reboot: int
    copied: int
    restart: int
    context: str


class OwnedInstance(TypedDict):
    """What a task notes of its instance."""

    instance_id: str
    account_id: str


class BundleTasks:
    """Copies the disk of a stopped or paused instance and bundles the copy."""

    def __init__(
        self,
        config: Config,
        state: State,
        store: "Store",
        accounts: "Accounts",
        images: "Images",
        node: "Node",
    ) -> None:
        self._folder = config.cloud.data_dir / "bundles"
        self._state = state
        self._store = store
        self._accounts = accounts
        self._images = images
        self._node = node
        self._stopping = threading.Event()
        self._worker = Workers("bundles", 1)

    def start(self) -> None:
        """Resume tasks that an earlier process did not finish."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        rows = self._state.query(f"select bundle_id from bundle_tasks where state in {OPEN}")
        for path in self._folder.iterdir():
            if path.name not in {row["bundle_id"] for row in rows}:
                shutil.rmtree(path, ignore_errors=True)
        for row in rows:
            self._worker.submit(self._carry_out, row["bundle_id"])

    def close(self) -> None:
        """Stop at the next step; unfinished tasks resume at the next start."""
        self._stopping.set()
        if not self._worker.close():
            log.warning("a bundle is still being worked on; the next start takes it up")

    def create_task(self, caller: "Caller", instance: OwnedInstance, **columns: object) -> str:
        """Write a task, state pending, that the worker carries out, and return its id; call in a
        transaction.

        `columns` are bucket, prefix, owner (of the objects), context (of the request, as JSON),
        no_reboot and, of an image that is to be made, image_id.
        Raises BundlingInProgress, and NoSigningCertificate where the account has none.
        """
        self._accounts.signing_pair(caller)
        instance_id = instance["instance_id"]
        if task := find_open_task(self._state, instance_id):
            raise bundling_in_progress(instance_id, task)
        now = ids.now()
        bundle_id = ids.new("bun")
        row = {
            "bundle_id": bundle_id,
            "instance_id": instance_id,
            "account_id": instance["account_id"],
            "user_id": caller.user_id,
            "state": "pending",
            "start_time": now,
            "update_time": now,
            **columns,
        }
        with self._state.transaction() as database:
            database.conn.execute(
                f"delete from bundle_tasks where state not in {OPEN}"
                " and julianday(update_time) < julianday('now', ?)",
                (f"-{KEPT_DAYS} days",),
            )
            self._state.insert("bundle_tasks", row)
        return bundle_id

    def submit(self, bundle_id: str) -> None:
        """Have the worker carry out a task whose row is written."""
        self._worker.submit(self._carry_out, bundle_id)

    def _carry_out(self, bundle_id: str) -> None:
        task = self._get_task(bundle_id)
        if task["state"] not in OPEN:
            return
        code, message = "", ""
        try:
            self._run_steps(task)
        except _StoppedError:
            log.info("%s goes on at the next start", bundle_id)
            return
        except Fault as fault:
            code, message = fault.code, fault.message
        except Exception as problem:  # the worker must survive every task
            log.exception("%s failed", bundle_id)
            code, message = "Server.InternalError", f"{type(problem).__name__}: {problem}"
        with contextlib.suppress(_StoppedError):  # then it ends at the next start
            self._resume(task)
            self._end(task, code, message)

    def _run_steps(self, task: BundleTaskRow) -> None:
        folder = self._folder / task["bundle_id"]
        self._note_progress(task)
        if not self._get_task(task["bundle_id"])["copied"]:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            with self._node.copying, self._quiesce(task):
                boot = self._images.disk_of(task["instance_id"])
                snapshot.take(boot, folder / "image", lambda: self._note_progress(task))
            self._update(task, copied=1)
        self._resume(task)
        self._note_progress(task, state="bundling")
        manifest = self._bundle(task, folder)
        self._note_progress(task, state="storing")
        self._put(task, manifest)
        if task["image_id"]:
            context = json.loads(task["context"])
            self._images.bundle_ready(task["image_id"], self._get_caller(task), context)

    @contextlib.contextmanager
    def _quiesce(self, task: BundleTaskRow) -> Iterator[None]:
        """Keep the disk unchanged: shut the guest down, or pause it while the copy is made."""
        if not task["no_reboot"]:
            self._shut_down(task)
            yield
            return
        self._node.suspend(task["instance_id"])
        try:
            yield
        finally:
            self._node.resume(task["instance_id"])

    def _shut_down(self, task: BundleTaskRow) -> None:
        """Shut down a running guest and wait until it has stopped; `_resume` starts it again."""
        self._note_progress(task, state="waiting-for-shutdown")
        with self._state.transaction():
            if instance_states.change(
                self._state,
                task["instance_id"],
                InstanceState.RUNNING,
                InstanceState.STOPPING,
                BUNDLING,
                wanted="stop",
            ):
                self._update(task, restart=1)
        self._node.wake()
        while (now := self._instance_state(task)) != "stopped":
            if now not in ("stopping", "pending"):
                raise InstanceGone(id=task["instance_id"], state=now)
            self._stopping.wait(POLL)
            self._note_progress(task)

    def _resume(self, task: BundleTaskRow) -> None:
        """Start or resume the instance that was shut down or paused for a task."""
        if task["no_reboot"]:
            with self._node.copying, contextlib.suppress(Fault):
                self._node.resume(task["instance_id"])
        if not self._get_task(task["bundle_id"])["restart"]:
            return
        while self._instance_state(task) == "stopping":  # a cancelled task is here that early
            if self._stopping.wait(POLL):
                raise _StoppedError
        with self._state.transaction():
            instance_states.change(
                self._state,
                task["instance_id"],
                InstanceState.STOPPED,
                InstanceState.PENDING,
                NO_REASON,
                wanted="",
                launch_time=ids.now(),
            )
            self._update(task, restart=0)
        self._node.wake()

    def _bundle(self, task: BundleTaskRow, folder: Path) -> Path:
        caller = self._get_caller(task)
        pair = self._accounts.signing_pair(caller)
        parts = folder / "parts"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()

        looked = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal looked
            if self._stopping.is_set():
                raise _StoppedError
            if time.monotonic() - looked < POLL:
                return
            looked = time.monotonic()
            share = 100 * done // max(total, 1)
            grown = share >= self._get_task(task["bundle_id"])["progress"] + 5
            self._note_progress(task, **({"progress": share} if grown else {}))

        from eucabox.image import bundle  # with the module of tar archives

        sql = "select * from instances where instance_id = ?"
        instance = self._state.one(sql, (task["instance_id"],)) or {}
        return bundle.bundle(
            folder / "image",
            parts,
            user=caller.account_id,
            cloud_certificate=self._accounts.cloud_certificate,
            user_certificate=pair.certificate,
            user_private_key=pair.private_key,
            prefix=task["prefix"].rpartition("/")[2],
            architecture=instance.get("architecture", architecture.HOST.ec2[-1]),
            kernel_id=instance.get("kernel_id"),
            ramdisk_id=instance.get("ramdisk_id"),
            progress=progress,
        )

    def _put(self, task: BundleTaskRow, manifest: Path) -> None:
        """Put the parts into the bucket, and the manifest last: it completes the bundle."""
        above, context = task["prefix"].rpartition("/"), json.loads(task["context"])
        files = sorted(set(manifest.parent.iterdir()) - {manifest})
        for file in (*files, manifest):
            self._note_progress(task)
            with file.open("rb") as stream:
                key = above[0] + above[1] + file.name
                # Checked for each: the bucket may belong to another account by now.
                uploader = self._accounts.user_of(task["owner"])
                self._images.store_for(task["bucket"], key, stream, uploader, BUNDLED_ACL, context)

    def _end(self, task: BundleTaskRow, code: str, message: str) -> None:
        shutil.rmtree(self._folder / task["bundle_id"], ignore_errors=True)
        if code:
            log.warning("%s of %s failed: %s", task["bundle_id"], task["instance_id"], message)
        with self._state.transaction():
            if code and task["image_id"]:
                self._images.mark_failed(task["image_id"], message)
            state = "failed" if code else "complete"
            outcome = {"error_code": code, "error_message": message}
            self._update(task, state=state, **outcome, **({} if code else {"progress": 100}))

    def _note_progress(self, task: BundleTaskRow, **columns: object) -> None:
        """Write a task's progress; raises if it is cancelled or the cloud is being stopped."""
        if self._stopping.is_set():
            raise _StoppedError
        with self._state.transaction():
            if self._get_task(task["bundle_id"])["state"] == "cancelling":
                raise BundleCancelled(id=task["bundle_id"])
            if columns:
                self._update(task, **columns)

    def _update(self, task: BundleTaskRow, **columns: object) -> None:
        where = {"bundle_id": task["bundle_id"]}
        self._state.update("bundle_tasks", where, update_time=ids.now(), **columns)
        self._state.announce(task["account_id"], "instances")

    def _get_task(self, bundle_id: str) -> BundleTaskRow:
        sql = "select * from bundle_tasks where bundle_id = ?"
        row = self._state.select_one(BundleTaskRow, sql, (bundle_id,))
        assert row is not None
        return row

    def _instance_state(self, task: BundleTaskRow) -> str:
        sql = "select state from instances where instance_id = ?"
        row = self._state.one(sql, (task["instance_id"],))
        return str(row["state"]) if row else "gone"

    def _get_caller(self, task: BundleTaskRow) -> "Caller":
        users = [each for each in self._accounts.users() if each.user_id == task["user_id"]]
        if not users:
            raise InstanceGone(id=task["instance_id"], state="without the user that asked")
        return users[0]


def find_open_task(state: State, instance_id: str) -> BundleTaskRow | None:
    """Return the task that is not finished and needs an instance as it is, or None."""
    sql = f"select * from bundle_tasks where instance_id = ? and state in {OPEN}"
    return state.select_one(BundleTaskRow, sql, (instance_id,))


def bundling_in_progress(instance_id: str, task: BundleTaskRow) -> BundlingInProgress:
    """Return the fault that names the task in progress; that of an image can't be cancelled."""
    if task["image_id"]:
        text = f" for the image {task['image_id']}"
        return BundlingInProgress(id=instance_id, task=text, cancel="")
    text = f" by the task {task['bundle_id']}"
    return BundlingInProgress(id=instance_id, task=text, cancel=", or cancel it")
