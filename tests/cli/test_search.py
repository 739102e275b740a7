"""`fittingroom search`: the command around `fittingroom.search`, which has tests of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")

SMALL = """
dataset = "digits"
seeds = 1
trials = 2

[set]
epochs = 1

[search]
learning_rate = {low = 1e-3, high = 1e-1, log = true}
"""


@pytest.mark.usefixtures("runs_folder")
def test_the_answer_has_the_trials_the_best_and_its_luck_and_opens_no_test_set(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "search.toml"
    file.write_text(SMALL)
    done = command("search", file, "--trials", "1", "--out", tmp_path / "one")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "1 trial × 1 seed on digits, for accuracy on validation"
    assert lines[2].split() == ["trial", "learning_rate", "accuracy"]
    assert lines[5].startswith("Best on validation: trial 0 (learning_rate 0.")
    assert "Luck: the only trial was not chosen from others, so there is no selection bias." in lines
    assert "the same with --final opens the test set once" in done.out
    assert "Test" not in done.out
    facts = command("search", file, "--out", tmp_path / "one", "--final", "--json").json
    assert facts["counts"] == {"finished": 2, "pruned": 0, "failed": 0, "running": 0}
    assert [one["seed"] for one in facts["test"]["per_seed"]] == [0]
    assert "were all 2 trials equally good" in facts["luck"]["sentence"]


def test_wrong_input_names_file_and_line(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "search.toml"
    file.write_text("[search]\nhiden = {choices = [1, 2]}\n")
    done = command("search", file)
    assert done.status == 2
    assert f"{file}, line 2: unknown key 'hiden' in a recipe. Did you mean 'hidden'?" in done.err
    assert command("search").status == 2
