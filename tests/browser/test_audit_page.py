"""The review on the page of an audit: by keys, kept in the browser, saved as a list."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from fittingroom.data.review_list import ReviewList
from fittingroom.reports.pages.audit_page import audit_report
from tests.audits.made_up_checks import page_facts
from tests.browser.conftest import Open

NAME = '=a, "b"'


def test_labels_are_reviewed_by_keys_kept_and_saved(open_file: Open, tmp_path: Path) -> None:
    opened = open_file(audit_report(page_facts(NAME)).save(tmp_path / "audit.html"))
    page = opened.page
    page.keyboard.press("c")
    expect(page.locator("#review-count")).to_have_text("5 images, the most suspicious first.")  # no key without focus
    page.click("#review-begin")
    expect(page.locator("#review-where")).to_have_text("1 of 5: 3/picture-0.png")
    place = (
        "document.querySelector('[data-decision=none]').offsetTop - document.querySelector('#review-card').offsetTop"
    )
    before = page.evaluate(place)
    page.keyboard.press("c")
    expect(page.locator("#review-decided")).to_have_text("The one before: the label is right.")
    page.keyboard.press("a")
    page.keyboard.press("x")
    page.keyboard.press("s")
    expect(page.locator("[data-decision=suggested]")).to_be_disabled()
    page.keyboard.press("a")  # there is no suggestion to accept
    expect(page.locator("#review-where")).to_have_text("5 of 5: 3/picture-4.png")
    assert page.evaluate(place) == before  # no button jumps
    page.select_option("#review-class", label=NAME)
    page.locator("#review-card").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#review-decided")).to_have_text("Decided: skipped.")
    page.keyboard.press("0")  # the first class, which is the given one
    said = "5 of 5 reviewed: 3 wrong, 2 right, 0 skipped. Decisions are kept in this browser."
    expect(page.locator("#review-count")).to_have_text(said)
    expect(page.locator("#review-rate")).to_contain_text("of all 100 labels are wrong")
    page.reload()
    expect(page.locator("#review-count")).to_have_text(said)
    page.click("#review-begin")
    with page.expect_download() as download:
        page.click("#review-save")
    saved = tmp_path / "reviewed.csv"
    download.value.save_as(saved)
    rows = ReviewList.read(saved).rows
    assert [(row.index, row.decision, row.new_label) for row in rows] == [
        (4, "keep", ""),
        (5, "relabel", "5"),
        (6, "exclude", ""),
        (7, "keep", ""),
        (8, "relabel", NAME),
    ]
    assert opened.complaints == opened.dialogs == []
