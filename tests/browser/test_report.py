"""The report in a real Chromium: it opens from a file, loads nothing, and does what it says."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import fittingroom
from tests.browser.conftest import HOSTILE_NAMES, Open
from tests.reports.pages import block_of

WIDTHS = [380, 1400]
PAGES = ["one", "two", "both", "hostile", "hostile-both"]


def number(text: str | None) -> float:
    """A number as the page writes it, with the true minus and commas."""
    found = re.search(r"[-+\u2212]?[\d,.]*\d", text or "")
    assert found is not None, text
    return float(found[0].replace("\u2212", "-").replace(",", ""))


def counted(page: Page) -> tuple[int, int]:
    """How many images the filters leave, of how many."""
    found = re.match(r"([\d,]+) of ([\d,]+) images", page.inner_text("#images-status"))
    assert found is not None
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_from_its_file_loads_nothing_and_fits(runs: Path, open_file: Open, name: str, width: int) -> None:
    opened = open_file(runs / f"{name}.html", width)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "both" not in name:
        page.locator("#gallery .shot").first.click()
        assert page.evaluate("(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(detail)")
    page.wait_for_timeout(100)
    assert opened.requests == opened.complaints == opened.dialogs == []
    assert page.locator("svg.plot").count() > 0


def test_the_slider_moves_the_groups_the_markers_and_the_sentence_together(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "two.html").page
    facts = block_of((runs / "two.html").read_text())
    marker = page.locator("#figure-course-loss .mark-epoch")
    for against in ("to_last", "to_best_loss"):
        page.select_option("#against", against)
        seen = set()
        for row, ledger in enumerate(facts["ledgers"][against]):
            page.locator("#epoch").fill(str(row))
            assert page.inner_text("#ledger-words") == ledger["words"]
            assert page.inner_text("#epoch-value") == str(ledger["epoch"])
            for group in ledger["groups"]:
                line = page.locator(f'#ledger-table tr[data-group="{group["name"]}"]')
                assert number(line.locator(".count").inner_text()) == group["count"]
                assert number(line.locator(".nats").inner_text()) == pytest.approx(group["nats"], abs=6e-4)
                width = float(line.locator(".bar-count").get_attribute("width") or "nan")
                assert width == pytest.approx(100 * group["count"] / ledger["images"])
            assert number(page.inner_text("#ledger-sum")) == pytest.approx(ledger["loss_change"], abs=6e-4)
            seen.add(marker.get_attribute("x1"))
        assert len(seen) == len(facts["ledgers"][against])


def test_the_slider_is_moved_by_the_keyboard(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    first = page.inner_text("#ledger-words")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#epoch-value") == "2"
    assert page.get_attribute("#epoch", "aria-valuetext") == "epoch 2"
    assert page.inner_text("#ledger-words") != first


def test_what_the_file_shows_without_scripts_is_what_they_begin_with(runs: Path, open_file: Open) -> None:
    shown = [open_file(runs / "two.html", scripts=scripts).page for scripts in (True, False)]
    for selector in ("#ledger-words", "#ledger-table", "#epoch-value"):
        assert shown[0].inner_text(selector) == shown[1].inner_text(selector)


def test_filters_leave_the_images_that_fit(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    data = block_of((runs / "one.html").read_text())["explorer"]
    whole = counted(page)
    assert whole == (len(data["index"]), len(data["index"]))
    page.select_option("#by-label", "3")
    assert counted(page)[0] == data["label"].count(3)
    page.click("#filters [type=reset]")
    for place, one in enumerate(data["lists"]):
        page.select_option("#by-list", str(place))
        assert counted(page)[0] == len(one["images"])
        assert one["rule"] in page.inner_text("#images-status")
    page.click("#filters [type=reset]")
    page.wait_for_function("document.querySelector('#by-list').value === ''")
    by_confidence = 0
    for band in ("0,0.5", "0.5,0.8", "0.8,0.95", "0.95,1.01"):
        page.select_option("#by-confidence", band)
        by_confidence += counted(page)[0]
    assert by_confidence == whole[0]


def test_groups_of_the_filter_are_those_of_the_slider(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    facts = block_of((runs / "one.html").read_text())
    for row in (0, 2):
        page.locator("#epoch").fill(str(row))
        for group in facts["ledgers"]["to_last"][row]["groups"]:
            page.select_option("#by-group", group["name"])
            assert counted(page)[0] == group["count"]  # all 120 images of digits are in the page


def test_more_images_are_shown_on_demand(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    before = page.locator("#gallery .shot").count()
    page.click("#more")
    assert page.locator("#gallery .shot").count() == min(2 * before, counted(page)[0])
    assert page.evaluate("[...document.querySelectorAll('#gallery .shot')].indexOf(document.activeElement)") == before


def test_an_image_shows_its_ten_probabilities_over_the_epochs(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    shot = page.locator("#gallery .shot").first
    shot.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_be_visible()
    assert dialog.locator("polyline").count() == 10
    assert dialog.locator("#detail-rows tr").count() == 10
    page.locator("#detail-epoch").fill("0")
    shares = [number(text) for text in dialog.locator("#detail-rows .share").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=3)  # each is kept in steps of 1/255
    before = page.inner_text("#detail-facts")
    page.click("#detail-next")
    assert page.inner_text("#detail-facts") != before
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert shot.evaluate("shot => shot === document.activeElement")


def test_the_probabilities_are_the_stored_ones(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    outcomes = fittingroom.open_run(runs / "one").outcomes
    assert outcomes is not None
    for image in (0, 7, 100):
        page.evaluate(
            f"document.querySelector('#more').click(); document.querySelector('[data-image=\"{image}\"]').click()"
        )
        true = number(page.locator("#detail-rows tr.true .share").inner_text())
        assert true == pytest.approx(100 * outcomes.probability[-1, image], abs=0.3)
        loss = re.search(r"loss ([\d.]+) nats", page.inner_text("#detail-facts"))
        assert loss is not None
        assert float(loss[1]) == pytest.approx(outcomes.loss[-1, image], abs=1e-3)
        page.keyboard.press("Escape")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_cell_of_the_matrix_shows_its_images(runs: Path, open_file: Open, key: str) -> None:
    page = open_file(runs / "one.html").page
    for cell in (page.locator(".matrix .cell.wrong").first, page.locator(".matrix .cell.right").first):
        cell.focus()
        page.keyboard.press(key)
        assert page.locator("#cell-gallery .shot").count() == int(cell.inner_text())
        assert cell.get_attribute("aria-pressed") == "true"
        assert page.evaluate("document.activeElement.id") == "cell"
    page.locator("#cell-gallery .shot").first.click()
    expect(page.locator("dialog[open]")).to_be_visible()


def test_the_command_is_copied_or_selected(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    page.click("#copy")
    expect(page.locator("#copied")).to_contain_text(re.compile("Copied|Selected"))
    assert "fittingroom train digits" in page.inner_text("#command")


def test_other_peoples_texts_stay_texts(runs: Path, open_file: Open) -> None:
    opened = open_file(runs / "hostile.html")
    page = opened.page
    page.evaluate("document.querySelectorAll('.matrix .cell, #more').forEach((one) => one.click())")
    assert page.locator("#gallery .shot").count() == counted(page)[0]
    page.locator("#gallery .shot").first.hover()
    page.locator("#gallery .shot").first.click()
    page.locator("dialog[open]").hover()
    page.wait_for_timeout(200)
    assert opened.dialogs == opened.requests == opened.complaints == []
    assert page.locator("script").count() == 2
    assert page.locator("img:not([src^='data:image/png'])").count() == 0
    assert page.locator("[onerror], [onmouseover], iframe, object, embed, link, base").count() == 0
    assert HOSTILE_NAMES[0] in page.inner_text("h1")
    assert "49" not in page.inner_text(".matrix thead")
    assert "\u202e" not in page.content()


def test_the_policy_forbids_what_a_mistake_would_let_in(runs: Path, open_file: Open) -> None:
    opened = open_file(runs / "one.html")
    opened.page.evaluate(
        """() => {
            const image = document.createElement("img");
            image.src = "https://example.invalid/x.png";
            const script = document.createElement("script");
            script.textContent = "alert(1)";
            document.body.append(image, script);
            document.body.insertAdjacentHTML("beforeend", '<b onclick="alert(2)" id="inline">x</b>');
            document.getElementById("inline").click();
            return fetch("https://example.invalid/").catch(() => null);
        }"""
    )
    opened.page.wait_for_timeout(200)
    assert opened.dialogs == []
    assert len(opened.complaints) >= 4
    assert all("Content Security Policy" in text for text in opened.complaints)


CONTRAST = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (color) => {
        const linear = (one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = rgba(color).map((one) => linear(one / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (rgba(color)[3] === 255) return color;
        }
        return getComputedStyle(document.documentElement).backgroundColor;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.textContent.trim() || element.closest("script, noscript, option")) continue;
        if (!element.checkVisibility({ opacityProperty: true })) continue;
        const style = getComputedStyle(element);
        const [one, other] = [light(element.closest("svg") ? style.fill : style.color), light(behind(element))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        found.push([ratio * Math.min(Number(style.opacity), 1), node.textContent.trim().slice(0, 40)]);
    }
    return found;
}"""


@pytest.mark.parametrize("look", ["light", "dark", "printed"])
@pytest.mark.parametrize("name", ["one", "both"])
def test_every_text_has_a_contrast_of_four_and_a_half(runs: Path, open_file: Open, name: str, look: str) -> None:
    page = open_file(runs / f"{name}.html", dark=look != "light").page
    if look == "printed":
        page.emulate_media(media="print")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    if name == "one" and look != "printed":
        page.locator("#gallery .shot").first.click()
    found: list[tuple[float, str]] = page.evaluate(CONTRAST)
    assert len(found) > 100
    assert [one for one in found if one[0] < 4.5] == []


@pytest.mark.parametrize("name", PAGES)
def test_headings_are_in_order_and_pictures_have_words(runs: Path, open_file: Open, name: str) -> None:
    page = open_file(runs / f"{name}.html").page
    levels = page.evaluate(
        "[...document.querySelectorAll('main :is(h1,h2,h3,h4), header h1')].map((one) => +one.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for image in page.locator("img").all():
        assert image.get_attribute("alt")
    for drawing in page.locator("[role=img]").all():
        assert len(drawing.get_attribute("aria-label") or "") > 10
    unnamed = (
        "[...document.querySelectorAll('input, select')].filter((one) => !one.labels.length && !one.ariaLabel).length"
    )
    assert page.evaluate(unnamed) == 0
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size") == page.evaluate(
        "document.querySelectorAll('[id]').length"
    )


def test_everything_is_reached_with_the_tab_key_and_shows_that_it_is(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html").page
    page.select_option("#by-list", "1")  # a short list
    expected = {"epoch", "against", "by-list", "by-label", "by-predicted", "by-group", "by-confidence", "copy"}
    reached: set[str] = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        at: dict[str, Any] = page.evaluate(
            """() => {
                const at = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(at);
                return { id: at.id, kind: at.className, outline: outlineStyle, width: parseFloat(outlineWidth) };
            }"""
        )
        reached |= {at["id"], *str(at["kind"]).split()}
        if at["id"] or at["kind"]:
            assert at["outline"] != "none", at
            assert at["width"] >= 2, at
        if at["id"] == "copy":
            break
    assert expected | {"shot", "cell"} <= reached


def test_print_shows_what_is_folded_and_hides_what_cannot_be_used(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "one.html", dark=True).page
    dark = page.evaluate("getComputedStyle(document.body).color")
    assert page.locator("details:not([open])").count() > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") != dark
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    for selector in ("nav", "#epoch", "#filters", "#copy"):
        assert not page.locator(selector).is_visible()
    for selector in ("#summary", "#ledger-table", "#figure-loss .plot", "#command"):
        assert page.locator(selector).is_visible()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.pdf().startswith(b"%PDF")


def test_a_notebook_shows_the_page_in_a_frame(runs: Path, open_file: Open, tmp_path: Path) -> None:
    shown = fittingroom.open_run(runs / "one").report()._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{shown}")
    page = open_file(path).page
    frame = page.frame_locator("iframe")
    expect(frame.locator("#gallery .shot").first).to_be_visible()
    frame.locator("#epoch").fill("1")
    expect(frame.locator("#epoch-value")).to_have_text("2")


def test_the_page_of_several_runs_has_the_comparison(runs: Path, open_file: Open) -> None:
    page = open_file(runs / "both.html").page
    compared = fittingroom.compare([runs / "one", runs / "two"])
    assert compared.verdicts[0] in page.inner_text("#summary")
    assert all(name in page.inner_text("#run") for name in compared.names)
    assert json.dumps(page.inner_text("main")).count("nats") > 5
