"""The curves that a notebook shows of a run and of its history."""

from __future__ import annotations

import base64
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fittingroom.api.replicas import Replicas
from fittingroom.api.run import Run
from fittingroom.reports.curves import ShownHistory, curves_shown
from fittingroom.runs.history import History
from tests.reports.builders import contents_of, course_of, written

FALLING = [4.0, 2.0, 1.0]


class Pictures(HTMLParser):
    """The pictures of a piece of HTML: what each tells, and its drawing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            told = {name: value or "" for name, value in attrs}
            kind, text = told["src"].split(",", maxsplit=1)
            assert kind == "data:image/svg+xml;base64"
            self.found[told["alt"]] = base64.b64decode(text).decode()


def history(**numbers: list[float]) -> History:
    epochs = len(next(iter(numbers.values())))
    return History((epoch, {name: values[epoch] for name, values in numbers.items()}) for epoch in range(epochs))


def test_a_run_and_its_history_show_the_curves_of_loss_and_accuracy(tmp_path: Path) -> None:
    run = Run(written(tmp_path / "run", contents_of(course_of(FALLING))))
    assert isinstance(run.history, ShownHistory)
    first, *_, last = run.history["val_loss"]
    for html in (run._repr_html_(), run.history._repr_html_()):
        loss, accuracy = Pictures(html).found
        assert loss.endswith(f"training from 1.0000 to 0.2500, validation from {first:.4f} to {last:.4f}")
        assert accuracy.startswith("Accuracy over the epochs: validation from ")


def test_a_history_stays_what_it_was(tmp_path: Path) -> None:
    contents = contents_of(course_of(FALLING))
    assert Run(written(tmp_path / "run", contents)).history == contents.history


def test_replicas_show_each_and_their_mean(tmp_path: Path) -> None:
    contents = [contents_of(course_of(FALLING), seed) for seed in range(2)]
    assert "each of the 2 replicas thin" in Replicas(written(tmp_path / "run", *contents))._repr_html_()
    (told,) = Pictures(curves_shown([history(loss=[2.0, 1.0]), history(loss=[4.0, 2.0])])).found
    assert told.endswith("training from 3.0000 to 1.5000")


def test_a_curve_needs_no_page_around_it() -> None:
    for svg in Pictures(curves_shown([history(loss=[2.0, 1.0], val_loss=[2.0, 1.5])])).found.values():
        ElementTree.fromstring(svg)
        used = set(re.findall(r"var\((--[\w-]+)\)", svg))
        assert used
        assert used <= set(re.findall(r"(--[\w-]+): #", svg))
        assert "http" not in svg.replace("http://www.w3.org/", "")


def test_the_legend_has_the_parts_that_there_are() -> None:
    html = curves_shown([history(loss=[2.0, 1.0])])
    assert "training, mean over the epoch" in html
    assert "validation" not in html


@pytest.mark.parametrize("history", [History(), history(lr=[0.1, 0.2]), history(loss=[math.nan])])
def test_where_there_is_no_number_there_is_no_curve(history: History) -> None:
    assert curves_shown([history]) == ""


def test_an_epoch_without_a_number_is_left_out() -> None:
    (told,) = Pictures(curves_shown([history(loss=[3.0, math.inf, 1.0])])).found
    assert told.endswith("training from 3.0000 to 1.0000")


def test_a_history_is_a_table_too_whose_names_are_only_text() -> None:
    html = ShownHistory([(0, {"loss": 0.5, "<b>": 1.0}), (1, {"loss": 0.25})])._repr_html_()
    assert "<tr><th>epoch</th><th>loss</th><th>&lt;b&gt;</th></tr>" in html
    assert "<tr><td>1</td><td>0.5000</td><td>1.0000</td></tr><tr><td>2</td><td>0.2500</td><td></td></tr>" in html


@pytest.mark.parametrize("count", [2, 3, 5])
def test_each_of_few_epochs_has_one_tick(count: int) -> None:
    (svg,) = Pictures(curves_shown([history(loss=[0.5 + 0.01 * epoch for epoch in range(count)])])).found.values()
    assert re.findall(r">(\d+)</text>", svg) == [str(epoch) for epoch in range(1, count + 1)]
