"""An instance's own disk over the cache's files, and its key in it; never fetches an image."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
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
PARTITIONS = {"sda1": DISK, "sda2": "disk-sda2.qcow2", "sda3": "disk-sda3.qcow2"}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Boot:
    """What a domain boots from.

    A kernel and a ramdisk of its own for images of a root partition, which see their disk as sda
    (`bus` is scsi); none for whole disks, which boot themselves (`bus` is virtio). An image's
    settings may want it otherwise. `uefi` has its `nvram` in a file of the instance's, `seed` is
    a CD-ROM on `seed_bus`. `notes` is what the user should know and nothing fails for. Where each
    partition is a device of its own, `partitions` has their files, sda1's being `disk`.
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
    partitions: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class DiskSpec:
    """What a launch asks for; sizes in MiB, the key an OpenSSH line or empty.

    `seeded` is the instance row, from which the cloud-init CD-ROM is written if the image's
    settings ask for one. With `partitions` the guest gets sda1, sda2 and sda3 as devices of their
    own and no disk that is parted into them.
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
    partitions: bool = False


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
                bases, boot = [spec.image], _overlay_whole_disk(spec, target)
            else:
                pieces = _list_pieces(spec)
                bases = [_ensure(pins, cache, piece, spec, progress) for piece in pieces]
                boot = _overlay_pieces(pieces, bases, spec, folder)
            boot = _apply_settings(boot, spec, folder)
            uses = {entry.name for entry in (*bases, spec.kernel, spec.ramdisk) if entry}
            facts = {"uses": sorted(uses), "boot": _to_words(boot)}
            write_atomic(folder / NOTE, json.dumps(facts).encode(), 0o600)
        return boot

    def forget(self, instance_id: str) -> None:
        """Remove an instance's disk; what others keep in its folder stays."""
        folder = self.folder / instance_id
        for name in (*PARTITIONS.values(), SEED, NVRAM, NOTE):
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
    target.chmod(0o600)
    notes: tuple[str, ...] = ()
    if spec.public_key:
        notes = ("The image is a whole disk: it takes the key from the metadata service.",)
    return Boot(None, None, target, "", bus="virtio", notes=notes)


def _overlay_pieces(
    pieces: "list[_Piece]", bases: list[CacheEntry], spec: DiskSpec, folder: Path
) -> Boot:
    """Lay an overlay of the instance's own over the disk, or over each of its partitions."""
    targets = {piece.device: folder / PARTITIONS.get(piece.device, DISK) for piece in pieces}
    for base, target in zip(bases, targets.values(), strict=True):
        disk.overlay(base.path, base.format, target, base.path.stat().st_size)
        target.chmod(0o600)  # the hypervisor's user is given it before it boots
    return Boot(
        spec.kernel.path if spec.kernel else None,
        spec.ramdisk.path if spec.ramdisk else None,
        folder / DISK,
        "",
        notes=_give_key(bases[0], spec, folder / DISK),
        partitions=targets if spec.partitions else {},
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


@dataclass(frozen=True)
class _Piece:
    """A file of the cache that instances' disks rest on: a composed disk (`device` is empty), or
    one of its partitions; `root_offset` is where the root's file system begins, if it has one."""

    name: str
    size: int
    root_offset: int | None
    device: str
    compose: Callable[[Path, BinaryIO], None]


def _list_pieces(spec: DiskSpec) -> list[_Piece]:
    """Return the files that a disk consists of: itself, or one for each partition, sda1 first."""
    plan = disk.layout(spec.image.facts["size"], spec.disk_mb, spec.swap_mb)
    keyed = "key" if spec.injection else "plain"
    if not spec.partitions:
        name = f"{spec.image.name}-{spec.disk_mb}-{spec.swap_mb}-{keyed}"

        def compose(root: Path, file: BinaryIO) -> None:
            disk.compose(root, file, plan)

        return [_Piece(name, plan.size, plan.root[0], "", compose)]
    return [
        _Piece(
            f"{spec.image.name}-root-{keyed}" if device == "sda1" else f"{device}-{size}",
            size,
            0 if device == "sda1" else None,
            device,
            partial(_compose_partition, device, size),
        )
        for device, size in plan.sizes().items()
    ]


def _compose_partition(device: str, size: int, root: Path, file: BinaryIO) -> None:
    disk.compose_partition(device, root, file, size)


def _ensure(
    pins: contextlib.ExitStack, cache: Cache, piece: _Piece, spec: DiskSpec, progress: Progress
) -> CacheEntry:
    """Return a piece of the cache, pinned; it is composed first if it is missing."""
    pins.enter_context(cache.pin(piece.name))
    with cache.only_one(piece.name):
        composed = cache.find(piece.name)
        if composed:
            return composed
        progress("composing the disk")
        keyed = spec.injection and piece.root_offset is not None
        clean = _clean_root(cache, spec) if keyed else contextlib.nullcontext(spec.image.path)
        with clean as root, cache.partial() as file:
            piece.compose(root, file)
            facts: KeySlot = {"slot": None, "no_slot": ""}
            if keyed:
                facts = _slot(root, file, piece)
            return cache.adopt(
                Path(file.name), piece.name, "raw", kind="disk", size=piece.size, **facts
            )


@contextlib.contextmanager
def _clean_root(cache: Cache, spec: DiskSpec) -> Iterator[Path]:
    """Yield the root that a key is to go into: a copy with its journal replayed, if need be."""
    root = spec.image.path
    if not key_injection.needs_replay(root):
        yield root
        return
    with cache.partial() as file, root.open("rb") as source:
        file.truncate(root.stat().st_size)
        sparse.copy(source, file, 0)
        with contextlib.suppress(ProgramFailed):  # then no key goes in, and the user is told
            key_injection.replay_journal(Path(file.name))
            root = Path(file.name)
        yield root


def _slot(root: Path, file: BinaryIO, piece: _Piece) -> KeySlot:
    """Reserve blocks for a key; if that fails, the disk is composed again without them."""
    try:
        slot = key_injection.make_slot(Path(file.name), piece.root_offset or 0)
    except (key_injection.NoSpaceForKeyError, ProgramFailed) as problem:
        file.truncate(0)
        piece.compose(root, file)
        return {"slot": None, "no_slot": str(problem)}
    return {"slot": slot.to_record(), "no_slot": ""}


def _to_words(boot: Boot) -> dict[str, object]:
    words = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(boot).items()
    }
    return {**words, "partitions": {name: str(file) for name, file in boot.partitions.items()}}


def _from_words(words: dict[str, Any]) -> Boot:
    def path(name: str) -> Path | None:
        return Path(words[name]) if words[name] else None

    own: dict[str, Any] = {"disk": Path(words["disk"])}
    own |= {name: path(name) for name in ("kernel", "ramdisk", "nvram", "seed") if name in words}
    own["partitions"] = {name: Path(file) for name, file in words.get("partitions", {}).items()}
    return Boot(**{**words, **own, "notes": tuple(words["notes"])})


def _read(note: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts
