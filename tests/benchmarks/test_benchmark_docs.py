"""The chapter about the standing benchmark, made from a benchmark's facts."""

from __future__ import annotations

import re

from benchmarks.benchmark_docs import text
from tests.reports.benchmarks import benchmark_facts


def test_the_chapter_has_every_method_on_every_dataset_and_no_mean_over_them() -> None:
    written = text(benchmark_facts(5, 7, failed=1), ["ranks", "reversal", "costs"])
    rows = [line for line in written.split("\n") if line.startswith("| ")]
    head, *methods = rows[:6]
    assert head.count("|") == 1 + 1 + 7
    assert [row.split("|")[1].strip() for row in methods] == ["course", "wide", "cnn", "knn", "logistic"]
    assert all(len(re.findall(r"\d\d?\.\d% \(", row.replace("**", ""))) >= 6 for row in methods)
    assert "sklearn:logistic on fashion-mnist: timed out. It took more than 600 s." in written
    assert "images/benchmark/reversal.webp" in written


def test_names_of_others_are_text_in_the_chapter_too() -> None:
    written = text(benchmark_facts(2, 2, text="|<b>`_*[x](y)"))
    assert "\\|\\<b\\>\\`\\_\\*\\[x\\](y)" in written
    assert not re.search(r"(?<!\\)<b", written)


def test_a_chapter_without_pictures_or_statistics_stands() -> None:
    written = text({**benchmark_facts(1, 1), "statistics": None})
    assert "images/" not in written
    assert "None" not in written
