"""A run's audit in the studio: how to make it, its page in a frame, and the review, kept beside the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

import fittingroom as fr
from fittingroom.audits.checks import CHECKS
from fittingroom.audits.kept_results import KeptResults
from fittingroom.data.review_list import ReviewList
from fittingroom.runs.layout import read_layout
from tests.audits.made_up_checks import found_result
from tests.browser.conftest import Visit
from tests.serving.serving import Serving
from tests.studio.opened import studio


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was audited, and one that was not."""
    folder = tmp_path_factory.mktemp("audited")
    data = fr.load("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        for name in ("audited", "not-audited"):
            fr.train(data, "linear", out=folder / "runs" / name)
    path = folder / "runs" / "audited"
    record = fr.open_run(path).record
    kept = KeptResults.of(data, record.trained_recipe(), path, list(read_layout(path).folders.values()))
    assert kept.write(replace(found_result("4"), check="labels"), CHECKS["labels"].version) is None
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Serving]:
    """A studio of that folder."""
    with studio(place / "runs") as running:
        yield running


def test_an_audit_is_shown_and_reviewed_and_what_was_decided_is_kept_beside_the_run(
    visit: Visit, server: Serving, place: Path
) -> None:
    opened = visit(f"{server.url}/audit?run=not-audited", 390, dark=True)
    page = opened.page
    expect(page.locator("h1")).to_have_text("Not audited yet")
    expect(page.locator("#command")).to_have_text("fittingroom audit not-audited")
    page.goto(f"{server.url}/audit?run=audited")
    frame = page.frame_locator("iframe.audit-page")
    expect(frame.locator("h1")).to_have_text("linear on digits")
    expect(frame.locator("#summary")).to_contain_text("This check was not made of the run as it is now")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    frame.locator("#review-begin").click()
    for key in ("c", "a", "x"):
        page.keyboard.press(key)
    expect(page.locator(".audit-kept")).to_have_text("3 decisions are kept beside the run, in reviewed.csv.")
    said = "3 of 5 reviewed: 2 wrong, 1 right, 0 skipped. Decisions are kept beside the run."
    expect(frame.locator("#review-count")).to_have_text(said)
    file = place / "runs" / "audited" / "reviewed.csv"
    decided = [(row.index, row.decision, row.new_label) for row in ReviewList.read(file).rows if row.decision]
    assert [row[1:] for row in decided] == [("keep", ""), ("relabel", "5"), ("exclude", "")]
    page.reload()
    expect(frame.locator("#review-count")).to_have_text(said)
    assert opened.complaints == opened.dialogs == []

    # Only a list is kept, rows of an earlier audit stay, and a file that is not ours is not replaced.
    def put(text: str) -> int:
        body = json.dumps({"list": text}).encode()
        return server.ask("PUT", "/api/runs/audited/review", body, {"Content-Type": "application/json"}).status

    assert put("no list") == 422
    assert put("index,decision\r\n1400,keep\r\n") == 200
    assert len(server.get("/api/runs/audited/audit").json["rows"]) == 4
    file.write_text("mine", encoding="utf-8")
    assert put("index,decision\r\n1400,keep\r\n") == 507
    assert file.read_text(encoding="utf-8") == "mine"
    policy = server.get("/api/runs/audited/audit-page").headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
