"""The views Runs and Class, as a teacher and a guest use them: with real clicks, in one server."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

import fittingroom
from tests.browser.conftest import Visit
from tests.serving.serving import Serving
from tests.studio.opened import studio

BAD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs` (three of them), `class.zip` (two runs, one of them forged) and `hidden.npz`."""
    folder = tmp_path_factory.mktemp("class")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        for name, recipe in (("one", "course"), ("two", "linear")):
            fittingroom.train("digits", recipe, out=folder / "runs" / name)
        shutil.copytree(folder / "runs" / "one", folder / "runs" / "three")
    for student, run in (("anna", "one"), ("ben", "two")):
        shutil.copytree(folder / "runs" / run, folder / "hand-ins" / student / "run")
    forged = folder / "hand-ins" / "ben" / "run" / "seed-0" / "run.json"
    text = re.sub(r'("validation": \{[^}]*"accuracy": )[\d.]+', r"\g<1>0.9999", forged.read_text())
    forged.write_text(text)
    with zipfile.ZipFile(folder / "class.zip", "w") as archive:
        for file in (folder / "hand-ins").rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(folder / "hand-ins"))
    digits = fittingroom.load("digits")
    np.savez(
        folder / "hidden.npz", x_train=np.asarray(digits.train.images)[:300] // 2 * 2, y_train=digits.train.y[:300]
    )
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Serving]:
    with studio(place / "runs") as running:
        yield running


def row(page: Page, name: str) -> Locator:
    return page.locator("tr", has=page.locator("td.name button.name", has_text=re.compile(f"^{re.escape(name)}$")))


def command(page: Page) -> str:
    return page.locator("#command").inner_text().strip()


def no_overflow(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize(("width", "dark"), [(1400, False), pytest.param(390, True, marks=pytest.mark.slow)])
def test_runs_are_sorted_annotated_compared_deleted_and_brought_back(
    visit: Visit, server: Serving, place: Path, width: int, *, dark: bool
) -> None:
    opened = visit(f"{server.url}/runs", width, dark=dark)
    page = opened.page
    expect(page.locator("td.name button.name")).to_have_count(3)
    page.get_by_role("button", name="Accuracy").click()
    expect(page.locator("td.name button.name").last).to_have_text("two")
    assert command(page) == "fittingroom runs --sort=accuracy"
    row(page, "two").locator("button.name").click()
    page.get_by_label("Title").fill(BAD)
    page.get_by_label("Tags").fill("best, class 7b")
    page.get_by_label("Notes").fill("first line")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Kept.")).to_be_visible()
    expect(page.locator("td.name button.name").last).to_have_text(BAD)
    no_overflow(page)
    page.locator("button.tag", has_text="best").first.click()
    expect(page.locator("td.name button.name")).to_have_count(1)
    assert "filter=tag%3Dbest" in page.url
    page.reload()  # the address has it all
    expect(page.locator("td.name button.name")).to_have_count(1)
    page.get_by_label("Filter").fill("")
    row(page, "one").locator("input").check()
    row(page, BAD).locator("input").check()
    assert command(page) == "fittingroom compare one two"
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".comparison .verdict")).to_contain_text(BAD)
    no_overflow(page)
    with page.context.expect_page() as report:
        page.get_by_role("link", name="Report").click()
    expect(report.value.locator("h1").first).to_be_visible()
    page.get_by_role("button", name="Untick").click()
    row(page, "three").locator("input").check()
    page.locator(".actions").get_by_role("button", name="Delete").click()
    expect(page.locator(".undo")).to_contain_text("three is in the trash")
    expect(page.locator("td.name button.name")).to_have_count(2)
    assert not (place / "runs" / "three").exists()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("td.name button.name")).to_have_count(3)
    page.locator("td.name button.name", has_text=BAD).first.click()
    page.get_by_label("Title").fill("")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Kept.")).to_be_visible()
    assert (opened.complaints, opened.requests, opened.dialogs) == ([], [], [])


def test_a_class_is_imported_ranked_and_scored_on_a_hidden_test_set(visit: Visit, server: Serving, place: Path) -> None:
    opened = visit(f"{server.url}/class")
    page = opened.page
    expect(page.locator(".board tbody tr")).to_have_count(3)
    page.set_input_files("#import", place / "class.zip")
    expect(page.locator(".imported p")).to_have_count(2, timeout=30_000)
    expect(page.locator(".imported")).to_contain_text("Its files claim 99.99%")
    expect(page.locator(".board tbody tr")).to_have_count(5)
    expect(page.locator(".board .in-bracket").first).to_be_visible()
    page.goto(f"{server.url}/class?runs=anna%7Cben")
    expect(page.locator(".board tbody tr")).to_have_count(2)
    assert command(page) == "fittingroom compare anna ben"
    page.get_by_label("Dataset with the test set").fill(str(place / "hidden.npz"))
    page.get_by_role("button", name="What does it cost?").click()
    expect(page.locator(".cost")).to_contain_text("This test set has 300 images and has had no look so far.")
    expect(page.locator(".cost")).to_contain_text("2 looks, one for each seed")
    page.get_by_role("button", name="Open it: 2 looks").click()
    scores = page.locator(".test-board")
    expect(scores.locator("tbody tr")).to_have_count(2, timeout=30_000)
    expect(scores).to_contain_text("best of 2 looks")
    expect(scores).to_contain_text("look 1 of 2")
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        no_overflow(page)
    page.get_by_label("Dataset with the test set").fill("/nothing/here")
    page.get_by_role("button", name="What does it cost?").click()
    expect(page.locator(".cost .warning")).to_be_visible()
    complaints = [one for one in opened.complaints if "404" not in one and "400" not in one]
    assert (complaints, opened.requests, opened.dialogs) == ([], [], [])
