from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fittingroom.errors import RunError
from fittingroom.runs.place import find_run, is_run, list_runs
from fittingroom.runs.record import Seconds
from fittingroom.runs.replicas import ReplicasRecord, read_records, read_replicas, write_replicas
from fittingroom.runs.store import RunContents

RECORD = ReplicasRecord(seeds=(4, 2, 9), kept=(4, 2), seconds=Seconds(1.0, 2.0, 3.5))


@pytest.fixture
def path(contents: RunContents, tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    write_replicas(folder, RECORD, {4: contents, 2: contents})
    return folder


def test_what_is_written_is_read_again(path: Path, contents: RunContents) -> None:
    assert read_replicas(path) == RECORD
    assert read_records(path) == {4: contents.record, 2: contents.record}


def test_the_folder_is_one_run_in_the_list_and_is_found_by_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(path.parent))
    assert list_runs() == [path]
    assert find_run("latest") == find_run("mine") == path
    assert find_run("mine/seed-4") == path / "seed-4"


def test_there_is_no_run_where_a_replica_cannot_be_written(contents: RunContents, tmp_path: Path) -> None:
    broken = RunContents(contents.record, contents.history, {"kernel": None}, contents.model)  # type: ignore[dict-item]
    with pytest.raises(Exception, match=r"kernel|None|object"):
        write_replicas(tmp_path, RECORD, {4: contents, 2: broken})
    assert not is_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "was written in format 2; this version reads format 1"),
        ({"seeds": "many"}, "replicas.json is damaged"),
        ({"seconds": None}, "replicas.json is damaged"),
    ],
)
def test_a_damaged_record_is_named(path: Path, change: dict[str, object], message: str) -> None:
    file = path / "replicas.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(RunError, match=message):
        read_replicas(path)


def test_a_missing_replica_is_named(path: Path) -> None:
    shutil.rmtree(path / "seed-2")
    with pytest.raises(RunError, match=r"seed-2 is not a whole run: it has no run\.json"):
        read_records(path)
