"""The benchmarks in a real browser: the list, one while it runs, and what came out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from fittingroom.runs.unfinished import RunLock
from tests.browser.conftest import HOSTILE_NAMES, Visit
from tests.reports.benchmarks import benchmark_facts
from tests.serving.serving import Serving
from tests.studio.opened import studio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs with a benchmark that is done, whose names are hostile, and one whose result is damaged."""
    runs = tmp_path_factory.mktemp("benchmarks") / "runs"
    facts = benchmark_facts(3, 7, 2, text="".join(HOSTILE_NAMES), failed=1)
    keep(runs / "benchmark-whole", "benchmark.json", facts)
    (runs / "benchmark-broken").mkdir()
    (runs / "benchmark-broken" / "benchmark.json").write_text("{", encoding="utf-8")
    keep(runs / "benchmark-odd", "benchmark.json", {**benchmark_facts(1, 1), "results": ["x"]})
    return runs


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with studio(folder) as running:
        yield running


def keep(folder: Path, name: str, what: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{name}"
    new.write_text(json.dumps(what), encoding="utf-8")
    new.rename(folder / name)


def progress(done: int) -> dict[str, Any]:
    counts = {"done": done, "failed": 1, "total": 20}
    return {**counts, "running": ["course on <digits>, seed 0"], "datasets": {"<digits>": counts}}


def test_benchmarks_are_listed_and_one_is_shown_as_its_page_has_it(visit: Visit, server: Serving) -> None:
    opened, phone = visit(f"{server.url}/benchmarks"), visit(f"{server.url}/benchmarks", 390, dark=True)
    page = opened.page
    expect(page.locator(".benchmark-card")).to_have_count(3)
    expect(page.locator(".benchmark-list")).to_contain_text("cannot be read")
    for one in (page, phone.page):
        one.get_by_role("link", name="3 methods on 7 datasets").click()
        expect(one.locator("#overview tbody tr")).to_have_count(3)
        expect(one.locator("#next .strips svg").first).to_be_visible()
        assert one.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    with page.expect_popup() as popup:
        page.get_by_role("link", name="The page, to save or to send").click()
    expect(popup.value.locator("h1")).to_have_text("3 methods on 7 datasets")
    page.goto(f"{server.url}/benchmarks?benchmark=benchmark-broken")
    expect(page.locator(".nothing")).to_contain_text("Run the benchmark again, in the same folder.")
    page.goto(f"{server.url}/benchmarks?benchmark=benchmark-odd")
    expect(page.locator(".nothing")).to_contain_text("benchmark-odd holds results that cannot be read.")
    page.goto(f"{server.url}/benchmarks?benchmark=elsewhere")
    expect(page.locator(".nothing")).to_contain_text("There is no benchmark")
    assert phone.requests == phone.complaints == phone.dialogs == opened.dialogs == []


def test_a_benchmark_that_runs_elsewhere_is_watched_until_it_ends(visit: Visit, server: Serving, folder: Path) -> None:
    place = folder / "benchmark-live"
    keep(place, "progress.json", progress(2))
    lock = RunLock(place)
    try:
        opened = visit(f"{server.url}/benchmarks")
        page = opened.page
        expect(page.locator(".benchmark-card", has_text="benchmark-live")).to_contain_text(
            "running now · 2 of 20 cells"
        )
        page.goto(f"{server.url}/benchmarks?benchmark=benchmark-live")
        expect(page.locator("#benchmark-running")).to_contain_text("Now: course on <digits>, seed 0")
        expect(page.locator("#status")).to_have_text("3 of 20 cells")
        keep(place, "progress.json", progress(9))
        expect(page.locator("#status")).to_have_text("10 of 20 cells")
        expect(page.locator(".benchmark-progress")).to_contain_text("9 of 20, 1 failed")
        keep(place, "benchmark.json", benchmark_facts(2, 2, 1))
    finally:
        lock.release()
    expect(page.locator("#overview tbody tr")).to_have_count(2)
    expect(page.locator("#benchmark-running")).to_be_hidden()
    assert opened.requests == opened.complaints == opened.dialogs == []


@pytest.mark.slow
def test_a_benchmark_is_begun_stopped_and_continued_to_its_end(visit: Visit, server: Serving, folder: Path) -> None:
    page = visit(f"{server.url}/benchmarks").page
    page.locator("#new-benchmark summary").click()
    page.get_by_label("sklearn:naive-bayes").check()
    page.locator("#benchmark-seeds").fill("3")
    expect(page.locator("#command")).to_have_text(
        "fittingroom benchmark digits --methods linear course sklearn:naive-bayes --seeds 3"
    )
    page.locator("#begin-benchmark").click()
    expect(page).to_have_url(f"{server.url}/benchmarks?benchmark=benchmark-1")
    expect(page.locator("#status")).to_contain_text(re.compile(r"[1-9]\d* of \d+ cells"), timeout=90_000)
    page.locator("#stop-benchmark").click()
    expect(page.locator("#continue-benchmark")).to_be_visible(timeout=60_000)
    page.locator("#continue-benchmark").click()
    expect(page.locator("#benchmark-running")).to_be_hidden(timeout=120_000)
    expect(page.locator("#overview tbody tr")).to_have_count(3)
    facts = json.loads((folder / "benchmark-1" / "benchmark.json").read_text(encoding="utf-8"))
    assert facts["cells"]["missing"] == 0
