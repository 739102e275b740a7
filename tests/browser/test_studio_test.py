"""Opening a test set in a real browser: the cost, a second click, the score; and nothing of it for guests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.runs.ledger import Ledger
from tests.browser.conftest import Visit
from tests.serving.serving import Serving
from tests.studio.opened import studio, tokens


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with runs: one of a single seed, one of two."""
    folder = tmp_path_factory.mktemp("test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        fr.train("digits", "linear", out=folder / "runs" / "one")
        fr.train("digits", "linear", seeds=(1, 2), out=folder / "runs" / "two")
        yield folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Serving]:
    """A studio of that folder."""
    with studio(place / "runs") as running:
        yield running


def test_a_test_set_is_opened_by_two_clicks_that_say_what_they_cost(visit: Visit, server: Serving, place: Path) -> None:
    opened, other = visit(f"{server.url}/test?run=one"), visit(f"{server.url}/test?run=one", 390, dark=True)
    page = opened.page
    expect(page.locator("h1")).to_have_text("The test set is closed")
    expect(page.locator(".said")).to_contain_text("this will be the first look")
    expect(page.locator("#command")).to_have_text("fittingroom evaluate one --cost")
    page.locator("#open").click()
    expect(page).to_have_url(f"{server.url}/test?run=one&step=open")
    expect(page.locator(".confirm h2")).to_have_text("Open it? This is look 1.")
    page.locator("#not-now").click()
    expect(page.locator(".confirm")).to_have_count(0)
    page.go_back()
    page.locator("#reason").fill('it\'s the "last" one')
    expect(page.locator("#command")).to_have_text("fittingroom evaluate one --reason 'it'\"'\"'s the \"last\" one'")
    assert Ledger(place / "ledger.sqlite").looks() == []
    page.locator("#confirm").click()
    expect(page.locator("#score")).to_contain_text("look 1 at this test set", timeout=60_000)
    expect(page.locator("#score")).to_contain_text("first evaluation on this test set, so no selection bias")
    expect(page.locator("#score")).to_contain_text('it\'s the "last" one')
    expect(page.locator(".score-table tr")).to_have_count(10)
    expect(other.page.locator("#score")).to_be_visible()  # another browser sees it too
    assert other.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.reload()
    expect(page.locator("#score")).to_be_visible()
    assert len(Ledger(place / "ledger.sqlite").looks()) == 1
    page.goto(f"{server.url}/test?run=two&step=open")
    expect(page.locator(".said")).to_contain_text("2 seeds without a score. Each is a look of its own")
    expect(page.locator("#confirm")).to_have_text("Yes, take looks 2 to 3")
    assert main(["evaluate", str(place / "runs" / "two" / "seed-1")]) == 0
    page.locator("#confirm").click()
    expect(page.locator("#failure")).to_contain_text("The test set has had 2 looks by now, not 1. It stays closed")
    expect(page.locator("#confirm")).to_have_text("Yes, take look 3")
    assert len(Ledger(place / "ledger.sqlite").looks()) == 2
    opened.complaints = [one for one in opened.complaints if "409" not in one]  # Chromium reports each refusal
    assert opened.requests == opened.complaints == opened.dialogs == []
    assert other.requests == other.complaints == other.dialogs == []


def test_guests_see_what_it_costs_and_cannot_open_it(visit: Visit, place: Path) -> None:
    before = len(Ledger(place / "ledger.sqlite").looks())
    with studio(place / "runs", "--host", "0.0.0.0") as server:
        _, guest = tokens(server)
        page = visit(f"{server.url}/enter/{guest}").page
        page.goto(f"{server.url}/test?run=two&step=open")
        expect(page.locator("main")).to_contain_text("Only the owner's link opens a test set.")
        expect(page.locator("#open, #confirm")).to_have_count(0)
        asked = page.evaluate(
            "fetch('/api/test/two', {method: 'POST', headers: {'content-type': 'application/json'},"
            " body: JSON.stringify({reason: 'x', looks: 2})}).then((reply) => reply.status)"
        )
        assert asked == 403
    assert len(Ledger(place / "ledger.sqlite").looks()) == before
