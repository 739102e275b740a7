"""`fittingroom experiment`: the command around `fittingroom.experiment`, which has tests of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")

SMALL = ("--vary", "batch_size=32,128", "--set", "epochs=1", "hidden=8", "--seeds", "2")


@pytest.mark.usefixtures("runs_folder")
def test_the_answer_has_recipes_pairs_and_the_choice_and_opens_no_test_set(command: Command, tmp_path: Path) -> None:
    done = command("experiment", "digits", *SMALL, "--out", tmp_path / "one")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "2 recipes × 2 seeds on digits: 4 of 4 cells done"
    assert re.split(r" {2,}", lines[2])[1:4] == ["recipe", "seeds", "accuracy"]
    assert [re.split(r" {2,}", line)[:2] for line in lines[3:5]] == [
        ["A", "course+ batch_size=32"],
        ["B", "course+ batch_size=128"],
    ]
    assert (
        "Validation chooses course+ batch_size=32, the best of 2, so its validation accuracy is a little too high."
        in lines
    )
    assert "the same with --final opens the test set once" in done.out
    assert "Test" not in done.out


@pytest.mark.usefixtures("runs_folder")
def test_final_tells_the_score_of_the_chosen_recipe_alone(command: Command, tmp_path: Path) -> None:
    done = command("experiment", "digits", *SMALL, "--out", tmp_path / "one", "--final")
    assert "The test set was opened for this recipe alone: look 1." in done.out
    facts = command("experiment", "digits", *SMALL, "--out", tmp_path / "one", "--final", "--json").json
    assert facts["cells"] == {"done": 4, "failed": 0, "missing": 0}
    assert [one["seed"] for one in facts["test"]["per_seed"]] == [0, 1]
    assert facts["chosen"] == "course+ batch_size=32"
    assert len(facts["comparison"]["pairs"]) == 1


@pytest.mark.usefixtures("runs_folder")
def test_failed_cells_are_listed_and_all_failed_is_no_success(command: Command, tmp_path: Path) -> None:
    spoiled = ("--set", "optimizer=sgd", "learning_rate=1e9", "epochs=1", "--seeds", "1")
    done = command("experiment", "digits", *spoiled, "--out", tmp_path / "one")
    assert done.status == 1
    assert "Failed: course+, seed 0: DivergedError: " in done.out
    assert "No recipe has finished with all seeds, so none is chosen." in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--vary", "hiden=1,2"), "unknown key 'hiden' in a recipe. Did you mean 'hidden'?"),
        (("--vary", "hidden"), "--vary 'hidden': expected KEY=VALUE,VALUE"),
        (("--vary", "hidden=1", "hidden=2"), "--vary hidden is given twice. Give all its values at once"),
        (("--set", "epochs"), "--set 'epochs': expected KEY=VALUE, for example epochs=3."),
        (("--recipe", "wid"), "unknown recipe 'wid'. Did you mean 'wide'?"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_loaded(
    command: Command, arguments: tuple[str, ...], message: str
) -> None:
    done = command("experiment", "digits", *arguments)
    assert done.status == 2
    assert message in done.err
