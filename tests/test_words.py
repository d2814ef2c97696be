"""Names keep the words of CONTRIBUTING: one class a name, verbs for functions, plain words."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import eucabox
from tests.test_floors import parse

ROOT = Path(eucabox.__file__).parent
IN_THE_ROOT = {
    "__init__", "__main__", "api", "ascii_text", "atomic_files", "bucket", "cloud",
    "gil_turns", "ids", "images", "instance_states", "instance_types", "logs", "node",
    "process_lock", "run", "schema", "seal", "state", "steady_clock", "validation",
}  # fmt: skip
PREPOSITIONS = (
    "of", "by", "in", "on", "at", "near", "within", "behind", "under", "beside", "among", "against",
    "between", "before", "after", "without", "unless", "why", "how", "what", "who", "where",
)  # fmt: skip
PARTICIPLES = {
    "said", "found", "told", "kept", "held", "shown", "known", "given", "taken", "made", "sent",
    "lent", "left", "gone", "lost", "written", "begun", "meant", "fallen", "seen", "drawn",
    "chosen", "built", "bound", "hidden", "met",
}  # fmt: skip
VERBS = {"need", "feed", "seed", "shed", "embed", "exceed", "proceed", "succeed"}
# A public function that is named otherwise, and why.
EXCEPTIONS = {
    "on_address_learned": "a handler is named by its event",
    "on_yield": "a handler is named by its event",
    "on_reboot": "a handler is named by its event",
}
BARRED = {"said", "asker", "somebody", "wish"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT), parse(path)


def is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in node.decorator_list)


def is_bare(name: str) -> bool:
    """Whether a name is no verb: a participle alone, or one that begins with a preposition."""
    first = name.split("_", maxsplit=1)[0]
    participle = name in PARTICIPLES or (name.endswith("ed") and name not in VERBS)
    return (participle and "_" not in name) or first in PREPOSITIONS


@pytest.mark.not_fast
def test_no_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_root_has_no_new_module() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == IN_THE_ROOT


@pytest.mark.not_fast
def test_public_functions_are_verbs() -> None:
    odd = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and not is_property(node)
        and node.name not in EXCEPTIONS
        and is_bare(node.name)
    ]
    assert odd == []


@pytest.mark.parametrize("word", sorted(BARRED))
def test_private_words_are_gone(word: str) -> None:
    pattern = re.compile(rf"\b{word}\b")
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(ROOT.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert lines == []
