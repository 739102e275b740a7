"""`fittingroom ledger`, and the look that every shown score carries."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from fittingroom.cli.main import main
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.ledger_entries import Intent
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def looked(runs_folder: Path) -> list[Path]:
    """Three runs on digits that have looked at the test set, the last one with two seeds."""
    paths = [runs_folder / name for name in ("one", "two", "both")]
    for path, seeds in zip(paths, (["--seed", "5"], ["--seed", "6"], ["--seeds", "2"]), strict=True):
        assert main(["train", "digits", "--epochs", "1", *seeds, "--out", str(path)]) == 0
        assert main(["evaluate", str(path)]) == 0
    return paths


@pytest.fixture
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """An empty ledger, and no runs."""
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    return Ledger.of_user()


def test_every_shown_score_carries_its_look_and_its_luck(command: Command, looked: list[Path]) -> None:
    _, two, both = looked
    luck = r"best of 4 looks: about \+[\d.]+ points are luck \(models correlated 0\.\d\d\); images from another source"
    evaluated, all_evaluated, shown = (
        command(*words).out for words in (("evaluate", two), ("evaluate", both), ("show", two))
    )
    assert re.search(rf"\nlook      2 of 4 at this test set, by course\S*'s run {two}\nluck      {luck}", evaluated)
    assert re.search(
        rf"\nlooks     3 to 4 at this test set, by the seeds of course\S* in {both}\nluck      {luck}", all_evaluated
    )
    assert re.search(rf"\n2 of 4 .*\nluck: {luck}", shown)
    header, *rows = [re.split(r" {2,}", line) for line in command("runs").out.splitlines()]
    assert header[-3:] == ["test", "look", "luck (points)"]
    assert [row[-2] for row in rows] == ["3–4 of 4", "2 of 4", "1 of 4"]
    assert all(re.fullmatch(r"\+\d\.\d", row[-1]) for row in rows)


def test_every_score_in_json_carries_its_look_and_its_luck(command: Command, looked: list[Path]) -> None:
    one, two, both = looked
    tests = [command("evaluate", path, "--json").json["test"] for path in (one, two)]
    tests += command("evaluate", both, "--json").json["test"]["per_seed"]
    runs = command("runs", "--json").json["runs"]
    listed = [run for run in runs if "looks" in run] + [seed for run in runs for seed in run.get("per_seed", [])]
    shown = [command("show", path, "--json").json for path in (one, two)]
    for look in [*tests, *(look for run in [*listed, *shown] for look in run["looks"])]:
        assert look["look"] in {1, 2, 3, 4}
        assert look["looks"] == 4
        assert 0 < look["luck"] < 0.05
        assert 0 < look["correlation"] < 1
    assert sorted(test["look"] for test in tests) == [1, 2, 3, 4]


def test_the_ledger_lists_the_looks_the_newest_last(command: Command, looked: list[Path]) -> None:
    lines = command("ledger").out.splitlines()
    assert lines[0].split() == ["look", "time", "(UTC)", "test", "set", "run", "recipe", "seed", "score", "reason"]
    folders = [looked[0], looked[1], looked[2] / "seed-0", looked[2] / "seed-1"]
    assert [line.split()[0] for line in lines[1:5]] == ["1", "2", "3", "4"]
    for line, folder in zip(lines[1:5], folders, strict=True):
        assert str(folder.resolve()) in line
        assert re.search(r"%  fittingroom evaluate$", line)
    assert lines[6].startswith("Ledger: ")


def test_the_ledger_in_json_has_everything(command: Command, looked: list[Path]) -> None:
    looks = command("ledger", "--json").json["looks"]
    assert [(look["look"], look["dataset"], look["images"], look["seed"]) for look in looks] == [
        (1, "digits", 360, 5),
        (2, "digits", 360, 6),
        (3, "digits", 360, 0),
        (4, "digits", 360, 1),
    ]
    assert all(look["score"]["accuracy"] == look["score"]["correct"] / 360 for look in looks)
    assert len({look["recipe_digest"] for look in looks}) == 1


def test_a_dataset_is_chosen_by_any_of_its_names_or_its_fingerprint(command: Command, own_ledger: Ledger) -> None:
    for test_set, name in (("a" * 32, "digits"), ("b" * 32, "mnist"), ("a" * 32, "npz:/copy.npz")):
        own_ledger.record_look(test_set, Intent(name, 10, "a look"))
    for chosen in ("digits", "npz:/copy.npz", "a" * 8, "a" * 20):
        looks = command("ledger", chosen, "--json").json["looks"]
        assert [(look["look"], look["dataset"]) for look in looks] == [(1, "digits"), (2, "npz:/copy.npz")]
    done = command("ledger", "mnits")
    assert done.status == 2
    assert "unknown test set 'mnits'. Did you mean 'mnist'? Known: digits, mnist, npz:/copy.npz." in done.err


def test_inspections_stand_apart_from_looks(command: Command, own_ledger: Ledger) -> None:
    own_ledger.record_inspection("a" * 32, Intent("digits", 10, "a search for duplicates"))
    own_ledger.record_look("b" * 32, Intent("mnist", 10, "a look"))
    facts = command("ledger", "--json").json
    assert [(look["look"], look["dataset"]) for look in facts["looks"]] == [(1, "mnist")]
    assert [(one["test_set"], one["reason"]) for one in facts["inspections"]] == [("a" * 32, "a search for duplicates")]
    text = command("ledger", "digits").out
    assert text.startswith("This test set has not been opened yet.\n\ninspection, time (UTC)")
    assert "a search for duplicates" in text
    assert "so it is not a look" in text
    assert "inspection, time" not in command("ledger", "mnist").out
    assert command("ledger", "--verify").out.startswith("Intact: 2 entries, 1 of them looks and 1 inspection, none")


def test_an_empty_ledger_says_so_and_is_intact(command: Command, own_ledger: Ledger) -> None:
    assert "No test set has been opened yet" in command("ledger").out
    done = command("ledger", "--verify")
    assert done.status == 0
    assert "Intact: 0 entries, 0 of them looks" in done.out
    assert not own_ledger.path.exists()


def test_verify_names_the_first_wrong_entry_and_ends_with_1(command: Command, own_ledger: Ledger) -> None:
    for _ in range(5):
        own_ledger.record_look("fp", Intent("digits", 10, "a look"))
    assert command("ledger", "--verify").out.startswith("Intact: 5 entries, 5 of them looks, none changed")
    with sqlite3.connect(own_ledger.path) as connection:
        connection.execute("UPDATE entries SET content = replace(content, 'a look', 'no look') WHERE number IN (3, 5)")
    connection.close()
    done = command("ledger", "--verify")
    assert done.status == 1
    assert done.out.startswith(
        "Broken: entry 3, or one before it, was changed after it was written: its hash does not match."
    )
    facts = command("ledger", "--verify", "--json").json
    assert (facts["intact"], facts["entry"], facts["entries"]) == (False, 3, 5)


def test_a_damaged_ledger_ends_with_1_and_scores_are_still_shown(
    command: Command, looked: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"nothing that a ledger holds " * 50)
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    for words in (["ledger"], ["ledger", "--verify"]):
        assert (command(*words).status, command(*words).out) == (1, "")
    for shown in (["runs"], ["show", str(looked[0])], ["evaluate", str(looked[0])]):
        done = command(*shown)
        assert done.status == 0
        assert done.err.count("note: The look cannot be placed among the others: the ledger") == 1


def test_verify_takes_no_dataset(command: Command) -> None:
    assert (
        "--verify checks the whole ledger, not one dataset. Leave out digits."
        in command("ledger", "digits", "--verify").err
    )


def test_scoring_loads_no_scipy_for_the_luck() -> None:
    code = (
        "import sys\n"
        "from fittingroom.evaluation.luck import Reuse\n"
        "from fittingroom.runs.looks import Standings\n"
        "Reuse(20).sentence(0.9, 10_000)\nprint(*{'scipy', 'sklearn', 'jax', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
