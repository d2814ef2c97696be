"""Opens every component once, in order, and hands them to every call."""

import contextlib
import dataclasses
import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eucabox import __version__, ids, logs, network
from eucabox import config as configuration
from eucabox.atomic_files import make_folder, name_owner, name_user, write_atomic
from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.ec2 import instances
from eucabox.ec2.bundle_tasks import BundleTasks
from eucabox.ec2.exports import Exports
from eucabox.errors import DataFolderInUse, DataFolderUnusable, Fault, FilesOfAnotherUser
from eucabox.events import EventLog
from eucabox.iam import account_limits, credentials_folder
from eucabox.iam.accounts import Accounts
from eucabox.iam.sign_up import FirstRun, Recovery, SignUps
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.images import Images
from eucabox.mail import MailQueue, MailSender
from eucabox.mail import settings as mail_settings
from eucabox.network import last_settings
from eucabox.node import Node
from eucabox.operator.backup import restore_folder
from eucabox.operator.findings import Findings
from eucabox.process_lock import ProcessLock
from eucabox.s3 import bucket_policies
from eucabox.s3.access_log import AccessLog
from eucabox.s3.lifecycle import Lifecycle
from eucabox.seal import Seal
from eucabox.state import State
from eucabox.store import keyring
from eucabox.store.paths import RESERVED

log = logging.getLogger("eucabox.cloud")
FOLDERS = {"": 0o751, "run": 0o755, "network": 0o755, "cache": 0o751, "instances": 0o751}


class Cloud:
    """The one cloud of this process: opened, started, closed once.

    Raises DataFolderInUse when another process has the same data directory.
    """

    def __init__(self, config: Config) -> None:
        mail_settings.check(config)
        self.config = config
        self.started = datetime.now(UTC)
        self._problems: dict[str, str] = {}
        self._writing = threading.Lock()
        _make_folders(config)
        data = config.cloud.data_dir
        self._lock = ProcessLock(data / "run" / "lock")
        with _explain_refusals(self._lock.file, data):
            acquired = self._lock.acquire()
        if not acquired:
            raise DataFolderInUse(folder=data, pid=self._lock.holder())
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            restore_folder.refuse_unfinished(data)
            undo.pop_all()
        if not (data / "eucabox.db").exists():
            configuration.keep_names(config)
        self._status = data / "run" / "status.json"
        self.state = State(data / "eucabox.db")
        self.events = EventLog(self.state)
        self.accounts = Accounts(config, self.state)
        administrator = self.accounts.ensure_administrator().account_id
        self.store = Store(
            config.bucket_root,
            keyring.open_keyring(lambda: self.config, administrator),
            config.buckets.durability,
        )
        bucket_policies.name_by_ids(self.state, self.store)
        self.access_log = AccessLog(
            self.store,
            config.bucket_root / RESERVED / "access",
            config.cloud.region,
            lambda: self.config.buckets.access_log_seconds,
        )
        self.apply_limits()
        self.lifecycle = Lifecycle(config, self.store)
        self._open_sign_up(data)
        self.images = Images(config, self.state, self.store, self.accounts)
        self.network = network.load(config)
        self.node = Node(config, self.state, self.images, self.network)
        self.node.watch(self._write_status)
        self.capacity = self.node.capacity
        self.bundles = BundleTasks(
            config, self.state, self.store, self.accounts, self.images, self.node
        )
        self.exports = Exports(config, self.state, self.images, self.node)
        self.findings = Findings(lambda: self.config)

    def _open_sign_up(self, data: Path) -> None:
        attempts, queue = Attempts(), MailQueue(self.state, Seal(data / "key"))
        self.mail = queue
        self.sign_ups = SignUps(lambda: self.config, self.state, self.accounts, queue, attempts)
        self.recovery = Recovery(lambda: self.config, self.state, queue, attempts)
        self.first_run = FirstRun(lambda: self.config, self.state, self.accounts, attempts)
        self._mail_sender = MailSender(
            lambda: self.config,
            queue,
            lambda problem: self.note("mail", problem),
            self.sign_ups.drop_expired,
        )

    def start(self) -> None:
        """Bring up the network and the node's loop.

        What this host does not allow is noted and logged: buckets and accounts serve without it,
        and a launch that needs it says so in its StateReason.
        """
        last_settings.write(self.config)
        try:
            self.network.start(in_use=bool(instances.addresses(self.state)))
        except Fault as fault:
            self._problems["network"] = fault.message
            log.error("role=cluster network is not available: %s", fault.message)
        self.access_log.start()
        self.images.start()
        self.node.start()
        self.bundles.start()
        self.exports.start()
        self.lifecycle.start()
        self._mail_sender.start()
        if self.first_run.ensure_code():
            log.info(
                "the administrator has no password: a code that sets one is in the file"
                " %s; so does `eucabox user password`",
                self.first_run.file,
            )
        threading.Thread(target=self._write_status, name="status", daemon=True).start()
        self.state.release()

    def note(self, component: str, problem: str) -> None:
        """Record a component's problem for `eucabox status`; "" clears it."""
        if component == "metadata":
            self.node.metadata_problem = problem
        if problem == self._problems.get(component, ""):
            return
        if problem:
            self._problems[component] = problem
        else:
            del self._problems[component]
        self._write_status()

    def list_problems(self) -> list[str]:
        """Return what components could not do, a line each, from memory: it waits for nothing."""
        problems = self._problems.copy()  # other threads change it meanwhile
        if self.network.is_up:  # the problem at the start is over
            problems.pop("network", None)
        return [f"{component}: {text}" for component, text in problems.items()]

    def facts(self) -> dict[str, Any]:
        """Return what an operator asks first: since when it runs, where, on which hypervisor."""
        lines = self.list_problems()
        node = self.node.status()
        lines += [f"{instance_id}: {text}" for instance_id, text in node["guests"].items()]
        return {
            "version": __version__,
            "started": ids.time_text(self.started),
            "endpoint": credentials_folder.endpoint(self.config),
            **({"console": self.config.console.url + "/"} if self.config.console.enabled else {}),
            "log": logs.describe_place(self.config),
            "node": node,
            "network": {"mode": self.config.network.mode, "bridge": self.network.bridge},
            "problems": [*lines, *self.network.warnings()],
        }

    def reload(self) -> list[str]:
        """Read the configuration again and take over what a running eucabox can.

        Returns the keys that changed but need a restart. Raises ConfigError, changing nothing.
        """
        read = configuration.load(self.config.file)
        mail_settings.check(read)
        network.load(read)  # which raises where keys do not fit together
        new, waiting = _merge(self.config, read)
        self.config = new
        for component in (self.images, self.network, self.node):
            component.config = new
        self.apply_limits()
        self.node.wake()
        return waiting

    def apply_limits(self) -> None:
        """Have the store keep to the limits of the configuration, and to each account's own."""
        self.store.quota.own_limits = account_limits.list_own(self.state, self.config.limits)
        self.store.quota.limits = self.config.limits

    def _write_status(self) -> None:
        """In a thread at the start, because probing a hypervisor takes a second."""
        try:
            with self._writing:  # or an older view could come last
                text = json.dumps(self.facts(), indent=1)
                write_atomic(self._status, text.encode())
        except (Fault, OSError) as problem:
            log.warning("role=cloud no status is written: %s", problem)

    def close(self) -> None:
        """Stop the loops and close the files; running instances stay as they are."""
        self._status.unlink(missing_ok=True)
        self._mail_sender.close()
        self.accounts.key_use.close()
        self.lifecycle.close()
        self.exports.close()
        self.bundles.close()
        self.node.stop()
        self.images.close()
        self.network.stop()
        self.access_log.close()
        self.store.close()
        self.events.close()
        self.state.close()
        self._lock.release()


def _make_folders(config: Config) -> None:
    for name, mode in FOLDERS.items():
        folder = config.cloud.data_dir / name
        with _explain_refusals(folder, config.cloud.data_dir):
            make_folder(folder, mode)


@contextlib.contextmanager
def _explain_refusals(path: Path, data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        reason, owner = problem.strerror or str(problem), name_owner(path)
        user = name_user(os.geteuid())
        if isinstance(problem, PermissionError) and user == name_owner(data_dir) != owner:
            raise FilesOfAnotherUser(file=path, owner=owner, folder=data_dir, user=user) from None
        raise DataFolderUnusable(folder=path, reason=reason, owner=owner) from None


def _merge(old: Config, new: Config) -> tuple[Config, list[str]]:
    sections: dict[str, Any] = {}
    waiting = []
    for name in configuration.SECTIONS:
        before, after = getattr(old, name), getattr(new, name)
        live = configuration.reloadable(before)
        sections[name] = dataclasses.replace(before, **{key: getattr(after, key) for key in live})
        keys = [each.name for each in dataclasses.fields(before) if each.name not in live]
        waiting += [f"{name}.{key}" for key in keys if getattr(before, key) != getattr(after, key)]
    origins = {
        (section, key): file
        for config, is_live in ((old, False), (new, True))
        for (section, key), file in config.origins.items()
        if (key in configuration.reloadable(getattr(old, section))) == is_live
    }
    return dataclasses.replace(old, **sections, origins=origins), waiting
