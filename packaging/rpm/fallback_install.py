"""What %pyproject_install does, without Fedora: fallback_install.py WHEELS BUILDROOT

The files of the one wheel go where Fedora's Python looks for them, compiled; WHEELS/installed
lists them for the spec.
"""

import compileall
import sys
from pathlib import Path

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = f"/usr/lib64/{PYTHON}/site-packages"  # with a compiled part, so not /usr/lib


def main(wheels: Path, root: Path) -> None:
    """Install the wheel below a root and list what is Python's of it."""
    (wheel,) = wheels.glob("*.whl")
    scheme = {"purelib": PACKAGES, "platlib": PACKAGES, "scripts": "/usr/bin"}
    destination = SchemeDictionaryDestination(
        {name: str(root / path.lstrip("/")) for name, path in scheme.items()},
        interpreter="/usr/bin/python3",
        script_kind="posix",
    )
    with WheelFile.open(wheel) as source:
        install(source, destination, {"INSTALLER": b"rpm"})
    packages = root / PACKAGES.lstrip("/")
    compileall.compile_dir(packages, stripdir=str(root), quiet=1)
    lines = [_list_entry(root, path) for path in sorted(packages.rglob("*"))]
    (wheels / "installed").write_text("\n".join(lines) + "\n")


def _list_entry(root: Path, path: Path) -> str:
    name = f"/{path.relative_to(root)}"
    if path.is_dir():
        return f"%dir {name}"
    licence = path.name == "LICENSE" and ".dist-info/" in name
    return f"%license {name}" if licence else name


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
