"""The view Train as a person uses it: choose, press, watch, stop, continue, compare; and it attaches to a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fittingroom.studio.trainings import Trainings, holder
from tests.browser.conftest import Opened, Visit
from tests.studio.opened import studio

SOON = 30_000  # ms; a process that trains has to start


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of runs, in which nothing is trained any more afterwards."""
    runs = tmp_path / "runs"
    runs.mkdir()
    yield runs
    for name in Trainings(runs).running():
        ticket = Trainings(runs).ticket(name)
        pid = holder(runs / name) if ticket is None else ticket.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


def setting(page: Page, key: str) -> str:
    return f'.setting[data-key="{key}"]'


def write(page: Page, key: str, text: str) -> None:
    page.fill(f"{setting(page, key)} input", text)
    page.keyboard.press("Tab")


def epoch(page: Page) -> int:
    """The latest finished epoch in the table."""
    return int(page.locator(".logs tbody tr:not(.running) th").first.inner_text())


def wait_for_epoch(page: Page, number: int) -> None:
    page.wait_for_function(
        "n => Number(document.querySelector('.logs tbody tr:not(.running) th')?.textContent ?? 0) >= n",
        arg=number,
        timeout=SOON,
    )


def check_quiet(*every: Opened) -> None:
    for opened in every:
        assert opened.requests == opened.complaints == opened.dialogs == []
        assert opened.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_choose_press_watch_stop_continue_and_compare(visit: Visit, folder: Path) -> None:  # noqa: PLR0915 - one journey
    with studio(folder) as server:
        opened = visit(f"{server.url}/train")
        page = opened.page
        button = page.locator(".press > button").first

        # Everything is chosen, and what is changed is marked, with a way back.
        expect(button).to_be_enabled()
        expect(button).to_have_text("Train")
        expect(page.locator("#command")).to_have_text("fittingroom train")
        page.locator("#dataset").select_option("digits")
        page.click('[aria-label="more hidden layers"]')
        expect(page.locator("#command")).to_have_text("fittingroom train digits --set hidden=256")
        page.click(f"{setting(page, 'hidden')} .back")
        expect(page.locator("#command")).to_have_text("fittingroom train digits")

        # What makes no sense is said in the product's own words, and cannot be trained.
        write(page, "hidden", "many")
        expect(page.locator(f"{setting(page, 'hidden')} .problem")).to_contain_text("expected the sizes of the hidden")
        expect(button).to_be_disabled()
        write(page, "hidden", "")
        expect(page.locator(f"{setting(page, 'dropout')} input")).to_be_disabled()
        write(page, "hidden", "8")
        page.locator("#stop").fill("val_loss<0")
        page.keyboard.press("Enter")
        expect(page.locator(".chips")).to_have_text(re.compile("val_loss<0"))
        write(page, "epochs", "100000")
        expect(page.locator("#command")).to_have_text(
            "fittingroom train digits --set hidden=8 --epochs 100000 --stop 'val_loss<0'"
        )
        page.reload()
        expect(page.locator(f"{setting(page, 'epochs')} input")).to_have_value("100000")

        # It trains, and the page moves; another browser sees the same.
        button.click()
        expect(page.locator(".curve .plot")).to_have_count(2, timeout=SOON)
        expect(page.locator("#status")).to_contain_text("training, epoch", timeout=SOON)
        expect(page).to_have_url(re.compile(r"run=\d{4}-\d\d-\d\d-digits-course"))
        wait_for_epoch(page, 20)
        first, wide = epoch(page), float(page.locator(".curve .plot").first.get_attribute("data-last") or 0)
        wait_for_epoch(page, first + 1)
        assert float(page.locator(".curve .plot").first.get_attribute("data-last") or 0) >= wide
        expect(page.locator(".changed h2").first).to_contain_text(re.compile(r"\d+ became right in epoch \d+"))
        phone = visit(page.url, 360, 740, dark=True)
        expect(phone.page.locator("h1")).to_have_text("course+ on digits")
        expect(phone.page.locator(".curve .plot")).to_have_count(2)

        # Stopped, it keeps what is finished; continued, it goes on from there.
        button.click()
        resume = page.get_by_role("button", name="Continue")
        expect(resume).to_be_visible(timeout=SOON)
        expect(page.locator(".sentence")).to_contain_text("of the validation images right")
        expect(phone.page.get_by_role("link", name="See its mistakes")).to_be_visible()
        stopped = epoch(page)
        resume.click()
        expect(resume).to_be_hidden(timeout=SOON)
        expect(page.locator("#status")).to_contain_text("training, epoch", timeout=SOON)
        wait_for_epoch(page, stopped + 1)
        button.click()
        expect(resume).to_be_visible(timeout=SOON)

        # Trained again with another setting, the run before is a ghost behind the new curves.
        write(page, "epochs", "3")
        expect(page).to_have_url(re.compile(r"run=\d{4}"), timeout=SOON)
        earlier = re.findall(r"run=([^&]+)", page.url)[0].replace("%2B", "+")
        button.click()
        expect(page.locator('[data-curve="loss"] .legend')).to_contain_text(earlier, timeout=SOON)
        mistakes = page.get_by_role("link", name="See its mistakes")
        expect(mistakes).to_be_visible(timeout=SOON)
        assert page.locator("button.main, a.main").count() == 1
        expect(page.locator('[data-curve="loss"] .mean.rest')).to_have_count(2)
        expect(page.locator(".changed canvas").first).to_be_visible()
        assert re.search(r"/understand\?run=\d{4}", mistakes.get_attribute("href") or "")
        assert re.search(
            r"/try\?run=\d", page.get_by_role("link", name="Show it a drawing").get_attribute("href") or ""
        )
        check_quiet(opened, phone)


@pytest.fixture
def terminal(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training of two seeds that was begun in a terminal."""
    environment = {**os.environ, "FITTINGROOM_RUNS_DIR": str(folder)}
    command = [sys.executable, "-m", "fittingroom", "train", "digits", "--epochs", "100000", "--seeds", "2"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


WILD = "train?dataset=digits&set=optimizer=sgd|learning_rate=1e9|scale=off"


@pytest.mark.slow
def test_it_attaches_to_a_terminal_and_a_killed_studio_ends_no_training(
    visit: Visit, folder: Path, terminal: subprocess.Popen[bytes]
) -> None:
    with studio(folder) as server:
        opened = visit(f"{server.url}/train", 390, 800)
        page = opened.page
        expect(page.locator("#status")).to_contain_text("training of 2 seeds", timeout=SOON)
        expect(page.locator(".curve .band")).not_to_have_count(0, timeout=SOON)
        check_quiet(opened)
        server.process.kill()
        server.process.wait()
        expect(page.locator("#connection")).to_contain_text("Connection lost: what is shown is of", timeout=SOON)
        assert terminal.poll() is None
    with studio(folder) as another:
        again = visit(f"{another.url}/train")
        page = again.page
        expect(page.locator("#status")).to_contain_text("training of 2 seeds", timeout=SOON)
        page.locator(".press > button").first.click()
        assert terminal.wait(30) == 130
        expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=SOON)
        page.goto(f"{another.url}/{WILD}")
        page.locator(".press > button").first.click()
        failed = page.locator(".sentence.failed")
        expect(failed).to_contain_text("the loss became NaN or infinite in epoch 1", timeout=SOON)
        check_quiet(again)
