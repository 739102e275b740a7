"""The view Understand in a real browser, as somebody uses it who looks for what a run gets wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

import fittingroom
from fittingroom.api.image_map import make_map
from fittingroom.reports.facts.subject import Subject
from fittingroom.runs.outcomes import Outcomes
from tests.browser.conftest import HOSTILE_RUN, Visit, make_hostile
from tests.reports.builders import contents_of, course_of, written
from tests.serving.serving import Serving
from tests.studio.opened import studio

RUN = "two words"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of four epochs, one with hostile names, one on 60 classes of no images, one without data."""
    place = tmp_path_factory.mktemp("understand")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        recipe = fittingroom.Recipe(name="small", hidden=(24,), epochs=4)
        run = fittingroom.train("digits", recipe, validation=300, out=place / "runs" / RUN)
        other = fittingroom.train("digits", recipe, validation=60, out=place / "one")
        other.evaluate("for its text")
        make_hostile(other.path / "seed-0", place / "runs" / HOSTILE_RUN)
        fittingroom.train("digits", recipe.changed(epochs=1), validation=0, out=place / "runs" / "blind")
    written(place / "runs" / "many", contents_of(course_of([1.0, 1.5], images=240, classes=60)))
    make_map(Subject.read(place / "runs" / "many"))
    assert run.path.is_dir()
    return place / "runs"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    """A studio of that folder."""
    with studio(folder) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> Outcomes:
    """What the run made of its images."""
    found = fittingroom.open_run(folder / RUN).outcomes
    assert found is not None
    return found


def title(page: Page) -> Locator:
    return page.locator("#selection-title")


def most_mixed_up(outcomes: Outcomes, row: int) -> tuple[int, int, int]:
    """The true and the predicted class that an epoch mixes up most, and how often."""
    pairs = [(int(label), int(taken)) for label, taken in zip(outcomes.labels, outcomes.predicted[row], strict=True)]
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    label, predicted = max(set(wrong), key=lambda pair: (wrong.count(pair), pair))
    return label, predicted, wrong.count((label, predicted))


def test_a_way_through_all_panels_with_one_selection(visit: Visit, server: Serving, outcomes: Outcomes) -> None:
    opened = visit(f"{server.url}/understand?run=two+words", 1400, 900)
    page = opened.page
    right = outcomes.predicted == outcomes.labels
    expect(title(page)).to_have_text(f"Mistakes: {(~right[3]).sum()}")

    # The map comes while one looks: principal components first, then t-SNE, which waits to be chosen.
    expect(page.locator('.map-panel[data-places="pca"]')).to_be_visible(timeout=60_000)
    expect(page.locator(".map-words")).to_contain_text("24 features of the last hidden layer")
    page.locator('button[data-kind="tsne"]').click(timeout=60_000)
    expect(page.locator('.map-panel[data-places="tsne"]')).to_be_visible()

    # A cell of the matrix is a button to its images, in less than a tenth of a second.
    label, predicted, count = most_mixed_up(outcomes, 3)
    taken = f"{label} taken for {predicted}: {count}"
    cell = page.locator(f'.cell[data-label="{label}"][data-predicted="{predicted}"]')
    expect(cell).to_have_text(str(count))
    cell.click()
    expect(title(page)).to_have_text(taken)
    assert page.locator(".shots .shot-button").count() == count
    assert f"label={label}&predicted={predicted}" in page.url
    page.locator("#python").click()
    expect(page.locator("#command")).to_contain_text(f"found.labels == {label}")

    # An image opens at the side; the arrow keys go on; its neighbours open too.
    page.locator(".shots .shot-button").first.click()
    panel = page.locator(".image-panel")
    expect(panel.locator("h2")).to_have_text(f"{label} taken for {predicted}")
    size = "one => one.decode().then(() => [one.width, one.naturalWidth])"
    assert panel.locator(".image-picture img").evaluate(size) == [192, 8]
    expect(panel.locator(".image-course polyline").first).to_be_visible()
    expect(panel.locator(".neighbours .shot-button")).to_have_count(12)
    expect(panel.locator(".pixel-map")).to_be_visible(timeout=30_000)
    expect(panel.locator(".looks")).to_contain_text("Each pixel's value times its weight")
    first = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(first)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(first)
    assert page.locator(".shot-button[aria-current]").count() >= 1

    # The link restores it: run, epoch, selection and image.
    again = visit(first, 1400, 900)
    expect(title(again.page)).to_have_text(taken)
    expect(again.page.locator(".image-panel h2")).to_have_text(f"{label} taken for {predicted}")
    expect(again.page.locator('.cell[aria-pressed="true"]')).to_have_text(str(count))
    # Escape closes the image, and then clears the selection; "back" brings it back.
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.keyboard.press("Escape")
    expect(title(page)).to_have_text(re.compile("^Mistakes: "))
    assert "label" not in page.url
    page.go_back()
    expect(title(page)).to_have_text(taken)
    page.keyboard.press("Escape")

    for one in (opened, again):
        assert (one.requests, one.complaints, one.dialogs) == ([], [], [])


def test_every_epoch_has_its_matrix_and_every_number_its_images(
    visit: Visit, server: Serving, outcomes: Outcomes
) -> None:
    opened = visit(f"{server.url}/understand?run=two+words", 1400, 900)
    page = opened.page
    right = outcomes.predicted == outcomes.labels
    # The slider shows the matrix of any epoch.
    page.locator("#epoch").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".epoch-slider output")).to_have_text("epoch 1")
    expect(title(page)).to_have_text(f"Mistakes: {(~right[0]).sum()}")
    label, predicted, count = most_mixed_up(outcomes, 0)
    expect(page.locator(f'.cell[data-label="{label}"][data-predicted="{predicted}"]')).to_have_text(str(count))
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-group="became wrong"] b')).to_have_text(str((right[0] & ~right[1]).sum()))
    page.locator('[data-group="became right"]').click()
    became = int((~right[0] & right[1]).sum())
    expect(title(page)).to_have_text(f"Became right, epoch 1 to epoch 2: {became}")
    expect(page.locator(".curves-panel .legend").first).to_contain_text("selection")
    # Confidence and a list of the report are part of the same selection.
    page.locator(".confidence-bar").nth(9).click()
    expect(title(page)).to_contain_text("90 to 100% sure")
    page.keyboard.press("Escape")
    page.locator(".groups select").select_option("largest loss")
    expect(title(page)).to_contain_text("largest loss")
    page.keyboard.press("Escape")
    # Each answer is a line, and opens in place.
    answer = page.locator(".one-answer").first
    expect(answer.locator("p").first).to_be_hidden()
    answer.locator("summary").first.click()
    expect(answer.locator("p").first).to_contain_text("validation images right")
    page.locator(".weights-panel > summary").click()
    expect(page.locator(".weights-panel canvas")).to_have_count(24)
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])


def test_the_map_is_for_a_mouse_and_for_keys(visit: Visit, server: Serving) -> None:
    opened = visit(f"{server.url}/understand?run=many", 1400, 900)
    page = opened.page
    canvas = page.locator("canvas.map")
    expect(page.locator('.map-panel[data-places="tsne"]')).to_be_visible()
    expect(page.locator("#status")).to_contain_text("no pictures: the run was trained on plain arrays")
    expect(page.locator(".map-words")).to_contain_text("probabilities of the classes")
    everything = title(page).inner_text()
    box = canvas.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    # An outline with the mouse.
    page.get_by_role("button", name="Draw an outline").click()
    page.mouse.move(middle[0] - 90, middle[1] - 90)
    page.mouse.down()
    for x, y in ((90, -90), (90, 90), (-90, 90)):
        page.mouse.move(middle[0] + x, middle[1] + y, steps=4)
    page.mouse.up()
    expect(title(page)).to_contain_text("utlined on the map")
    drawn = title(page).inner_text()
    assert "lasso=" in page.url
    again = visit(page.url, 1400, 900)
    expect(title(again.page)).to_have_text(drawn)
    page.keyboard.press("Escape")
    expect(title(page)).to_have_text(everything)
    page.get_by_role("button", name="Draw an outline").click()

    # The same by keys: zoom until the frame holds fewer, and Enter.
    canvas.focus()
    page.keyboard.press("Enter")
    expect(title(page)).to_contain_text("utlined on the map")
    wide = int(title(page).inner_text().rpartition(": ")[2].replace(",", ""))
    for key in ("+", "+", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(title(page)).not_to_have_text(f"Outlined on the map: {wide:,}")
    assert int(title(page).inner_text().rpartition(": ")[2].replace(",", "")) < wide
    page.keyboard.press("Escape")

    # Sixty classes have no matrix, but a list of what is mixed up most, and a choice of classes.
    expect(page.locator(".matrix.cells")).to_have_count(0)
    page.locator(".pairs button").first.click()
    expect(title(page)).to_contain_text("taken for")
    page.get_by_label("Given", exact=True).select_option("7")
    expect(page).to_have_url(re.compile("label=7"))
    for one in (opened, again):
        assert (one.requests, one.complaints, one.dialogs) == ([], [], [])


@pytest.mark.parametrize(("width", "dark"), [(360, False), (390, True), (1400, True)])
def test_other_peoples_names_are_inert_and_nothing_is_wider_than_the_screen(
    visit: Visit, server: Serving, width: int, dark: bool
) -> None:
    opened = visit(f"{server.url}/understand", width, 800, dark=dark)
    page = opened.page
    page.locator("#run").select_option(HOSTILE_RUN)
    expect(title(page)).to_contain_text("Mistakes")
    page.locator(".shots .shot-button").first.click()
    expect(page.locator(".image-panel .probabilities tr").first).to_be_visible()
    expect(page.locator(".pixel-map")).to_be_visible(timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.locator("#run").select_option("blind")
    expect(page.locator("main")).to_contain_text("has no validation images")
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])
