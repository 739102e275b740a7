"""The page of a benchmark as a file: what it says of the facts it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.reports.drawing.ranks import RankDiagram
from fittingroom.reports.pages.benchmark_card import benchmark_card
from fittingroom.reports.pages.benchmark_page import benchmark_report, method_names
from tests.reports.benchmarks import benchmark_facts
from tests.reports.pages import parsed

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a benchmark made up, whose facts have been JSON, with the runs of a reversal."""
    facts = benchmark_facts(folder=tmp_path_factory.mktemp("benchmark") / "runs", failed=1)
    return benchmark_report(json.loads(json.dumps(facts))).html


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, flags=re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(("methods", "datasets"), [(1, 1), (2, 1), (2, 2), (14, 2), (14, 8)])
def test_any_size_has_a_page_that_points_only_into_itself(methods: int, datasets: int) -> None:
    html = benchmark_report(benchmark_facts(methods, datasets, seeds=1 if methods == 2 else 3)).html
    assert all(address.startswith("#") for address in parsed(html).addresses)
    assert not re.search(r' (style|on\w+)="', html)
    assert len(html) < 600_000
    assert section(html, "overview").count('<th scope="row">') == methods
    assert section(html, "datasets").count('class="dataset"') == datasets


def test_nothing_trained_yet_has_a_page_too() -> None:
    facts = benchmark_facts(3, 2)
    for one in facts["results"]:
        one.update(
            status="missing", accuracy=None, interval=None, seconds=None, memory=None, parameters=None, size=None
        )
    facts.update(statistics=None, cells={"done": 0, "failed": 0, "timed out": 0, "missing": 22})
    html = benchmark_report(facts).html
    assert "No method has a result on all its seeds yet." in html
    assert "Run the same command again to continue." in html


def test_no_mean_over_datasets_is_given(html: str) -> None:
    overview = section(html, "overview")
    assert "There is no mean over datasets" in overview
    assert len(re.findall(r'<th scope="col">', overview)) == 1 + 8  # the method and each dataset: no column more


def test_what_ran_out_of_time_is_a_result(html: str) -> None:
    assert "timed out" in section(html, "overview")
    assert "It took more than 600 s." in section(html, "failed")


def test_a_reversal_is_shown_in_validation_images_that_one_method_alone_has_right(html: str) -> None:
    reversal = section(html, "reversal")
    assert reversal.count("<img ") == 16
    assert "No pictures" not in reversal
    counts = re.findall(r"Of 120 validation images, .*? alone has (\d+) right", reversal)
    assert len(counts) == 2
    assert min(map(int, counts)) >= 8


def test_pictures_that_are_gone_are_said_to_be_missing() -> None:
    facts = benchmark_facts(2, 2)
    assert section(benchmark_report(facts).html, "reversal").count("No pictures: their runs are not kept.") == 2


def test_a_choice_on_one_dataset_is_asked_on_each_of_another_family(html: str) -> None:
    choices = section(html, "choices")
    held, failed = choices.count("✓</span>"), choices.count("✗</span>")
    assert held + failed == 8 * 7 - 2  # Fashion-MNIST and its 14 pixels are one family
    assert failed >= 7  # what is best on the last dataset is beaten on all others


def test_runs_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    facts = benchmark_facts(2, 2, folder=tmp_path / "runs")
    assert section(benchmark_report(facts).html, "reversal").count("<img ") == 16
    for cell in (cell for one in facts["results"] for cell in one["cells"] if cell["run"]):
        cell["run"] = f"../runs/{cell['run']}"
    (tmp_path / "elsewhere").mkdir()
    html = benchmark_report({**facts, "benchmark": str(tmp_path / "elsewhere")}).html
    assert section(html, "reversal").count("No pictures") == 2


def test_what_is_on_the_front_has_no_better_and_cheaper_one(html: str) -> None:
    costs = section(html, "cost")
    assert costs.count(" ◆") >= 8  # each dataset has one at least
    assert "400 MB" not in costs


def test_the_card_of_a_notebook_has_every_method_and_shows_texts_as_text() -> None:
    html = benchmark_card(benchmark_facts(3, 2, text="<script>", failed=1))
    assert "<script>" not in html
    assert html.count("<tr>") == 4
    assert "timed out" in html
    assert html.count("%</b>") >= 2


def test_names_lose_their_prefix_unless_two_would_be_equal() -> None:
    assert method_names(["course", "sklearn:knn"]) == {"course": "course", "sklearn:knn": "knn"}
    assert method_names(["knn", "sklearn:knn"]) == {"knn": "knn", "sklearn:knn": "sklearn:knn"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.floats(0.01, 50))
def test_the_diagram_of_ranks_stays_within_its_frame(shares: list[float], difference: float) -> None:
    count = len(shares)
    ranks = {f"method {place}": 1 + share * (count - 1) for place, share in enumerate(shares)}
    order = sorted(ranks, key=lambda name: ranks[name])
    drawn = RankDiagram.of(ranks, difference, [order[: count // 2 + 1], [order[-1]]], {})
    assert len(drawn.labels) == count
    assert len(drawn.groups) == 1
    assert all(0 <= x <= 100 for x in (*drawn.bar, *(x for x, _ in drawn.ticks), *(one.x for one in drawn.labels)))
    assert all(drawn.axis < one.y < drawn.height for one in drawn.labels)
    rows = [(one.y, one.right) for one in drawn.labels]
    assert len(set(rows)) == count  # no name lies on another
    better = [one.x for one in drawn.labels if not one.right]
    assert better == sorted(better)
