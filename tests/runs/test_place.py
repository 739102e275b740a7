from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import InputError, RunError, StorageError, UnknownNameError
from fittingroom.runs.layout import RunContents
from fittingroom.runs.place import RunsFolder, find_run
from tests.runs.writing import create

NOON = "2026-03-04T12:00:00.000+00:00"


def test_runs_lie_in_the_current_folder_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITTINGROOM_RUNS_DIR", raising=False)
    assert RunsFolder().path == Path("runs")
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", "")
    assert RunsFolder().path == Path("runs")
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", "~/mine")
    assert RunsFolder().path == Path.home() / "mine"


@pytest.mark.parametrize(
    ("dataset", "recipe", "name"),
    [
        ("fashion-mnist", "course", "2026-03-04-fashion-mnist-course"),
        ("digits", "course+", "2026-03-04-digits-course+"),
        ("folder:/data/my clothes", "wide", "2026-03-04-folder-my-clothes-wide"),
        ("npz:/data/x.y.npz", "wide", "2026-03-04-npz-x.y-wide"),
        ("idx:.", "..", "2026-03-04-idx-recipe"),
        ("folder:/größe", "<script>/../", "2026-03-04-folder-größe-script"),
        ("///", "\x00", "2026-03-04-data-recipe"),
    ],
)
def test_name_of_a_run_is_made_of_date_dataset_and_recipe(dataset: str, recipe: str, name: str) -> None:
    assert RunsFolder.name_of_run(NOON, dataset, recipe) == name


@given(dataset=st.text(), recipe=st.text())
def test_name_is_one_safe_path_component(dataset: str, recipe: str) -> None:
    name = RunsFolder.name_of_run(NOON, dataset, recipe)
    assert Path(name).name == name
    assert len(os.fsencode(name)) < 250
    assert not name.startswith(".")


@pytest.fixture
def three(contents: RunContents, runs_folder: Path) -> list[Path]:
    """Three runs, oldest first."""
    runs = [create(contents) for _ in range(3)]
    for age, run in enumerate(runs):
        os.utime(run / "run.json", (1000 + age, 1000 + age))
    return runs


def test_runs_are_listed_newest_first(three: list[Path]) -> None:
    assert RunsFolder().runs() == three[::-1]
    assert find_run() == find_run("latest") == three[-1]


def test_opening_the_test_set_does_not_make_a_run_newer(three: list[Path]) -> None:
    from fittingroom.runs.ledger import LedgerPlace
    from fittingroom.runs.looks import RunLooks

    RunLooks(three[0]).add("a look", LedgerPlace("ledger", 1, 1, "hash"))
    assert find_run() == three[-1]


def test_other_folders_and_unfinished_runs_are_not_listed(three: list[Path], runs_folder: Path) -> None:
    (runs_folder / "notes").mkdir()
    (runs_folder / "file.txt").write_text("")
    three[0].rename(runs_folder / ".new-123.tmp")
    assert RunsFolder().runs() == three[:0:-1]


def test_run_is_found_by_path_and_by_name(three: list[Path]) -> None:
    assert find_run(three[0]) == find_run(str(three[0])) == find_run(three[0].name) == three[0]


def test_unknown_run_lists_the_newest_ones(three: list[Path]) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown run '2026-03-04-digits-curse-1'. Did you mean .*digits-course"
    ):
        find_run("2026-03-04-digits-curse-1")


def test_folder_that_is_no_run_is_refused(runs_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no run.json"):
        find_run(tmp_path)


def test_an_open_run_is_found_in_its_folder_and_what_is_no_name_is_named(three: list[Path]) -> None:
    class Opened:
        path, record = three[0], None

    assert find_run(cast("Any", Opened())) == three[0]
    for wrong, named in ((None, "nothing"), (3, "an object of type int")):
        with pytest.raises(RunError, match=f"the name of a run, such as 'latest', and not {named}"):
            find_run(cast("Any", wrong))


def test_latest_without_any_run_says_how_to_make_one(runs_folder: Path) -> None:
    with pytest.raises(RunError, match=r"runs holds no run yet. Train one with `fittingroom train`"):
        find_run()


def test_writable_place_is_left_as_it_was(runs_folder: Path, tmp_path: Path) -> None:
    RunsFolder().check_writable(None)
    RunsFolder().check_writable(tmp_path / "new" / "mine")
    assert list(tmp_path.iterdir()) == []


def test_place_below_a_file_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"a part of the path is a file"):
        RunsFolder().check_writable(tmp_path / "file" / "run")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder that nobody can write, not even root")
def test_folder_that_cannot_be_written_is_refused_before_training() -> None:
    with pytest.raises(StorageError, match=r"cannot write /proc"):
        RunsFolder().check_writable(Path("/proc/fittingroom-run"))


def test_too_little_space_is_reported_before_training(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"MB of free space, and a run needs about .* --out or FITTINGROOM_RUNS_DIR"):
        RunsFolder().check_writable(tmp_path / "run", needed=2**62)


def test_place_of_a_run_must_be_new_or_empty(tmp_path: Path) -> None:
    RunsFolder().check_writable(tmp_path)
    (tmp_path / "old.txt").write_text("")
    with pytest.raises(RunError, match=r"is there already, .* set FITTINGROOM_RUNS_DIR"):
        RunsFolder().check_writable(tmp_path)


@contextmanager
def without_the_rights_of_root() -> Iterator[None]:
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_that_may_not_be_read_spoils_nothing(contents: RunContents, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        monkeypatch.setenv("FITTINGROOM_RUNS_DIR", place)
        mine = create(contents)
        locked = Path(place, "of-somebody-else")
        locked.mkdir()
        (locked / "run.json").write_text("{}")
        locked.chmod(0)
        with without_the_rights_of_root():
            assert RunsFolder().runs() == [mine]
            assert RunsFolder().unreadable() == [locked]
            with pytest.raises(RunError, match="of-somebody-else cannot be read: permission is denied"):
                find_run("of-somebody-else")
            with pytest.raises(UnknownNameError):
                find_run("a" * 300)
        locked.chmod(0o755)


def test_a_home_folder_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", "~no-such-user/runs")
    with pytest.raises(InputError, match="~no-such-user/runs begins with ~no-such-user, and this system knows no home"):
        RunsFolder().runs()
