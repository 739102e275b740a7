"""The view Try as a person uses it: draws, undoes, drops, pastes, corrects; with mouse, keyboard and finger."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

import fittingroom
from tests.browser.conftest import Opened, Visit
from tests.photos.drawing import photo
from tests.serving.serving import Serving, serving
from tests.studio.opened import studio, tokens

Points = Sequence[tuple[float, float]]

ONE: Points = ((0.42, 0.25), (0.52, 0.12), (0.52, 0.88))
SEVEN: Points = ((0.25, 0.15), (0.75, 0.15), (0.45, 0.88))
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that knows the digits, ready for photos."""
    place = tmp_path_factory.mktemp("trying")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        run = fittingroom.train("digits", "course", out=place / "runs" / "digits")
        run.predictor.fit()
    return place / "runs"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with studio(folder) as running:
        yield running


def draw(page: Page, points: Points) -> None:
    """One stroke with the mouse."""
    box = page.locator("canvas.sheet-of-paper").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def give(page: Page, kind: str, content: bytes, name: str, form: str) -> None:
    """Drops a file on the page, or pastes it."""
    expect(page.locator(".verdict")).to_be_visible()
    page.evaluate(
        """([kind, content, name, form]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, {type: form}));
          const options = {bubbles: true, cancelable: true};
          document.querySelector("main").dispatchEvent(kind === "drop"
            ? new DragEvent("drop", {...options, dataTransfer: transfer})
            : new ClipboardEvent("paste", {...options, clipboardData: transfer}));
        }""",
        [kind, base64.b64encode(content).decode(), name, form],
    )


def as_jpeg(path: Path) -> bytes:
    photo()[0].save(path / "shirt.jpg")
    return (path / "shirt.jpg").read_bytes()


def unharmed(opened: Opened, *, refused: int = 0) -> None:
    """Nobody else was asked, nothing ran, and nothing was complained of but what was refused on purpose."""
    assert (opened.requests, opened.dialogs) == ([], [])
    assert len([text for text in opened.complaints if "422" in text]) == refused
    assert [text for text in opened.complaints if "422" not in text] == []


def test_a_drawing_is_answered_while_it_is_drawn_and_in_its_place(visit: Visit, server: Serving) -> None:
    opened = visit(f"{server.url}/try?run=digits")
    page = opened.page
    verdict, names = page.locator(".verdict"), page.locator(".class-bars .name")
    expect(verdict).to_have_text("Draw something")
    draw(page, ONE)
    expect(page.locator(".likeliest .name")).to_have_text("1", timeout=60_000)  # opened and compiled first
    expect(page.locator(".steps img")).to_have_count(3)
    expect(page.locator(".nearest img")).to_have_count(8)
    before = [row.bounding_box() for row in page.locator(".class-bars li").all()]
    page.get_by_role("button", name="Clear").click()
    expect(verdict).to_have_text("Draw something")
    draw(page, SEVEN)
    expect(page.locator(".likeliest .name")).to_have_text("7")
    assert names.all_inner_texts() == list("0123456789")
    assert [row.bounding_box() for row in page.locator(".class-bars li").all()] == before  # nothing jumps
    page.get_by_role("button", name="Undo").click()
    expect(verdict).to_have_text("Draw something")
    expect(page.locator("#command")).to_have_text("fittingroom predict digits model-input.png")
    unharmed(opened)


def test_many_moves_of_the_pen_are_never_queued(visit: Visit, server: Serving) -> None:
    opened = visit(f"{server.url}/try?run=digits")
    page = opened.page
    together, most = [0], [0]

    def begun(url: str, change: int) -> None:
        if url.endswith("/try/drawing"):
            together[0] += change
            most[0] = max(most[0], together[0])

    page.on("request", lambda request: begun(request.url, 1))
    page.on("requestfinished", lambda request: begun(request.url, -1))
    for shift in range(4):
        draw(page, [(x, min(y + shift / 20, 1)) for x, y in SEVEN])
    expect(page.locator(".steps img")).to_have_count(3)
    page.wait_for_timeout(300)
    assert (together[0], most[0]) == (0, 1)
    unharmed(opened)


def test_the_keyboard_draws_and_undoes(visit: Visit, server: Serving) -> None:
    opened = visit(f"{server.url}/try?run=digits")
    page = opened.page
    expect(page.locator("canvas.sheet-of-paper")).to_be_focused()  # already
    for key in ["ArrowUp"] * 9 + ["Space"] + ["ArrowDown"] * 18 + ["Space"]:
        page.keyboard.press(key)
    expect(page.locator(".likeliest .name")).to_have_text("1")
    page.keyboard.press("Control+z")
    expect(page.locator(".verdict")).to_have_text("Draw something")
    unharmed(opened)


def test_a_photo_is_dropped_pasted_and_refused(visit: Visit, server: Serving, tmp_path: Path) -> None:
    opened = visit(f"{server.url}/try?run=digits")
    page = opened.page
    give(page, "drop", as_jpeg(tmp_path), "shirt.jpg", "image/jpeg")
    expect(page.locator(".steps figcaption").first).to_have_text("photo")
    expect(page.locator(".preview").first).to_be_visible()
    assert "from=photo" in page.url
    give(page, "paste", b"<svg onload=alert(1)></svg>", f"{EVIL}.png", "image/png")
    expect(page.locator(".try-stage .note")).to_contain_text("Accepted")
    expect(page.locator(".verdict")).to_have_text("Show it a photo")
    expect(page.locator(".preview").first).to_be_hidden()
    give(page, "paste", as_jpeg(tmp_path), "shirt.jpg", "image/jpeg")
    expect(page.locator(".steps figcaption").first).to_have_text("photo")
    expect(page.locator(".try-stage .note")).to_be_hidden()
    page.go_back()
    unharmed(opened, refused=1)


def test_a_photo_that_comes_too_early_is_told_the_seconds_and_answered_by_itself(
    visit: Visit, server: Serving, tmp_path: Path
) -> None:
    opened = visit(f"{server.url}/runs")
    page, asked = opened.page, [0]

    def waiting(route: Route) -> None:
        """As the server says it of a run that is being prepared: three seconds, two, then none."""
        asked[0] += 1
        answer = route.fetch()
        facts = answer.json()
        facts["photo"]["wait"] = 4 - asked[0] if asked[0] < 3 else None
        route.fulfill(response=answer, json=facts)

    page.route("**/api/runs/digits/try", waiting)
    page.goto(f"{server.url}/try?run=digits")
    give(page, "drop", as_jpeg(tmp_path), "shirt.jpg", "image/jpeg")
    expect(page.locator(".try-stage .note")).to_contain_text("Photos are answered in about 3 s")
    expect(page.locator(".try-stage .note")).to_contain_text("about 2 s")
    expect(page.locator(".steps figcaption").first).to_have_text("photo", timeout=30_000)
    expect(page.locator(".try-stage .note")).to_be_hidden()
    unharmed(opened)


def test_a_correction_is_kept_where_it_says_and_undone(visit: Visit, server: Serving, folder: Path) -> None:
    opened = visit(f"{server.url}/try?run=digits")
    page = opened.page
    keep = page.get_by_role("button", name="Keep it")
    expect(keep).to_be_disabled()
    draw(page, SEVEN)
    expect(keep).to_be_enabled()
    page.locator("#right-class").select_option("4")
    place = Path(page.locator(".correction .path").inner_text())
    assert place.is_relative_to(folder / "corrections")
    keep.click()
    expect(page.locator(".correction")).to_contain_text("Kept as 4.")
    expect(page.locator(".correction")).to_contain_text("1 example is kept.")
    assert len(list((place / "4").glob("*.png"))) == 1
    page.locator(".correction").get_by_role("button", name="Undo").click()
    expect(page.locator(".correction")).to_contain_text("0 examples are kept.")
    assert list(place.glob("*/*.png")) == []
    unharmed(opened)


def test_a_finger_draws_and_does_not_scroll_on_a_phone(visit: Visit, server: Serving) -> None:
    opened = visit(f"{server.url}/try?run=digits", 390, 844, dark=True, touch=True)
    page = opened.page
    box = page.locator("canvas.sheet-of-paper").bounding_box()
    assert box is not None
    client = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate([(0.5, 0.1 + step / 25) for step in range(20)]):
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        kind = "touchMove" if number else "touchStart"
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator(".likeliest .name")).to_have_text("1")
    assert page.evaluate("scrollY") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    unharmed(opened)


def test_the_page_of_a_served_run_opens_by_its_link_and_keeps_nothing_for_others(
    visit: Visit, folder: Path, tmp_path: Path
) -> None:
    with serving(folder / "digits", "--host", "0.0.0.0") as server:
        token = server.said.split("/enter/")[1].split()[0]
        opened = visit(f"{server.url}/enter/{token}", 390, 844, touch=True)
        page = opened.page
        expect(page.locator("#run")).to_have_text("digits")
        assert token not in page.url
        draw(page, SEVEN)
        expect(page.locator(".likeliest .name")).to_have_text("7", timeout=60_000)
        expect(page.locator(".correction")).to_have_count(0)
        give(page, "drop", as_jpeg(tmp_path), "shirt.jpg", "image/jpeg")
        expect(page.locator(".steps figcaption").first).to_have_text("photo")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        unharmed(opened)


def test_guests_try_and_keep_nothing(visit: Visit, folder: Path) -> None:
    with studio(folder, "--host", "0.0.0.0") as server:
        _, guest = tokens(server)
        opened = visit(f"{server.url}/enter/{guest}")
        page = opened.page
        page.goto(f"{server.url}/try?run=digits")
        draw(page, SEVEN)
        expect(page.locator(".likeliest .name")).to_have_text("7", timeout=60_000)
        expect(page.locator(".correction")).to_have_count(0)
        unharmed(opened)
