"""The chapter about what a choice is worth on other datasets, made from a benchmark's facts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from benchmarks.conclusions_docs import picture, text
from tests.reports.benchmarks import benchmark_facts


def test_the_chapter_has_every_choice_and_its_picture_a_cell_for_each_two_datasets() -> None:
    facts = benchmark_facts(5, 8)
    written = text(facts)
    rows = [line for line in written.split("\n") if line.startswith("| ")][1:]
    assert len(rows) == 8 * 7 - 2  # the two of Fashion-MNIST are one family
    assert re.search(r"A choice holds on a dataset of another family in \*\*\d+%\*\* \(\d+–\d+%\)", written)
    assert "## From digits to fashion-mnist, and back" in written
    for one in facts["statistics"]["conclusions"]["choices"]:
        one.update({key: f"{one[key]}, 10,000" for key in ("source", "target") if one[key] == "fashion-mnist"})
    assert "## From digits to fashion-mnist, and back" in text(facts)
    assert "is right more often than wide on" in written or "is right more often than course on" in written
    drawn = ElementTree.fromstring(picture(benchmark_facts(5, 8)["statistics"]))
    assert len([one for one in drawn if one.tag.endswith("rect")]) == 1 + 64 + 5


def test_few_families_are_told_so_and_names_of_others_are_text() -> None:
    facts = benchmark_facts(3, 2, text="|<b>`_*[x](y)")
    written = text(facts)
    assert "2 families of datasets say nothing of the next dataset" in written
    assert not re.search(r"(?<!\\)<b", written)
    assert "<b>" not in picture(facts["statistics"])
    ElementTree.fromstring(picture(facts["statistics"]))
