"""The measures of the house: files that are whole ideas, names that occur once, no way round in a circle.

The numbers are bars that only go down. Who must raise one says in `docs/decisions.md` why.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.contracts.source import PACKAGE, imported_names, source_files

MOST_FILES = 492
MOST_LINES = 400
MOST_PUBLIC_DEFINITIONS = 1273
MOST_OF_IMPORTS = 0.068  # of all lines
MOST_FILES_OF_A_TRAINING = 47


@cache
def sources() -> dict[str, str]:
    """Each file of the package, by its path within it."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in source_files()}


def public_definitions(kinds: tuple[type[ast.stmt], ...]) -> list[str]:
    """The names of all public functions or classes that stand at the top of a module."""
    return [
        node.name
        for text in sources().values()
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and isinstance(node, kinds)
        and not node.name.startswith("_")
    ]


def repeated(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def test_every_file_is_a_whole_idea_that_is_read_in_one_sitting() -> None:
    lines = {path: len(text.splitlines()) for path, text in sources().items()}
    assert len(lines) <= MOST_FILES
    assert 140 <= statistics.median(lines.values()) <= 225
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}, "split them by idea"


def test_no_file_and_no_public_class_has_the_name_of_another() -> None:
    files = [Path(path).name for path in sources() if not path.startswith("cli/") and not path.endswith("__init__.py")]
    assert len(files) > 100
    assert repeated(files) == set()
    assert repeated(public_definitions((ast.ClassDef,))) == set()


def test_what_is_public_and_what_is_imported_stays_little() -> None:
    assert len(public_definitions((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))) <= MOST_PUBLIC_DEFINITIONS
    lines = sum(len(text.splitlines()) for text in sources().values())
    imports = sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for text in sources().values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    assert imports / lines <= MOST_OF_IMPORTS


def test_no_imports_go_round_in_a_circle() -> None:
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in sources()}
    needs: dict[str, set[str]] = {module: set() for module in modules}
    for module, path in modules.items():
        if module == "__init__":
            continue  # public names, each imported on first use
        for _, name in imported_names(PACKAGE / path):
            inside = name.removeprefix("fittingroom.")
            for known in (inside, inside.rpartition(".")[0]):  # `from a import b`, where b is a module or a name
                if inside != name and known in modules and known != module:
                    needs[module].add(known)
                    break
    assert sum(map(len, needs.values())) > 500
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


# Trains once for the caches, and once more with a profiler that notes each file whose functions are called.
FOLLOWED = """
import sys, threading
from fittingroom.cli.main import main

root, arguments = sys.argv[1], ["train", "digits", "--epochs", "2", "--json"]
assert main(arguments) == 0
files = set()

def note(frame, event, _):
    code = frame.f_code
    is_function = code.co_flags & 2 and not code.co_name.startswith("<")  # no bodies of modules and classes
    if event == "call" and is_function and code.co_filename.startswith(root):
        files.add(code.co_filename.removeprefix(root).lstrip("/"))

threading.setprofile(note)
sys.setprofile(note)
status = main(arguments)
sys.setprofile(None)
print("ROOMS", *sorted({name.split(".")[1] for name in sys.modules if name.startswith("fittingroom.")}))
print("FILES", *sorted(files))
"""


def test_a_training_is_followed_from_the_command_to_the_run_through_few_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FOLLOWED, str(PACKAGE)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    rooms, files = (line.split()[1:] for line in done.stdout.splitlines()[-2:])
    assert {"exports", "networks", "tracking"} & set(rooms) == set(), "they are for those who ask for them"
    assert {"cli/train.py", "engine/programs.py", "runs/layout.py"} <= set(files)
    assert len(files) <= MOST_FILES_OF_A_TRAINING, files
