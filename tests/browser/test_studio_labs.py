"""The labs in a real browser: the guess, the training while it runs, the answer; the studio's end ends none."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from fittingroom.labs.lab_description import Lab
from fittingroom.labs.lab_folder import LabFolder
from tests.browser.conftest import Visit
from tests.studio.opened import studio
from tests.studio.small_labs import small_labs


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder for runs, and the environment of a studio with two labs on digits. Labs that still run are ended."""
    place = tmp_path_factory.mktemp("labs")
    environment = small_labs(place)
    yield place / "runs", environment
    for name in ("01-sizes", "02-long"):
        lab = Lab.read(place / f"{name}.toml")
        if (number := LabFolder(lab, place / "runs" / f"lab-{lab.name}").worker_id) is not None:
            os.kill(number, signal.SIGKILL)


@pytest.mark.slow
def test_a_lab_is_guessed_measured_watched_and_answered(visit: Visit, labs: tuple[Path, dict[str, str]]) -> None:
    folder, environment = labs
    with studio(folder, **environment) as server:
        opened, other = visit(f"{server.url}/labs"), visit(f"{server.url}/labs?lab=sizes", 390, dark=True)
        page = opened.page
        expect(page.locator(".lab-card")).to_have_count(2)
        expect(page.locator(".lab-card").last).to_contain_text("<b>Long</b>")
        expect(page.locator(".lab-card").first).to_contain_text("not answered here yet")
        page.get_by_role("link", name="Sizes").click()
        expect(page).to_have_url(f"{server.url}/labs?lab=sizes")
        expect(page.locator("#lab-running")).to_contain_text("All of it takes about 12 s on two cores")
        expect(page.locator("#run-lab")).to_have_text("Measure without a guess")
        expect(page.locator("#quick-lab")).to_have_text("Quick: 2 seeds, about 10 s")
        page.get_by_label("It rises").check()
        expect(page.locator("#run-lab")).to_have_text("Measure")
        expect(page.locator("#command")).to_have_text("fittingroom lab sizes --guess 2")
        page.reload()
        expect(page.get_by_label("It rises")).to_be_checked()  # it is kept
        page.locator("#run-lab").click()
        for one in (page, other.page):  # two browsers see the same
            expect(one.locator(".arms tbody tr")).to_have_count(2)
            expect(one.locator("#status")).to_contain_text("measuring")
        expect(page.get_by_label("It rises")).to_be_disabled()
        expect(page.locator("#lab-curves svg").first).to_be_visible(timeout=60_000)
        for one in (page, other.page):
            expect(one.locator("#lab-results")).to_contain_text("16 are better than 2.", timeout=60_000)
            expect(one.locator("#lab-results")).to_contain_text("● your prediction")
            expect(one.locator("#lab-results .strips svg").first).to_be_visible()
            expect(one.locator("#lab-guess")).to_be_hidden()
            expect(one.locator("#status")).to_have_text("")
            assert one.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.goto(f"{server.url}/labs")
        expect(page.locator(".lab-card").first).to_contain_text("16 are better than 2.")
        assert opened.requests == opened.complaints == opened.dialogs == []
        assert other.requests == other.complaints == other.dialogs == []
    facts = LabFolder(Lab.read(folder.parent / "01-sizes.toml"), folder / "lab-sizes").facts
    assert facts is not None
    assert facts["prediction"]["chosen"] == 1


@pytest.mark.slow
def test_a_lab_outlives_its_studio_and_stops_with_what_is_done(visit: Visit, labs: tuple[Path, dict[str, str]]) -> None:
    folder, environment = labs
    running = LabFolder(Lab.read(folder.parent / "02-long.toml"), folder / "lab-long")
    with studio(folder, **environment) as server:
        page = visit(f"{server.url}/labs?lab=long").page
        page.locator("#quick-lab").click()
        expect(page.locator(".seed.training").first).to_be_visible(timeout=60_000)
        server.end(signal.SIGKILL)
    assert running.worker is not None
    with studio(folder, **environment) as server:
        page = visit(f"{server.url}/labs?lab=long").page
        expect(page.locator("#status")).to_contain_text("measuring")
        expect(page.locator(".seed.training").first).to_be_visible()
        page.locator("#stop-lab").click()
        expect(page.locator("#run-lab")).to_have_text("Continue", timeout=30_000)
        expect(page.locator("#status")).to_have_text("")
        assert running.worker is None
        assert running.is_measured
