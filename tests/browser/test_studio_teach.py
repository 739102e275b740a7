"""The view Teach as a person uses it: names classes, gives them photos, teaches, and asks, also on a phone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect, sync_playwright

import fittingroom
from fittingroom.studio.taught_classes import TaughtClasses
from tests.browser.conftest import CHROMIUM, Opened, Visit
from tests.serving.serving import Serving
from tests.studio.opened import studio

EVIL = "<img src=x onerror=alert(1)>"
KEPT = "img src=x onerror=alert(1)"  # as a folder has it
SLOW = 90_000  # ms: a process begins, and a network looks at a dozen photos


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with a camera, which shows a green test picture."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: `scripts/apt-install chromium` installs Debian's")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=camera)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small run."""
    place = tmp_path_factory.mktemp("teaching")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        fittingroom.train("digits", "linear", epochs=1, out=place / "runs" / "digits")
    return place / "runs"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with studio(folder) as running:
        yield running


def photo(colour: str, seed: int) -> FilePayload:
    """A picture of one colour with noise."""
    pixels = np.random.default_rng(seed).integers(0, 90, (120, 160, 3), np.uint8)
    pixels[..., "rgb".index(colour[0])] += 150
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return {"name": f"{colour}-{seed}.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()}


def added(page: Page, name: str) -> Locator:
    """The card of a new class."""
    before = page.locator(".taught-class").count()
    page.locator("#add-class").click()
    expect(page.locator(".taught-class")).to_have_count(before + 1)
    card = page.locator(".taught-class").last
    card.locator(".class-name").fill(name)
    card.locator(".class-name").press("Enter")
    return card


def check(opened: Opened) -> None:
    assert opened.requests == opened.complaints == opened.dialogs == []
    assert opened.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_classes_are_named_and_given_photos_that_are_chosen_or_recorded(
    visit: Visit, server: Serving, folder: Path
) -> None:
    opened = visit(f"{server.url}/teach?run=digits")
    page = opened.page
    page.context.grant_permissions(["camera"])
    expect(page.locator("#teach")).to_be_disabled()
    red = added(page, EVIL)
    red.locator("input[type=file]").set_input_files([photo("red", seed) for seed in range(6)])
    expect(red.locator(".pill")).to_have_text("6 photos")
    expect(red.locator(".class-name")).to_have_value(KEPT)
    known = added(page, "3")
    expect(known.locator(".pill")).to_have_text("0 photos, known")
    known.locator("input[type=file]").set_input_files([photo("blue", seed) for seed in range(5)])
    expect(known.locator(".pill")).to_have_text("5 photos, known")

    known.locator(".class-name").fill(EVIL)
    known.locator(".class-name").press("Enter")
    expect(known.locator(".problem")).to_contain_text("There is a class")
    expect(known.locator(".class-name")).to_have_value("3")
    assert opened.complaints.pop().startswith("Failed to load resource: the server responded with a status of 400")

    known.get_by_role("button", name="Camera", exact=True).click()
    record = known.get_by_role("button", name="Hold to record")
    record.press("Enter")  # one photo
    expect(known.locator(".pill")).to_have_text("6 photos, known")
    record.hover()
    page.mouse.down()
    expect(known.locator(".pill")).to_have_text("8 photos, known")
    page.mouse.up()
    known.get_by_role("button", name="Camera off").click()
    count = len(TaughtClasses.of(folder, "digits", ()).photos("3"))
    while count > 5:  # the pictures of the camera go again, the newest first
        known.locator(".taught-photo").first.click()
        count -= 1
        expect(known.locator(".pill")).to_have_text(f"{count} photos, known")
    check(opened)


@pytest.mark.slow  # a process of its own and a pretrained network
def test_a_run_is_taught_and_asked_on_a_wide_screen_and_on_a_phone(visit: Visit, server: Serving, folder: Path) -> None:
    classes = TaughtClasses.of(folder, "digits", tuple("0123456789"))
    for name in set(classes.names()):
        classes.remove(name)
    for name, colour in ((EVIL, "red"), ("3", "blue")):
        kept = classes.add(name)
        for seed in range(6):
            classes.put(kept, photo(colour, seed)["buffer"])
    opened = visit(f"{server.url}/teach?run=digits")
    page = opened.page
    page.locator("#teach").click()
    expect(page.locator(".taught-result .numbers-big")).to_contain_text("of your photos", timeout=SLOW)
    expect(page.locator(".taught-result .line")).to_have_count(2)
    expect(page.locator(".teach .class-bars")).to_contain_text(KEPT, timeout=SLOW)
    page.locator('section[aria-label="Answer"] input[type=file]').set_input_files(photo("red", 99))
    expect(page.locator(".teach .likeliest")).to_contain_text(KEPT, timeout=SLOW)
    expect(page.locator("#command")).to_contain_text("fittingroom teach digits ")
    assert page.locator("main script, main img[onerror]").count() == 0
    check(opened)

    narrow = visit(page.url, 390, 844, dark=True, touch=True)
    expect(narrow.page.locator(".teach .verdict")).to_be_visible(timeout=SLOW)
    check(narrow)
