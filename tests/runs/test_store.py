from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.errors import RunError, StorageError
from fittingroom.runs.layout import RunContents, SeedFiles, write_run
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.place import RunsFolder
from tests.runs.writing import create

# Writes a copy of a run as a run of its own; with a second argument, dies in the middle of it.
COPY = """
import os, sys
from pathlib import Path
from fittingroom.runs.layout import RunContents, SeedFiles, write_run
files = SeedFiles(Path(sys.argv[1]))
path, outcomes = files.path, files.outcomes()
if len(sys.argv) > 2:
    object.__setattr__(outcomes, "arrays", lambda: os._exit(9))
folder = path.with_name(f"copy-{os.getpid()}")
folder.mkdir()
write_run(folder, [RunContents(files.record(), files.history(), files.weights.read(), files.model(), outcomes)])
"""


def test_everything_comes_back_as_it_was(contents: RunContents, runs_folder: Path) -> None:
    path = create(contents)
    assert SeedFiles(path).record() == contents.record
    assert SeedFiles(path).history() == contents.history
    assert SeedFiles(path).model() == contents.model
    weights = SeedFiles(path).weights.read()
    assert weights.keys() == contents.weights.keys()
    for name, array in contents.weights.items():
        assert weights[name].dtype == array.dtype
        np.testing.assert_array_equal(weights[name], array)
    outcomes = SeedFiles(path).outcomes()
    assert outcomes is not None
    assert contents.outcomes is not None
    for name, array in contents.outcomes.arrays().items():
        assert outcomes.arrays()[name].dtype == array.dtype
        np.testing.assert_array_equal(outcomes.arrays()[name], array)


def test_folder_is_named_by_date_dataset_recipe_and_number(contents: RunContents, runs_folder: Path) -> None:
    assert [create(contents).name for _ in range(3)] == [f"2026-03-04-digits-course-{n}" for n in (1, 2, 3)]


def test_a_run_holds_its_record_and_five_files_of_its_seed_and_nothing_else_is_left(
    contents: RunContents, runs_folder: Path
) -> None:
    path = create(contents)
    names = {"run.json", "history.csv", "outcomes.npz", "weights.safetensors", "model.json"}
    assert {file.name for file in path.iterdir()} == {"run.json", "seed-3"}
    assert {file.name for file in (path / "seed-3").iterdir()} == names
    assert list(runs_folder.iterdir()) == [path]


def test_run_without_validation_has_no_outcomes(contents: RunContents, runs_folder: Path) -> None:
    path = create(dataclasses.replace(contents, outcomes=None))
    assert SeedFiles(path).outcomes() is None


def test_others_may_read_a_run_as_far_as_the_users_settings_allow(contents: RunContents, runs_folder: Path) -> None:
    before = os.umask(0o022)
    try:
        path = create(contents)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert stat.S_IMODE((SeedFiles(path).folder / "run.json").stat().st_mode) == 0o644


def test_out_is_the_runs_own_folder(contents: RunContents, tmp_path: Path) -> None:
    assert create(contents, tmp_path / "deep" / "mine") == tmp_path / "deep" / "mine"
    (tmp_path / "empty").mkdir()
    assert SeedFiles(create(contents, tmp_path / "empty")).record() == contents.record


def test_out_overwrites_nothing(contents: RunContents, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").write_text("")
    for name in ("mine", "link", "file"):
        with pytest.raises(RunError, match=rf"{name} is there already, and a run overwrites nothing"):
            create(contents, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "mine"]


class Unwritable(Outcomes):
    """Outcomes whose writing fails half-way."""

    def __init__(self, error: BaseException) -> None:
        object.__setattr__(self, "error", error)

    def arrays(self) -> dict[str, Any]:
        raise self.error  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(28, "No space left on device"), StorageError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_files_that_cannot_be_written_make_no_run(
    contents: RunContents, runs_folder: Path, error: BaseException, expected: type[BaseException]
) -> None:
    path = create(contents)
    with pytest.raises(expected):
        write_run(path, [dataclasses.replace(contents, outcomes=Unwritable(error))])
    assert RunsFolder().runs() == []
    assert not list(path.rglob(".*"))


def test_process_killed_while_writing_leaves_no_run(contents: RunContents, runs_folder: Path) -> None:
    run = create(contents)
    killed = subprocess.run([sys.executable, "-c", COPY, run, "die"], check=False, timeout=60)
    assert killed.returncode == 9
    assert len(list(runs_folder.iterdir())) == 2
    assert RunsFolder().runs() == [run]


READERS: dict[str, Callable[[SeedFiles], object]] = {
    "run.json": lambda files: files.record(),
    "history.csv": lambda files: files.history(),
    "outcomes.npz": lambda files: files.outcomes(),
    "weights.safetensors": lambda files: files.weights.read(),
    "model.json": lambda files: files.model(),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "zeros"])
def test_damaged_file_is_named(contents: RunContents, runs_folder: Path, name: str, damage: str) -> None:
    file = SeedFiles(create(contents)).folder / name
    content = file.read_bytes()
    damages = {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\xff\x00[" * 50, "zeros": bytes(200)}
    file.write_bytes(damages[damage])
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        READERS[name](SeedFiles(file.parent))


@pytest.mark.parametrize("name", [name for name in READERS if name != "outcomes.npz"])
def test_missing_file_is_named(contents: RunContents, runs_folder: Path, name: str) -> None:
    path = SeedFiles(create(contents)).folder
    (path / name).unlink()
    with pytest.raises(RunError, match=rf"is not a whole run: it has no {name}"):
        READERS[name](SeedFiles(path))


@pytest.mark.parametrize("text", ["[]", "3", "null", "[" * 100_000], ids=["list", "number", "null", "deep"])
def test_json_that_is_no_object_is_damage(contents: RunContents, runs_folder: Path, text: str) -> None:
    path = create(contents)
    (SeedFiles(path).folder / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        SeedFiles(path).record()


def test_pickled_outcomes_are_refused(contents: RunContents, runs_folder: Path) -> None:
    path = create(contents)
    np.savez(SeedFiles(path).folder / "outcomes.npz", loss=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RunError, match=r"outcomes\.npz is damaged .*pickled Python objects"):
        SeedFiles(path).outcomes()


def test_newer_run_says_which_version_it_needs(contents: RunContents, runs_folder: Path) -> None:
    path = create(contents)
    text = json.loads((SeedFiles(path).folder / "run.json").read_text())
    (SeedFiles(path).folder / "run.json").write_text(json.dumps({**text, "format": 99}))
    with pytest.raises(RunError, match=rf"{path.name}/seed-3: run.json has format 99"):
        SeedFiles(path).record()


def test_run_can_be_moved_and_copied(contents: RunContents, runs_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(create(contents), tmp_path / "elsewhere")
    assert SeedFiles(copy).record() == contents.record
