"""The page of an experiment as a file: what it says of the facts it is given."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

import fittingroom
from fittingroom.reports.pages.experiment_page import PairTable, _recipe_rows, experiment_report
from tests.reports.experiments import experiment_facts
from tests.reports.pages import parsed

pytestmark = pytest.mark.usefixtures("quick_compiler")


def html_of(**asked: int | str | bool) -> str:
    """The page of an experiment made up, whose facts have been JSON."""
    facts, histories = experiment_facts(**asked)  # type: ignore[arg-type]
    return experiment_report(json.loads(json.dumps(facts)), json.loads(json.dumps(histories))).html


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, flags=re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("recipes", [1, 2, 4, 12, 60])
def test_any_number_of_recipes_has_a_page_that_points_only_into_itself(recipes: int) -> None:
    html = html_of(recipes=recipes)
    assert all(address.startswith("#") for address in parsed(html).addresses)
    assert not re.search(r' (style|on\w+)="', html)
    assert len(html) < 500_000
    assert section(html, "numbers").count('<th scope="row">') == recipes


def test_being_picked_is_said_to_flatter() -> None:
    summary = section(html_of(recipes=3), "summary")
    assert "hidden=48" in summary
    assert "It has the highest mean accuracy of 3 recipes. Being chosen for that number flatters it" in summary
    assert "flatters" not in section(html_of(recipes=1), "summary")


def test_every_seed_is_a_dot() -> None:
    accuracy = section(html_of(recipes=3, seeds=7), "accuracy")
    assert accuracy.count('class="dot"') == 21
    assert accuracy.count('class="mean"') == accuracy.count('class="interval"') == 3


def test_few_recipes_stay_in_their_order_and_many_are_sorted() -> None:
    few, _ = experiment_facts(recipes=4)
    assert [one.name for one in _recipe_rows(few)] == ["hidden=16", "hidden=32", "hidden=48", "hidden=64"]
    many, _ = experiment_facts(recipes=30)
    accuracies = [one.facts["accuracy"]["mean"] for one in _recipe_rows(many)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert [bool(one.color) for one in _recipe_rows(many)] == [True] * 6 + [False] * 24


def test_names_that_would_be_equal_stay_whole() -> None:
    facts, _ = experiment_facts(recipes=2)
    for one in facts["recipes"]:
        one["varied"] = {}
    assert [one.name for one in _recipe_rows(facts)] == ["course+ hidden=16", "course+ hidden=32"]


def test_differences_are_turned_towards_the_chosen_recipe() -> None:
    facts, _ = experiment_facts(recipes=3)
    names = {one["recipe"]: one["recipe"] for one in facts["recipes"]}
    pairs = PairTable.of(facts["comparison"], names, facts["chosen"])
    assert pairs is not None
    assert pairs.reference == facts["chosen"]
    assert [one.better for one in pairs.against] == [1, 1]
    assert all(one.facts["low"] < one.facts["value"] < one.facts["high"] for one in pairs.against)
    assert all(one.facts["value"] > 0 for one in pairs.against)
    other = PairTable.of(facts["comparison"], names, facts["recipes"][0]["recipe"])
    assert other is not None
    assert other.against[-1].facts["value"] == pytest.approx(-pairs.against[0].facts["value"])
    assert other.counts == {1: 0, 0: 0, -1: 2}


def test_a_name_that_begins_another_is_not_shortened_within_it() -> None:
    facts, _ = experiment_facts(recipes=2)
    facts["recipes"][0]["recipe"], facts["recipes"][1]["recipe"] = "run", "run 2"
    comparison = facts["comparison"]
    for one, name in zip(comparison["runs"], ("run", "run 2"), strict=True):
        one["run"] = name
    comparison["pairs"][0] |= {"first": "run", "second": "run 2", "verdict": "run 2 is better than run."}
    pairs = PairTable.of(comparison, {"run": "A", "run 2": "B"}, "run 2")
    assert pairs is not None
    assert pairs.against[0].verdict == "B is better than A."


def test_pairs_of_a_few_are_sentences_and_of_many_a_matrix() -> None:
    few, many = section(html_of(recipes=3), "pairs"), section(html_of(recipes=60), "pairs")
    assert few.count("is right more often than") >= 3
    assert "Every two recipes" not in few
    assert many.count('<td class="self">') == 60
    assert "The numbers of all" not in many


def test_failed_cells_are_reported_with_their_reason() -> None:
    html = html_of(recipes=3, failed=1)
    assert section(html, "failed").count("DivergedError: the loss is not finite") == 5
    assert ">failed<" in section(html, "accuracy")


def test_an_experiment_in_which_all_has_failed_has_a_page() -> None:
    html = html_of(recipes=2, failed=2)
    parsed(html)
    assert "None yet: no recipe has finished training with all seeds." in html
    assert 'id="curves"' not in html


def test_the_test_set_is_shown_with_its_looks_and_their_luck() -> None:
    assert "It played no part in any of this." in section(html_of(), "test")
    opened = section(html_of(final=True), "test")
    assert "Best of 5 looks: about +0.2 points are luck." in opened
    assert "5 of 5" in opened
    facts, histories = experiment_facts()
    before = experiment_report({**facts, "opened": [facts["chosen"]]}, histories).html
    assert "It was opened before" in before
    assert "still sealed" not in before


def test_a_page_takes_less_than_two_seconds_of_processor_time() -> None:
    facts, histories = experiment_facts(recipes=12, seeds=1, epochs=5)
    start = time.process_time()
    experiment_report(facts, histories)
    assert time.process_time() - start < 2


def test_an_experiment_writes_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    out = tmp_path / "out"
    done = fittingroom.experiment("digits", seeds=2, out=out)
    page = (out / "experiment.html").read_text()
    parsed(page)
    assert "2 of 2 cells trained" in page
    assert "still sealed" in page
    assert done.report().html == page
    assert done.report(tmp_path / "own.html") == tmp_path / "own.html"
    fittingroom.experiment("digits", seeds=2, out=out, final=True)
    assert "test accuracy" in (out / "experiment.html").read_text()
    fittingroom.experiment("digits", seeds=2, out=out)
    assert "It was opened before" in (out / "experiment.html").read_text()
