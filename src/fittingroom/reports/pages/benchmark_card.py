"""What a notebook shows of a benchmark: each method on each dataset, and the ranks to expect on a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fittingroom.card_html import Html, as_html, card, card_table
from fittingroom.reports.pages.benchmark_page import (
    benchmark_sentences,
    benchmark_title,
    dataset_sections,
    method_names,
)
from fittingroom.text import percent, percent_range

Facts = Mapping[str, Any]

_MOST_SHOWN = 30  # methods
_MOST_SENTENCES = 4


def benchmark_card(facts: Facts) -> str:
    """HTML: a row for each method, with its accuracy on each dataset, its interval, and the ranks it may have there.

    Args:
        facts: `Benchmark.to_dict()`.
    """
    sections = dataset_sections(facts)
    names = method_names([one["method"] for one in facts["methods"]])
    header = ("method", *(one.facts["dataset"] for one in sections))
    rows = [(name, *(_cell(section.by_method.get(method)) for section in sections)) for method, name in names.items()]
    part = "test" if facts["part"] == "test" else "validation"
    told = [
        *benchmark_sentences(facts["statistics"] or {})[:_MOST_SENTENCES],
        f"Accuracy on {part} images with its 95% interval. Bold: no other method is shown to be better there.",
        Html("<code>.report()</code> shows the page, <code>.page</code> is its file."),
    ]
    return card(benchmark_title(facts), parts=[card_table(header, rows, most=_MOST_SHOWN)], sentences=told)


def _cell(line: Any) -> str:
    if line is None or line.result["accuracy"] is None:
        return "–" if line is None or line.result["status"] in {"missing", "done"} else str(line.result["status"])
    mean = percent(line.result["accuracy"]["mean"])
    shown = f"<b>{mean}</b>" if line.top else mean
    return Html(f"{shown}<br><small>{as_html(percent_range(line.interval))}</small>")
