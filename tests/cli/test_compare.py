"""`fittingroom compare`, and where other commands point to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fittingroom.cli.main import main
from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def three(runs_folder: Path) -> list[Path]:
    """Three runs on digits, the last one with two seeds; the first has been evaluated, then the second."""
    paths = [runs_folder / name for name in ("narrow", "wide", "both")]
    options = (["--set", "hidden=32", "--epochs", "1"], ["--epochs", "4"], ["--seeds", "2", "--epochs", "3"])
    for path, more in zip(paths, options, strict=True):
        assert main(["train", "digits", *more, "--out", str(path)]) == 0
    for path in paths[:2]:
        assert main(["evaluate", str(path)]) == 0
    return paths


def test_two_runs_have_a_row_each_their_difference_and_a_verdict(command: Command, three: list[Path]) -> None:
    lines = command("compare", three[0], "wide").out.splitlines()
    assert lines[0] == "120 validation images of digits"
    assert re.split(r" {2,}", lines[2]) == ["", "run", "recipe", "seeds", "accuracy", "95% interval", "loss (nats)"]
    assert [line.split()[:3] for line in lines[3:5]] == [["A", "narrow", "course+"], ["B", "wide", "course+"]]
    assert re.split(r" {2,}", lines[6])[1:] == ["points", "95% interval", "p", "loss (nats)", "95% interval"]
    assert re.match(r"A − B  −\d+\.\d\d  −\d+\.\d\d to −\d+\.\d\d  <0\.001 +\+\d\.\d{4}", lines[7])
    assert lines[8] == "p of the accuracies: McNemar's exact test."
    assert re.match(r"B is right more often than A, by \d+\.\d\d points \(.*\)\. Its loss is lower too, by", lines[10])
    assert "With fewer than 5 seeds on either side, a comparison is about these trained models" in lines[12]
    assert lines[-1] == ("Next: choose one, then open the test set once, for that one: `fittingroom evaluate RUN`.")


def test_more_than_two_have_corrected_p_values(command: Command, three: list[Path]) -> None:
    out = command("compare", *three).out
    assert re.search(r"\n +points +adjusted interval +p +p, corrected +loss \(nats\)", out)
    assert re.findall(r"^[A-C] − [A-C]", out, flags=re.MULTILINE) == ["A − B", "A − C", "B − C"]
    assert "p of the accuracies: McNemar's exact test; sign flips of the images' differences." in out
    assert "Of 3 pairs one may look different by chance" in out


def test_runs_are_compared_on_corrupted_images_and_all_of_it_on_the_test_set_is_one_look(
    command: Command, three: list[Path]
) -> None:
    looks = len(command("ledger", "--json").json["looks"])
    out = command("compare", *three[:2], "--corrupted").out
    assert out.startswith("120 validation images of digits under 15 corruptions of 5 severities")
    assert re.search(r"Corrupted, (wide is right more often than narrow, by|no difference is shown between)", out)
    assert len(command("ledger", "--json").json["looks"]) == looks
    facts = command("compare", *three[:2], "--corrupted", "--look", "robust enough?", "--json").json
    assert facts["corrupted"]["part"] == "test"
    assert facts["corrupted"]["runs"]["wide"]["images"] == 360
    assert facts["runs"][0]["run"] == "narrow"
    (pair,) = facts["corrupted"]["pairs"]
    accuracies = [facts["corrupted"]["runs"][name]["accuracy"] for name in ("narrow", "wide")]
    assert pair["difference"] == pytest.approx(accuracies[0] - accuracies[1])
    assert pair["interval"][0] <= pair["difference"] <= pair["interval"][1]
    after = command("ledger", "--json").json["looks"]
    assert len(after) == looks + 1
    assert after[-1]["reason"] == "robust enough?"
    refused = command("compare", *three[:2], "--look", "why")
    assert refused.status == 2
    assert "Add --corrupted" in refused.err


def test_json_has_the_runs_and_every_pair_and_no_test_score(command: Command, three: list[Path]) -> None:
    facts = command("compare", *three, "--json").json
    assert [(run["run"], run["folder"], len(run["seeds"])) for run in facts["runs"]] == [
        ("narrow", str(three[0]), 1),
        ("wide", str(three[1]), 1),
        ("both", str(three[2]), 2),
    ]
    assert [(pair["first"], pair["second"]) for pair in facts["pairs"]] == [
        ("narrow", "wide"),
        ("narrow", "both"),
        ("wide", "both"),
    ]
    assert facts["pairs"][0]["better"] == "wide"
    test = command("evaluate", three[0], "--json").json["test"]
    assert str(test["loss"]) not in command("compare", *three, "--json").out


def test_comparing_adds_no_look(command: Command, three: list[Path]) -> None:
    before = command("ledger", "--json").json["looks"]
    assert command("compare", *three).status == 0
    assert command("ledger", "--json").json["looks"] == before


def test_one_run_or_an_unknown_one_ends_with_2(command: Command, three: list[Path]) -> None:
    for words, message in (
        (["compare", "wide"], "1 run to compare; expected two or more"),
        (["compare", "wide", "wild"], "unknown run 'wild'. Did you mean 'wide'?"),
        (["compare"], "the following arguments are required: RUN"),
    ):
        done = command(*words)
        assert (done.status, done.out) == (2, "")
        assert message in done.err


def test_where_test_scores_meet_the_honest_way_is_named(command: Command, three: list[Path], tmp_path: Path) -> None:
    sentence = "To compare recipes, `fittingroom compare RUN RUN` needs no look: it compares on validation images."
    assert sentence in command("evaluate", three[1]).out
    assert sentence in command("ledger").out
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
        assert command("train", "digits", "--epochs", "1", "--out", tmp_path / "alone").status == 0
        assert sentence not in command("evaluate", tmp_path / "alone").out
        assert sentence not in command("ledger").out


def test_comparing_what_the_folders_hold_loads_neither_keras_nor_jax(three: list[Path]) -> None:
    code = (
        "import sys\nfrom fittingroom.cli.main import main\n"
        f"assert main(['compare', {str(three[0])!r}, {str(three[1])!r}]) == 0\n"
        "print(*{'jax', 'keras'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == ""
