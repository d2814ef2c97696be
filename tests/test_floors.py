"""Imports go down only, the core knows no HTTP, and every module says what it is."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import eucabox

ROOT = Path(eucabox.__file__).parent
FLOORS = {
    4: ("cli", "api", "server", "console", "wire", "__main__"),
    3: ("actions", "cloud"),
    2: ("node", "domains", "images", "image", "bucket", "store", "s3", "ec2", "iam",
        "operator"),
    1: ("hypervisor", "network", "mail", "events"),
    0: (
        "state", "schema", "config", "errors", "ids", "run", "seal", "atomic_files",
        "process_lock", "instance_states", "instance_types", "logs", "gil_turns", "validation",
        "ascii_text", "steady_clock", "__init__",
    ),
}  # fmt: skip
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
STAIRS = {
    ("__main__", "cli"), ("cli", "server"), ("server", "api"), ("server", "wire"),
    ("server", "console"), ("api", "wire"),
    ("ec2", "iam"), ("ec2", "image"), ("images", "bucket"), ("images", "iam"), ("images", "image"),
    ("image", "s3"), ("node", "domains"), ("bucket", "store"), ("s3", "store"),
    ("s3", "iam"), ("operator", "store"), ("operator", "image"), ("operator", "domains"),
}  # fmt: skip
BARRED_BELOW_4 = ("flask", "werkzeug", "cheroot", "botocore", "boto3", "http", "urllib")


MODULES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [alias.name for alias in node.names]
            if node.module == "eucabox":
                yield from ((f"eucabox.{name}", node.lineno) for name in names)
            else:
                yield node.module, node.lineno


def type_checking_lines(path: Path) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def find_arrows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Each import that does not go down: from which room to which, and where it is."""
    here = room(path)
    only_types = type_checking_lines(path)
    for name, line in imports(path):
        if not name.startswith("eucabox.") or line in only_types:
            continue
        there = name.split(".")[1]
        if there not in FLOOR_OF:
            continue  # `from eucabox import __version__`
        down = FLOOR_OF[there] < FLOOR_OF[here] or FLOOR_OF[here] == FLOOR_OF[there] == 0
        if not (down or there == here):
            yield here, there, f"{path}:{line} imports {name}"


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in MODULES} == set(FLOOR_OF)


def test_imports_go_down_only_but_for_the_stairs_which_are_all_used() -> None:
    arrows = [arrow for path in MODULES for arrow in find_arrows(path)]
    assert [where for here, there, where in arrows if (here, there) not in STAIRS] == []
    assert {(here, there) for here, there, _ in arrows} == STAIRS


def test_below_the_doors_nobody_knows_http() -> None:
    below = [path for path in MODULES if FLOOR_OF[room(path)] < 4]
    assert len(below) > 200
    assert [
        f"{path}:{line} imports {name}"
        for path in below
        for name, line in imports(path)
        if name.split(".")[0] in BARRED_BELOW_4
    ] == []


def test_actions_do_not_import_each_other() -> None:
    for path in (ROOT / "actions").rglob("*.py"):
        for name, line in imports(path):
            below = name.removeprefix("eucabox.actions").lstrip(".")
            assert not (name.startswith("eucabox.actions") and below), f"{path}:{line} {name}"


def test_every_module_says_what_it_is() -> None:
    assert [path for path in MODULES if not ast.get_docstring(parse(path))] == []


def test_only_run_starts_programs() -> None:
    starters = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if any(name.split(".")[0] == "subprocess" for name, _ in imports(path))
    }
    assert starters == {"run.py"}
