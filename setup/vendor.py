"""Fetches what others wrote for browsers, as we ship it: vendor.py [--check] [NAME...]

Each package of ASSETS comes from npm's registry by `npm pack`, is compared with the digest here,
and its few files go into eucabox/console/static/vendor/FOLDER, beside its licence and VERSION,
which says where they are from. A higher version is a change of two lines of ASSETS: the version,
and the digest that the refusal of the old one shows. --check fetches nothing: it compares the files
with VERSION, and VERSION with ASSETS.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "eucabox" / "console" / "static" / "vendor"
SECONDS = 300


@dataclass(frozen=True)
class Asset:
    """A package: what of it we ship, and under which licence (as SPDX writes it)."""

    name: str
    version: str
    integrity: str  # of the whole package: sha512-BASE64, as npm writes it
    licence: str
    folder: str
    files: tuple[tuple[str, str], ...]  # in the package, in our folder; one in / is a whole folder


ASSETS = (
    Asset(
        "@novnc/novnc",
        "1.7.0",
        "sha512-ucEJOx4T2avIRCleodk7YobZj5O2Ga2AeLfQ69A/yjG9HHba2+PDgwSkN3FttrmG+70ZGx21sElNFouK13RzyA==",
        "MPL-2.0 AND MIT",
        "novnc",
        (
            ("core/", "core"),
            ("vendor/pako/", "vendor/pako"),
            ("LICENSE.txt", "LICENSE.txt"),
            ("docs/LICENSE.MPL-2.0", "LICENSE.MPL-2.0"),
        ),
    ),
    Asset(
        "@xterm/xterm",
        "6.0.0",
        "sha512-TQwDdQGtwwDt+2cgKDLn0IRaSxYu1tSUjgKarSDkUM0ZNiSRXFpjxEsvc/Zgc5kq5omJ+V0a8/kIM2WD3sMOYg==",
        "MIT",
        "xterm",
        (("lib/xterm.mjs", "xterm.mjs"), ("css/xterm.css", "xterm.css"), ("LICENSE", "LICENSE")),
    ),
    Asset(
        "@xterm/addon-fit",
        "0.11.0",
        "sha512-jYcgT6xtVYhnhgxh3QgYDnnNMYTcf8ElbxxFzX0IZo+vabQqSPAjC3c1wJrKB5E19VwQei89QCiZZP86DCPF7g==",
        "MIT",
        "xterm-addon-fit",
        (("lib/addon-fit.mjs", "addon-fit.mjs"), ("LICENSE", "LICENSE")),
    ),
)


class VendorError(Exception):
    """A package that can't be fetched, or is not the one that was meant."""


def renew(asset: Asset, vendor: Path = VENDOR) -> Path:
    """Fetch a package and replace its folder; returns the folder."""
    with tempfile.TemporaryDirectory() as place:
        archive = _pack(asset, Path(place))
        check(asset, archive)
        return unpack(asset, archive, vendor)


def _pack(asset: Asset, folder: Path) -> Path:
    wanted = f"{asset.name}@{asset.version}"
    line = ["npm", "pack", "--silent", "--pack-destination", str(folder), wanted]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise VendorError("npm is missing: setup/host.sh packages policies") from None
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise VendorError(f"npm has no {wanted}. Is there a network? {done.stderr.strip()}")
    return archives[0]


def check(asset: Asset, archive: Path) -> None:
    """Compare an archive with the digest of ASSETS; raises VendorError."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != asset.integrity:
        raise VendorError(f"{asset.name} {asset.version} is {found}, not {asset.integrity}")


def unpack(asset: Asset, archive: Path, vendor: Path) -> Path:
    """Replace a package's folder with the files that ASSETS names; returns the folder."""
    folder = vendor / asset.folder
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            for ours in _place(asset, member.name):
                content = packed.extractfile(member)
                assert content
                (folder / ours).parent.mkdir(parents=True, exist_ok=True)
                (folder / ours).write_bytes(content.read())
    _check_places(asset, folder)
    (folder / "VERSION").write_text(describe(asset, folder))
    return folder


def _place(asset: Asset, member: str) -> Iterator[PurePosixPath]:
    """Where a file of the package goes, if it goes anywhere; no path leads out of the folder."""
    path = member.partition("/")[2]
    if ".." in PurePosixPath(path).parts:
        return
    for theirs, ours in asset.files:
        if path == theirs:
            yield PurePosixPath(ours)
        elif theirs.endswith("/") and path.startswith(theirs):
            yield PurePosixPath(ours) / path.removeprefix(theirs)


def _check_places(asset: Asset, folder: Path) -> None:
    for theirs, ours in asset.files:
        if not (folder / ours).exists():
            raise VendorError(f"{asset.name} {asset.version} has no {theirs}")


def describe(asset: Asset, folder: Path) -> str:
    """Return the text of VERSION: package, digest, licence, then each file's digest."""
    head = f"{asset.name} {asset.version}\n{asset.integrity}\n{asset.licence}\n"
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != "VERSION")
    lines = (
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(folder)}\n"
        for each in files
    )
    return head + "".join(lines)


def look_over(asset: Asset, vendor: Path = VENDOR) -> Path:
    """Compare a package's folder with VERSION and ASSETS; raises VendorError."""
    folder = vendor / asset.folder
    _check_places(asset, folder)
    if (folder / "VERSION").read_text() != describe(asset, folder):
        raise VendorError(f"{folder} is not what {asset.name} {asset.version} has")
    return folder


def main(argv: Sequence[str]) -> None:
    """Renew the named packages, or all; with --check, look them over."""
    act = look_over if "--check" in argv else renew
    names = [each for each in argv if each != "--check"]
    unknown = set(names) - {each.name for each in ASSETS}
    if unknown:
        raise VendorError(f"ASSETS has no {', '.join(sorted(unknown))}")
    for asset in ASSETS:
        if not names or asset.name in names:
            sys.stdout.write(f"{act(asset)}: {asset.name} {asset.version}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except VendorError as problem:
        sys.exit(f"eucabox: {problem}")
