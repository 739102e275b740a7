"""An exported page in a real Chromium: it answers by itself, loads nothing, fits a phone, and texts stay texts."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import fittingroom as fr
from fittingroom.runs.layout import SeedFiles
from fittingroom.serving.try_view import TryView
from tests.browser.conftest import HOSTILE_NAMES, Open, Opened
from tests.browser.test_report import CONTRAST
from tests.photos.drawing import photo, training_images

NAMES = ["".join(HOSTILE_NAMES[:3]), "Trousers"]
pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def model_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[fr.Run, Path]:
    """A run on shirts and trousers, one class of which has another's code for a name, and its page."""
    folder = tmp_path_factory.mktemp("model-page")
    shirts = training_images(120)
    trousers = shirts[:, ::-1].copy()
    trousers[:, :20, 13:15] = 0
    images, labels = np.concatenate([shirts, trousers]).astype(np.uint8), np.repeat([0, 1], 120)
    order = np.random.default_rng(0).permutation(240)
    np.savez(folder / "clothes.npz", x_train=images[order], y_train=labels[order])
    fr.train(str(folder / "clothes.npz"), fr.Recipe(name="small", hidden=(16,), epochs=8), out=folder / "run")
    record = SeedFiles(folder / "run").folder / "run.json"
    contents = json.loads(record.read_text())
    contents["data"]["classes"] = NAMES
    contents["recipe"]["name"] = HOSTILE_NAMES[0]
    record.write_text(json.dumps(contents))
    run = fr.open_run(folder / "run")
    return run, run.export("page", folder / "model.html", samples=6).path


def opened(open_file: Open, path: Path, width: int = 1400, **how: Any) -> Opened:
    found = open_file(path, width, **how)
    expect(found.page.locator("canvas.sheet-of-paper")).to_be_visible()
    return found


def assert_alone(found: Opened) -> None:
    """It asked nobody for anything."""
    asked = [url for url in found.requests if not url.startswith(("blob:null/", "blob:file:", "data:image/svg+xml"))]
    assert asked == found.complaints == found.dialogs == []


def draw(page: Page) -> None:
    box = page.locator("canvas.sheet-of-paper").bounding_box()
    assert box is not None
    corners = [(0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.2)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()


def picture() -> bytes:
    content = io.BytesIO()
    photo()[0].save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1400, False)])
def test_a_drawing_a_sample_and_a_photo_are_answered_without_a_server(
    model_page: tuple[fr.Run, Path], open_file: Open, width: int, dark: bool
) -> None:
    run, path = model_page
    found = opened(open_file, path, width, dark=dark)
    page = found.page
    verdict, steps = page.locator(".verdict"), page.locator(".steps figure")
    draw(page)
    expect(verdict).not_to_have_text("Draw something")
    expect(steps.last).to_contain_text("28×28")
    expect(page.locator(".chance").first).to_contain_text("%")
    page.keyboard.press("Control+z")
    expect(verdict).to_have_text("Draw something")

    page.get_by_role("button", name="Samples").click()
    expect(page.locator(".samples img")).to_have_count(6)
    page.locator(".samples button").first.click()
    expect(page.locator(".after-answer .hint")).to_contain_text("In the dataset it is of the class ")

    page.get_by_role("button", name="Photo", exact=True).click()
    page.get_by_label("Photo", exact=True).set_input_files(
        {"name": "p.png", "mimeType": "image/png", "buffer": picture()}
    )
    told = TryView("run", run.predictor, None).photo(picture())
    expect(page.locator(".why")).to_have_text(re.compile(re.escape(told["why"][:20])))
    expect(steps.locator("figcaption")).to_have_text([step["name"] for step in told["steps"]])
    page.get_by_label("Photo", exact=True).set_input_files({"name": "x", "mimeType": "image/png", "buffer": b"nothing"})
    expect(page.locator(".try .note")).to_have_text(re.compile("cannot be read"))

    page.locator("details summary").click()
    assert HOSTILE_NAMES[0] in page.inner_text("#about")
    assert NAMES[0] in page.inner_text("body")
    assert page.locator("[onerror], [onmouseover], iframe, object, embed, link:not([rel=icon]), base").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert min(page.evaluate(CONTRAST), default=[4.5])[0] >= 4.5
    assert_alone(found)


@pytest.mark.parametrize("lacks", ["Worker", "Worker, delete globalThis.WebAssembly"])
def test_a_browser_that_lacks_threads_or_vectors_answers_too(
    model_page: tuple[fr.Run, Path], open_file: Open, lacks: str
) -> None:
    run, path = model_page
    found = open_file(path)
    found.page.add_init_script(f"delete globalThis.{lacks}")
    found.page.reload()
    images = np.load(run.path.parent / "clothes.npz")["x_train"][:1]
    content = f"{{ bytes: Uint8Array.from({images.ravel().tolist()}).buffer }}"
    asked = f"fittingRoom.then(({{ ask }}) => ask('probabilities', {content}))"
    told = run.answer(images)[0].probabilities
    np.testing.assert_allclose(found.page.evaluate(asked)[0], told, atol=1e-5)
    assert_alone(found)
