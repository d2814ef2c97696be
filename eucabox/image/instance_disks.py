"""An instance's own disk over the cache's files, and its key in it; never fetches an image."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.errors import ProgramFailed
from eucabox.hypervisor import architecture
from eucabox.image import disk, key_injection, seed, sparse
from eucabox.image.cache import Cache, CacheEntry
from eucabox.image.settings import ImageSettings
from eucabox.schema import InstanceRow

CMDLINE = "console={console} root=/dev/{disk}1"
MIB = 2**20
NOTE = "boot.json"
DISKS = {"scsi": "sda", "ide": "sda", "virtio": "vda"}  # as a guest's kernel names them
DISK, SEED, NVRAM = "disk.qcow2", "seed.iso", "nvram.fd"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Boot:
    """What a domain boots from.

    A kernel and a ramdisk of its own for images of a root partition, which see their disk as sda
    (`bus` is scsi); none for whole disks, which boot themselves (`bus` is virtio). An image's
    settings may want it otherwise. `uefi` has its `nvram` in a file of the instance's, `seed` is
    a CD-ROM on `seed_bus`. `notes` is what the user should know and nothing fails for.
    """

    kernel: Path | None
    ramdisk: Path | None
    disk: Path
    cmdline: str
    format: str = "qcow2"
    bus: str = "scsi"
    notes: tuple[str, ...] = ()
    nic_model: str = "virtio"
    uefi: bool = False
    nvram: Path | None = None
    seed: Path | None = None
    seed_bus: str = "scsi"


@dataclass(frozen=True)
class DiskSpec:
    """What a launch asks for; sizes in MiB, the key an OpenSSH line or empty.

    `seeded` is the instance row, from which the cloud-init CD-ROM is written if the image's
    settings ask for one.
    """

    image: CacheEntry
    kernel: CacheEntry | None
    ramdisk: CacheEntry | None
    disk_mb: int
    swap_mb: int
    public_key: str
    injection: bool
    settings: ImageSettings = ImageSettings()
    seeded: InstanceRow | None = None


class KeySlot(TypedDict):
    """Where a key goes, or why it can't."""

    slot: key_injection.SlotRecord | None
    no_slot: str


class InstanceDisks:
    """The folders of instances: which cache entries they rest on, and their disks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder, 0o711)

    def names_in_use(self) -> set[str]:
        """Return the names of all cache entries that an instance's disk or kernel rests on."""
        return {
            name
            for note in self.folder.glob(f"*/{NOTE}")
            for name in (_read(note) or {}).get("uses", ())
        }

    def find(self, instance_id: str) -> Boot | None:
        """Return what `prepare` made earlier for an instance, or None."""
        facts = _read(self.folder / instance_id / NOTE)
        boot = facts and _from_words(facts["boot"])
        return boot if boot and boot.disk.exists() else None

    def boot_with(self, instance_id: str, kernel: CacheEntry, ramdisk: CacheEntry | None) -> Boot:
        """Have a disk that is there boot with this kernel and ramdisk from now on."""
        note = self.folder / instance_id / NOTE
        facts = _read(note) or {}
        before = _from_words(facts["boot"])
        boot = replace(before, kernel=kernel.path, ramdisk=ramdisk.path if ramdisk else None)
        if boot != before:
            gone = {path.stem for path in (before.kernel, before.ramdisk) if path}
            now = {entry.name for entry in (kernel, ramdisk) if entry}
            facts = {"uses": sorted(set(facts["uses"]) - gone | now), "boot": _to_words(boot)}
            write_atomic(note, json.dumps(facts).encode(), 0o600)
        return boot

    def prepare(self, cache: Cache, instance_id: str, spec: DiskSpec, progress: Progress) -> Boot:
        """Make an instance's disk and return how it boots; costs the same for every size."""
        folder = self.folder / instance_id
        make_folder(folder, 0o711)
        target = folder / DISK
        target.unlink(missing_ok=True)
        with contextlib.ExitStack() as pins:
            for entry in (spec.image, spec.kernel, spec.ramdisk):
                if entry:
                    pins.enter_context(cache.pin(entry.name))
            if spec.image.facts["kind"] == "disk":
                base, boot = spec.image, _overlay_whole_disk(spec, target)
            else:
                keyed = "key" if spec.injection else "plain"
                name = f"{spec.image.name}-{spec.disk_mb}-{spec.swap_mb}-{keyed}"
                pins.enter_context(cache.pin(name))
                base = _ensure_composed(cache, name, spec, progress)
                boot = _overlay_composed(base, spec, target)
            boot = _apply_settings(boot, spec, folder)
            uses = {entry.name for entry in (base, spec.kernel, spec.ramdisk) if entry}
            facts = {"uses": sorted(uses), "boot": _to_words(boot)}
            target.chmod(0o600)  # the hypervisor's user is given it before it boots
            write_atomic(folder / NOTE, json.dumps(facts).encode(), 0o600)
        return boot

    def forget(self, instance_id: str) -> None:
        """Remove an instance's disk; what others keep in its folder stays."""
        folder = self.folder / instance_id
        for name in (DISK, SEED, NVRAM, NOTE):
            (folder / name).unlink(missing_ok=True)
            (folder / f".{name}.new").unlink(missing_ok=True)  # of a killed process
        with contextlib.suppress(OSError):
            folder.rmdir()

    def all(self) -> Iterator[str]:
        """Yield the instance ids that have a folder."""
        return iter([path.name for path in self.folder.iterdir() if path.is_dir()])


def _apply_settings(boot: Boot, spec: DiskSpec, folder: Path) -> Boot:
    """Return the same as the image's settings want it, with what they need in the folder."""
    wanted = spec.settings
    bus = wanted.disk_bus or boot.bus
    usual = CMDLINE.format(console=architecture.HOST.console, disk=DISKS[bus])
    cmdline = boot.kernel and (wanted.kernel_command_line or usual)
    seed_file = folder / SEED
    if spec.seeded and wanted.has_cdrom:
        seed.write(seed_file, spec.seeded)
    return replace(
        boot,
        bus=bus,
        cmdline=cmdline or "",
        nic_model=wanted.nic_model,
        uefi=wanted.uefi,
        nvram=folder / NVRAM if wanted.uefi else None,
        seed=seed_file if spec.seeded and wanted.has_cdrom else None,
        seed_bus=wanted.seed_bus,
    )


def _overlay_whole_disk(spec: DiskSpec, target: Path) -> Boot:
    size = max(spec.image.facts["size"], spec.disk_mb * MIB)
    disk.overlay(spec.image.path, spec.image.format, target, size)
    notes: tuple[str, ...] = ()
    if spec.public_key:
        notes = ("The image is a whole disk: it takes the key from the metadata service.",)
    return Boot(None, None, target, "", bus="virtio", notes=notes)


def _overlay_composed(base: CacheEntry, spec: DiskSpec, target: Path) -> Boot:
    disk.overlay(base.path, base.format, target, base.path.stat().st_size)
    return Boot(
        spec.kernel.path if spec.kernel else None,
        spec.ramdisk.path if spec.ramdisk else None,
        target,
        "",
        notes=_give_key(base, spec, target),
    )


def _give_key(base: CacheEntry, spec: DiskSpec, target: Path) -> tuple[str, ...]:
    if not spec.public_key or not spec.injection:
        return ()
    try:
        if not base.facts["slot"]:
            raise key_injection.NoSpaceForKeyError(base.facts["no_slot"])
        disk.write(target, key_injection.read_slot(base.facts["slot"]).fill(spec.public_key))
    except key_injection.NoSpaceForKeyError as problem:
        return (f"The key was not put into the image ({problem}): the metadata service has it.",)
    return ()


def _ensure_composed(cache: Cache, name: str, spec: DiskSpec, progress: Progress) -> CacheEntry:
    with cache.only_one(name):
        composed = cache.find(name)
        if composed:
            return composed
        progress("composing the disk")
        plan = disk.layout(spec.image.facts["size"], spec.disk_mb, spec.swap_mb)
        with _clean_root(cache, spec) as root, cache.partial() as file:
            disk.compose(root, file, plan)
            facts = _slot(root, file, plan) if spec.injection else {"slot": None, "no_slot": ""}
            return cache.adopt(Path(file.name), name, "raw", kind="disk", size=plan.size, **facts)


@contextlib.contextmanager
def _clean_root(cache: Cache, spec: DiskSpec) -> Iterator[Path]:
    """Yield the root to compose from: a copy with its journal replayed, if a key is to go in."""
    root = spec.image.path
    if not (spec.injection and key_injection.needs_replay(root)):
        yield root
        return
    with cache.partial() as file, root.open("rb") as source:
        file.truncate(root.stat().st_size)
        sparse.copy(source, file, 0)
        with contextlib.suppress(ProgramFailed):  # then no key goes in, and the user is told
            key_injection.replay_journal(Path(file.name))
            root = Path(file.name)
        yield root


def _slot(root: Path, file: BinaryIO, plan: disk.Layout) -> KeySlot:
    """Reserve blocks for a key; if that fails, the disk is composed again without them."""
    try:
        slot = key_injection.make_slot(Path(file.name), plan.root[0])
    except (key_injection.NoSpaceForKeyError, ProgramFailed) as problem:
        file.truncate(0)
        disk.compose(root, file, plan)
        return {"slot": None, "no_slot": str(problem)}
    return {"slot": slot.to_record(), "no_slot": ""}


def _to_words(boot: Boot) -> dict[str, object]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(boot).items()
    }


def _from_words(words: dict[str, Any]) -> Boot:
    def path(name: str) -> Path | None:
        return Path(words[name]) if words[name] else None

    own: dict[str, Any] = {"disk": Path(words["disk"])}
    own |= {name: path(name) for name in ("kernel", "ramdisk", "nvram", "seed") if name in words}
    return Boot(**{**words, **own, "notes": tuple(words["notes"])})


def _read(note: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts
