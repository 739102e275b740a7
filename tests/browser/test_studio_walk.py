"""A walk through all views of a studio as a user goes it: press, wait, look, click; and the same with hostile names."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from fittingroom.runs.ledger import Ledger
from fittingroom.studio.frame_routes import VIEWS
from tests.browser.conftest import Opened, Visit
from tests.serving.serving import Serving
from tests.studio.opened import studio
from tests.studio.small_labs import small_labs

HOSTILE = ("<script>alert(1)", "<img src=x onerror=alert(2)>", "\u202egnp.exe", "\u05e9\u05dc\u05d5\u05dd & \"co'")
SLOW = 90_000  # ms, on a machine that does much else


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs, the ledger and the labs of this module are."""
    return tmp_path_factory.mktemp("walk")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Serving]:
    """A studio without a run, with two labs on digits."""
    with studio(place / "runs", **small_labs(place)) as running:
        yield running


def archive(classes: tuple[str, ...], each: int = 24) -> bytes:
    """A ZIP of class folders with pictures that can be told apart."""
    random, content = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for label, name in enumerate(classes):
            for number in range(each):
                pixels = random.integers(0, 60, (12, 12), np.uint8)
                pixels[3 * label : 3 * label + 3] += 190
                picture = io.BytesIO()
                Image.fromarray(pixels).save(picture, "PNG")
                packed.writestr(f"{name}/{number}.png", picture.getvalue())
    return content.getvalue()


def check_page(opened: Opened) -> None:
    """Nothing was asked of another host, nothing complained, no box came up, and nothing lies beyond the screen."""
    assert opened.requests == opened.complaints == opened.dialogs == []
    assert opened.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, opened.page.url
    assert opened.page.locator("#command").inner_text().startswith("fittingroom"), opened.page.url
    assert opened.page.locator("#failure").is_hidden(), opened.page.url


def go(page: Page, view: str) -> None:
    page.locator(f'nav a[href^="/{view}"]').click()
    expect(page.locator("nav a[aria-current]")).to_have_text(view.capitalize())


def train(page: Page) -> str:
    """Presses Train, waits for the end, and gives the run's name."""
    page.locator("button.main", has_text="Train").click()
    expect(page.locator(".doors a").first).to_be_visible(timeout=SLOW)
    address: str = page.evaluate("new URLSearchParams(location.search).get('run')")
    return address


def look_at_mistakes(opened: Opened, run: str) -> None:
    """Through the door at the end of a training: a cell of the matrix, an image, and back."""
    page = opened.page
    page.locator('.doors a[href^="/understand"]').click()
    expect(page.locator("#run")).to_have_value(run)
    page.locator(".matrix .cell.wrong:not(.empty)").first.click()
    expect(page.locator("#selection-title")).to_contain_text("taken for")
    page.locator(".shots button").first.click()
    expect(page).to_have_url(re.compile("image="))
    page.keyboard.press("Escape")
    check_page(opened)


def draw(opened: Opened) -> None:
    """A stroke on the canvas, and its answer."""
    page = opened.page
    go(page, "try")
    canvas = page.locator("canvas.sheet-of-paper")  # not the map of the view before
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 220, steps=8)
    page.mouse.up()
    expect(page.locator(".class-bars")).to_contain_text("%", timeout=SLOW)
    check_page(opened)


def answer_a_lab(opened: Opened) -> None:
    """A guess, the quick measurement, and what came out."""
    page = opened.page
    go(page, "labs")
    page.get_by_role("link", name="Sizes").click()
    page.get_by_label("It rises").check()
    page.locator("#quick-lab").click()
    expect(page.locator("#lab-results")).to_contain_text("16 are better than 2.", timeout=SLOW)
    check_page(opened)


def test_a_walk_through_all_views_from_nothing_to_a_test_score(visit: Visit, server: Serving, place: Path) -> None:
    opened, other = visit(server.url), visit(f"{server.url}/train", 390, 800, dark=True)
    page = opened.page
    page.locator("#dataset").select_option("digits")
    run = train(page)
    expect(page.locator(".sentence")).to_contain_text("right")
    expect(other.page.locator(".doors a").first).to_be_visible(timeout=SLOW)  # it saw the same
    check_page(opened)

    look_at_mistakes(opened, run)
    draw(opened)
    answer_a_lab(opened)

    go(page, "class")
    expect(page.locator(".board tbody tr")).to_have_count(1)
    expect(page.locator(".board")).to_contain_text("validation images of digits")
    check_page(opened)

    go(page, "runs")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("button.name").click()
    page.get_by_role("link", name="Test set").click()
    expect(page.locator(".said")).to_contain_text("this will be the first look")
    assert Ledger(place / "ledger.sqlite").looks() == []  # nothing on the way here was a look
    page.locator("#open").click()
    page.locator("#confirm").click()
    expect(page.locator("#score")).to_contain_text("look 1 at this test set", timeout=SLOW)
    assert len(Ledger(place / "ledger.sqlite").looks()) == 1
    check_page(opened)
    go(page, "runs")
    expect(page.locator("td.looks")).to_have_text("1")
    check_page(opened)
    for view in VIEWS:
        go(other.page, view)
        expect(other.page.locator("main *").first).to_be_visible()
        other.page.wait_for_load_state("networkidle")
        check_page(other)


@pytest.mark.slow
def test_hostile_names_of_classes_are_inert_in_every_view(visit: Visit, server: Serving) -> None:
    opened = visit(f"{server.url}/train?set=epochs%3D2")
    page = opened.page
    page.locator("#dataset").select_option(label="upload a ZIP…")
    page.locator("input[type=file]").set_input_files(
        {"name": "<b>pictures.zip", "mimeType": "application/zip", "buffer": archive(HOSTILE)}
    )
    expect(page.locator("#dataset option:checked")).to_contain_text("pictures", timeout=SLOW)
    run = train(page)
    check_page(opened)
    for view in ("understand", "try", "runs", "class", "test"):
        page.goto(f"{server.url}/{view}?run={quote(run)}")
        expect(page.locator("main *").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        check_page(opened)
    page.goto(f"{server.url}/understand?run={quote(run)}")
    for name in HOSTILE[:2]:
        expect(page.locator("main")).to_contain_text(name)
    assert page.locator("main script, main img[onerror]").count() == 0


def test_a_training_that_fails_shows_its_sentence(visit: Visit, server: Serving, place: Path) -> None:
    pictures = place / "gone"
    for name in ("one", "two"):
        (pictures / name).mkdir(parents=True)
        for number in range(9):
            Image.new("L", (12, 12), 40 * number).save(pictures / name / f"{number}.png")
    (pictures / "two" / "9.png").write_bytes(b"this is not a picture")
    opened = visit(f"{server.url}/train?dataset={quote(str(pictures))}")
    page = opened.page
    page.locator("button.main", has_text="Train").click()
    expect(page.locator(".sentence.failed")).to_contain_text("9.png", timeout=SLOW)
    assert opened.requests == opened.complaints == opened.dialogs == []


@pytest.mark.slow
def test_a_page_catches_up_when_its_studio_was_killed_while_it_trained(visit: Visit, tmp_path: Path) -> None:
    with studio(tmp_path / "runs") as server:
        opened = visit(f"{server.url}/train?dataset=digits&set=epochs%3D3000")
        page = opened.page
        page.locator("button.main", has_text="Train").click()
        expect(page.locator("#status")).to_contain_text("training, epoch", timeout=SLOW)
        port = server.port
        server.process.kill()
        expect(page.locator("#connection")).to_contain_text("Connection lost")
    with studio(tmp_path / "runs", "--port", str(port)):
        expect(page.locator("#connection")).to_be_hidden(timeout=SLOW)
        expect(page.locator("#status")).to_contain_text("training, epoch")
        page.locator("button.main", has_text="Stop").click()
        expect(page.locator("button", has_text="Continue")).to_be_visible(timeout=SLOW)
