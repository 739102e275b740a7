"""The error rate that a page computes while a person reviews is the one that Python computes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from fittingroom.audits.error_rate import Decision, ErrorRate, ReviewPlan
from tests.browser.conftest import Open

_WORDS: tuple[Decision, ...] = ("wrong", "right", "skipped")


def test_page_and_python_name_the_same_error_rate(open_file: Open, tmp_path: Path) -> None:
    script = files("fittingroom").joinpath("reports", "templates", "error_rate.js").read_text()
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><html lang=en><title>x</title><script>{script}</script>")
    opened = open_file(page)
    for seed, images in enumerate((1, 40, 3000)):
        draw = np.random.default_rng(seed)
        plan = ReviewPlan.of(draw.beta(0.1, 1.5, images), seed=seed, most=200)
        for count in (0, 1, 7, 150):
            decisions = {index: _WORDS[draw.choice(3, p=[0.3, 0.6, 0.1])] for index in plan.order[:count]}
            named = {str(index): decision for index, decision in decisions.items()}
            found = opened.page.evaluate("([plan, decisions]) => errorRate(plan, decisions)", [plan.to_dict(), named])
            expected = ErrorRate.of(plan, decisions).to_dict()
            assert found["interval"] == pytest.approx(expected["interval"])
            assert found["estimate"] == pytest.approx(expected["estimate"])
            assert [found[name] for name in ("images", "reviewed", "wrong", "skipped")] == [
                expected[name] for name in ("images", "reviewed", "wrong", "skipped")
            ]
