"""What may import what. The order is the way data takes through the project; a new part gets a line in `MAY_IMPORT`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.source import PACKAGE, imported_names, source_files

BASE = {"atomic", "bar", "card_html", "errors", "progress", "seeds", "text"}
ORDER = (
    "data", "recipes", "networks", "backbones", "engine", "evaluation", "classical", "photos", "runs", "training",
    "answers", "reports", "audits", "exports", "tracking", "api", "tf", "experiments", "labs", "serving", "studio",
    "cli",
)  # fmt: skip
"""The rooms, in the order of the way through the house: each imports only rooms named before it."""

NEVER = {
    "evaluation": {"engine"},  # it works on probabilities and labels
    "classical": {"engine", "networks", "backbones"},  # scikit-learn and NumPy, without JAX
    "photos": {"engine", "evaluation", "classical"},
    "runs": {"engine"},  # what is stored is read without JAX
    "answers": {"engine", "training"},
    "reports": {"engine", "training", "answers"},  # pages are made from what is stored
}
"""What a room does without, although it is named before."""

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "atomic": {"errors"},
    "text": set(),
    "bar": set(),
    "card_html": {"text"},
    "progress": {"text"},
    "seeds": {"errors"},
    **{room: BASE | set(ORDER[:place]) - NEVER.get(room, set()) for place, room in enumerate(ORDER)},
    "__init__": set(ORDER) - {"serving", "studio", "cli"} | {"errors"},
    "__main__": {"cli"},
}


def part_of(path: Path) -> str:
    """The part of the project that a file belongs to: `data` for src/fittingroom/data/idx.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def forbidden_imports(path: Path) -> list[str]:
    """Imports of a file that its part may not make, each as `line N: name`."""
    part = part_of(path)
    allowed = MAY_IMPORT.get(part, set()) | {part}
    found = []
    for line, name in imported_names(path):
        package, *rest = name.split(".")
        if package == "fittingroom" and rest and rest[0] in MAY_IMPORT and rest[0] not in allowed:
            found.append(f"line {line}: {name}")
    return found


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    assert {part_of(path) for path in source_files()} <= MAY_IMPORT.keys()


def test_every_file_imports_only_what_stands_before_it() -> None:
    forbidden = {str(path.relative_to(PACKAGE)): forbidden_imports(path) for path in source_files()}
    assert len(forbidden) > 100
    assert {path: imports for path, imports in forbidden.items() if imports} == {}


def test_nothing_is_imported_that_windows_lacks() -> None:
    lacking = {"fcntl", "grp", "posix", "pwd", "resource", "termios"}
    named = {name for path in source_files() for _, name in imported_names(path)}
    assert {name for name in named if name.partition(".")[0] in lacking} == set()


def test_the_order_has_no_way_back() -> None:
    for part, allowed in MAY_IMPORT.items():
        for other in allowed - {part}:
            assert part not in MAY_IMPORT[other], f"{part} and {other} may import each other"


def test_evaluation_never_trains_and_runs_never_reach_the_engine() -> None:
    assert not MAY_IMPORT["evaluation"] & {"engine", "runs"}
    assert "engine" not in MAY_IMPORT["runs"]
    assert all("cli" not in allowed for part, allowed in MAY_IMPORT.items() if part != "__main__")


def test_imports_inside_functions_and_relative_ones_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src" / "fittingroom"
    (package / "data").mkdir(parents=True)
    monkeypatch.setattr("tests.contracts.source.PACKAGE", package)
    path = package / "data" / "probe.py"
    path.write_text(
        "import fittingroom.errors\n"
        "def late():\n"
        "    from ..engine.state import State\n"
        "    from .. import cli\n"
        "    from . import idx\n"
    )
    assert [name for _, name in imported_names(path)] == [
        "fittingroom.errors",
        "fittingroom.engine.state.State",
        "fittingroom.cli",
        "fittingroom.data.idx",
    ]
