"""The curves that a notebook shows of a run and of its history."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fittingroom.api.run import Run
from fittingroom.reports.pages.notebook_card import ShownHistory, _history_curves
from fittingroom.runs.history import History
from tests.reports.builders import contents_of, course_of, written

FALLING = [4.0, 2.0, 1.0]


def told_of(html: str) -> list[str]:
    """What each drawing tells those who do not see it."""
    return re.findall(r'role="img" aria-label="([^"]*)"', html)


def history(**numbers: list[float]) -> History:
    epochs = len(next(iter(numbers.values())))
    return History((epoch, {name: values[epoch] for name, values in numbers.items()}) for epoch in range(epochs))


def test_a_run_and_its_history_show_the_curves_of_loss_and_accuracy(tmp_path: Path) -> None:
    run = Run(written(tmp_path / "run", contents_of(course_of(FALLING))))
    assert isinstance(run.history, ShownHistory)
    first, *_, last = run.history["val_loss"]
    for html in (run._repr_html_(), run.history._repr_html_()):
        loss, accuracy = told_of(html)
        assert loss.endswith(f"training from 1.0000 to 0.2500, validation from {first:.4f} to {last:.4f}")
        assert accuracy.startswith("Accuracy over the epochs: validation from ")


def test_a_history_stays_what_it_was(tmp_path: Path) -> None:
    contents = contents_of(course_of(FALLING))
    assert Run(written(tmp_path / "run", contents)).history == contents.history


def test_seeds_show_each_and_their_mean(tmp_path: Path) -> None:
    contents = [contents_of(course_of(FALLING), seed) for seed in range(2)]
    assert "each of the 2 seeds" in Run(written(tmp_path / "run", *contents))._repr_html_()
    (told,) = told_of(_history_curves([history(loss=[2.0, 1.0]), history(loss=[4.0, 2.0])]))
    assert told.endswith("training from 3.0000 to 1.5000")


def test_a_curve_needs_no_page_and_takes_the_colours_of_the_notebook() -> None:
    html = _history_curves([history(loss=[2.0, 1.0], val_loss=[2.0, 1.5])])
    (drawing,) = re.findall(r"<figure>.*?</figure>", html, flags=re.DOTALL)
    assert ElementTree.fromstring(drawing).find(".//svg") is not None
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    selectors = [one for rule in style.split("}")[:-1] for one in rule.split("{")[0].split(",")]
    assert all(one.strip().startswith(".fittingroom") for one in selectors)  # nothing else in the notebook changes
    used = set(re.findall(r"var\((--[\w-]+)\)", drawing))
    assert used <= set(re.findall(r"(--[\w-]+):", style))
    assert "--ink: currentColor" in style
    assert "background: transparent" in style
    assert "http" not in html


def test_the_legend_has_the_parts_that_there_are() -> None:
    html = _history_curves([history(loss=[2.0, 1.0])])
    assert "training, mean over the epoch" in html
    assert "validation, at the end" not in html


@pytest.mark.parametrize("history", [History(), history(lr=[0.1, 0.2]), history(loss=[math.nan])])
def test_where_there_is_no_number_there_is_no_curve(history: History) -> None:
    assert _history_curves([history]) == ""


def test_an_epoch_without_a_number_is_left_out() -> None:
    (told,) = told_of(_history_curves([history(loss=[3.0, math.inf, 1.0])]))
    assert told.endswith("training from 3.0000 to 1.0000")


def test_a_history_is_a_table_too_whose_names_are_only_text() -> None:
    html = ShownHistory([(0, {"loss": 0.5, "<b>": 1.0}), (1, {"loss": 0.25})])._repr_html_()
    assert "<tr><th>epoch</th><th>loss</th><th>&lt;b&gt;</th></tr>" in html
    assert "<tr><td>1</td><td>0.5000</td><td>1.0000</td></tr><tr><td>2</td><td>0.2500</td><td></td></tr>" in html


@pytest.mark.parametrize("count", [2, 3, 5])
def test_each_of_few_epochs_has_one_tick(count: int) -> None:
    html = _history_curves([history(loss=[0.5 + 0.01 * epoch for epoch in range(count)])])
    assert re.findall(r">(\d+)</text>", html) == [str(epoch) for epoch in range(1, count + 1)]
