"""The pages of experiments and labs in a real Chromium: they load nothing, fit, and other texts stay texts."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fittingroom.reports.pages.audit_page import audit_report
from fittingroom.reports.pages.benchmark_page import benchmark_report
from fittingroom.reports.pages.experiment_page import experiment_report
from fittingroom.reports.pages.lab_page import lab_report, labs_index
from tests.audits.made_up_checks import page_facts
from tests.browser.conftest import HOSTILE_NAMES, Open
from tests.browser.test_report import CONTRAST, WIDTHS
from tests.reports.benchmarks import benchmark_facts
from tests.reports.builders import digits_contents, written
from tests.reports.experiments import experiment_facts
from tests.reports.labs import arm_facts, lab_facts, refused_arm

HOSTILE = "".join(HOSTILE_NAMES)
EXPERIMENTS = ["few", "many", "failed", "hostile"]
BENCHMARKS = ["whole", "hostile"]
LABS = ["numbers", "images", "error", "one", "hostile-accuracy", "hostile-cost"]
PAGES = [
    *(f"experiment-{name}" for name in EXPERIMENTS),
    *(f"benchmark-{name}" for name in BENCHMARKS),
    *(f"lab-{name}" for name in LABS),
    "labs",
    "audit",
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all pages."""
    folder = tmp_path_factory.mktemp("pages")
    written(folder / "run", digits_contents())
    for name, (facts, histories) in {
        "few": experiment_facts(recipes=2, final=True),
        "many": experiment_facts(recipes=60),
        "failed": experiment_facts(recipes=4, failed=1),
        "hostile": experiment_facts(recipes=3, failed=1, final=True, text=HOSTILE),
    }.items():
        experiment_report(facts, histories).save(folder / f"experiment-{name}.html")
    for name, facts in {
        "whole": benchmark_facts(7, 3, folder=folder / "benchmark", failed=1),
        "hostile": benchmark_facts(methods=3, datasets=3, text=HOSTILE, failed=1),
    }.items():
        benchmark_report(facts).save(folder / f"benchmark-{name}.html")
    ran = [arm_facts("course", run=folder / "run")]
    labs = {
        "numbers": lab_facts("numbers", arms=ran),
        "images": lab_facts("images", arms=ran),
        "error": lab_facts(arms=[arm_facts("with"), refused_arm("without")]),
        "one": lab_facts("curves", arms=ran, prediction=None, course=None),
        "hostile-accuracy": lab_facts(arms=[arm_facts("a", text=HOSTILE), refused_arm("b", HOSTILE)], text=HOSTILE),
        "hostile-cost": lab_facts("cost", text=HOSTILE),
    }
    for name, facts in labs.items():
        lab_report(facts).save(folder / f"lab-{name}.html")
    labs_index([*labs.values()]).save(folder / "labs.html")
    audit_report(page_facts(HOSTILE)).save(folder / "audit.html")
    return folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_loads_nothing_fits_and_stays_text(pages: Path, open_file: Open, name: str, width: int) -> None:
    opened = open_file(pages / f"{name}.html", width, dark=width == WIDTHS[0])
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.requests == opened.complaints == opened.dialogs == []
    assert page.locator("script").count() == 2
    assert page.locator("img:not([src^='data:image/png'])").count() == 0
    assert page.locator("[onerror], [onmouseover], iframe, object, embed, link, base").count() == 0
    assert "\u202e" not in page.content()
    if "hostile" in name:
        assert HOSTILE_NAMES[0] in page.inner_text("body")
    if width == WIDTHS[0]:
        _check_headings_and_words(page)


def _check_headings_and_words(page: Page) -> None:
    levels = page.evaluate(
        "[...document.querySelectorAll('main :is(h1,h2,h3,h4), header h1')].map((one) => +one.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = "[...document.querySelectorAll('img, [role=img]')].map((one) => one.alt ?? one.ariaLabel)"
    assert all(len(words) > 5 for words in page.evaluate(pictures))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("look", ["light", "dark", "printed"])
@pytest.mark.parametrize("name", ["experiment-failed", "benchmark-whole", "lab-images"])
def test_every_text_has_a_contrast_of_four_and_a_half(pages: Path, open_file: Open, name: str, look: str) -> None:
    page = open_file(pages / f"{name}.html", dark=look != "light").page
    if look == "printed":
        page.emulate_media(media="print")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found: list[tuple[float, str]] = page.evaluate(CONTRAST)
    assert len(found) > 20
    assert [one for one in found if one[0] < 4.5] == []


@pytest.mark.parametrize("name", ["experiment-few", "benchmark-whole", "lab-images"])
def test_a_page_reads_the_same_without_scripts(pages: Path, open_file: Open, name: str) -> None:
    texts = [open_file(pages / f"{name}.html", scripts=scripts).page.inner_text("main") for scripts in (True, False)]
    assert texts[0] == texts[1]


def test_names_stand_in_the_plots_of_few_and_beside_the_best_of_many(pages: Path, open_file: Open) -> None:
    few = open_file(pages / "experiment-few.html").page
    assert sorted(few.locator("#curves .beside-plot text").all_text_contents()) == ["hidden=16"] * 2 + ["hidden=32"] * 2
    many = open_file(pages / "experiment-many.html").page
    assert many.locator("#curves .beside-plot text").count() == 12
    assert many.locator("#curves polyline.mean.rest").count() == 108
    phone = open_file(pages / "experiment-few.html", 380).page
    expect(phone.locator("#curves .beside-plot").first).to_be_hidden()
    expect(phone.locator("#curves .legend")).to_contain_text("hidden=16")


def test_folded_parts_open_with_the_keyboard_and_for_print(pages: Path, open_file: Open) -> None:
    page = open_file(pages / "experiment-many.html").page
    folded = page.locator("#pairs details").first
    folded.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(folded.locator("table")).to_be_visible()
    page.keyboard.press("Enter")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert page.pdf().startswith(b"%PDF")


def test_the_command_of_a_lab_is_copied_or_selected(pages: Path, open_file: Open) -> None:
    page = open_file(pages / "lab-one.html").page
    page.click("#copy")
    expect(page.locator("#copied")).to_contain_text(re.compile("Copied|Selected"))


def test_the_list_of_labs_leads_to_a_lab(pages: Path, open_file: Open) -> None:
    (pages / "neurons.html").write_bytes((pages / "lab-one.html").read_bytes())
    page = open_file(pages / "labs.html").page
    page.locator("article a").first.click()
    expect(page.locator("h1")).to_contain_text("More neurons")
