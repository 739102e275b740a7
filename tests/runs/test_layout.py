"""The folder of a run: which seeds it has, in today's layout and in those of version 0.1."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fittingroom.errors import RunError
from fittingroom.runs.layout import Layout, RunContents, SeedFiles, read_layout, write_run
from fittingroom.runs.place import RunsFolder, find_run, is_run
from fittingroom.runs.record import Seconds

SECONDS = Seconds(1.0, 2.0, 3.5)


@pytest.fixture
def path(contents: RunContents, tmp_path: Path) -> Path:
    """A run that was asked for three seeds and kept two."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    each = [replace(contents, record=replace(contents.record, seed=seed)) for seed in (4, 2)]
    write_run(folder, each, seeds=(4, 2, 9), seconds=SECONDS)
    return folder


def test_what_is_written_is_read_again(path: Path, contents: RunContents) -> None:
    layout = read_layout(path)
    assert layout == Layout(path, (4, 2, 9), (4, 2), SECONDS)
    assert layout.folders == {4: path / "seed-4", 2: path / "seed-2"}
    assert layout.records() == {seed: replace(contents.record, seed=seed) for seed in (4, 2)}
    with pytest.raises(RunError, match=r"mine has 2 seeds\. Name one of them: .*seed-4"):
        SeedFiles(path).record()


def test_a_run_of_one_seed_is_read_by_its_own_folder(contents: RunContents, tmp_path: Path) -> None:
    write_run(tmp_path, [contents])
    assert SeedFiles(tmp_path).folder == tmp_path / "seed-3"
    for folder in (tmp_path, tmp_path / "seed-3"):
        layout = read_layout(folder)
        assert (layout.seeds, layout.folders) == ((3,), {3: folder})
        assert SeedFiles(folder).record() == contents.record
        assert SeedFiles(folder).history() == contents.history


def test_the_folder_is_one_run_in_the_list_and_is_found_by_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(path.parent))
    assert RunsFolder().runs() == [path]
    assert find_run("latest") == find_run("mine") == path
    assert find_run("mine/seed-4") == path / "seed-4"


def test_there_is_no_run_where_a_seed_cannot_be_written(contents: RunContents, tmp_path: Path) -> None:
    broken = RunContents(contents.record, contents.history, {"kernel": None}, contents.model)  # type: ignore[dict-item]
    with pytest.raises(Exception, match=r"kernel|None|object"):
        write_run(tmp_path, [replace(contents, record=replace(contents.record, seed=4)), broken])
    assert not is_run(tmp_path)


CHANGES = [
    ({"format": 99}, "has format 99, and this fittingroom"),
    ({"seeds": "many"}, "is damaged"),
    ({"seconds": None}, "is damaged"),
    ({"kept": ["../../outside"]}, "is damaged"),
    ({"kept": [10**400, -1, 1e308]}, "is damaged"),
    ({"kept": [4] * 1000}, "is damaged"),
    ({"kept": []}, "is damaged"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
@pytest.mark.parametrize("name", ["run.json", "replicas.json"])
def test_a_damaged_record_is_named(path: Path, name: str, change: dict[str, object], message: str) -> None:
    stored = json.loads((path / "run.json").read_text()) | ({"format": 1} if name == "replicas.json" else {})
    (path / "run.json").unlink()
    (path / name).write_text(json.dumps(stored))
    assert read_layout(path).kept == (4, 2)  # version 0.1 wrote the same under another name
    (path / name).write_text(json.dumps(stored | change))
    with pytest.raises(RunError, match=message) as error:
        read_layout(path)
    assert "damaged" not in message or name in str(error.value)


def test_a_missing_seed_is_named(path: Path) -> None:
    shutil.rmtree(path / "seed-2")
    with pytest.raises(RunError, match=r"seed-2 is not a whole run: it has no run\.json"):
        read_layout(path).records()
