"""A test set is opened by its own step, for its owner, once; nothing else in the studio shows a score before."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.look_cost import NO_TEST_SET
from fittingroom.runs.ledger import Ledger
from fittingroom.serving.gate import Gate, Security
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from tests.engine import models
from tests.serving.serving import Reply
from tests.studio.opened import asked

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)
JSON = {"content-type": "application/json"}


@pytest.fixture
def app(runs_dir: Path) -> Gate:
    """A studio of the test's own folder of runs."""
    return create_studio(Studio(), Security.of("127.0.0.1", links=True, guests=True))


def opening(app: Gate, run: str, **body: Any) -> Reply:
    content = {"reason": "the final score", "looks": 0, **body}
    return asked(app, "POST", f"/api/test/{run}", JSON, json.dumps(content).encode())


def test_what_a_look_costs_is_said_and_a_second_step_pays_it_once(app: Gate, runs_dir: Path) -> None:
    fr.train("digits", TINY, out=runs_dir / "one")
    fr.train("digits", TINY, seeds=(1, 2), out=runs_dir / "two")
    before = asked(app, "GET", "/api/test/one").json
    assert (before["result"], before["cost"]["looks"], before["cost"]["own"]) == (None, 0, 1)
    assert Ledger.of_user().looks() == []
    assert "reason of 1 to 500 letters" in opening(app, "one", reason="  ").error["message"]
    replies: list[Reply] = []
    pages = [threading.Thread(target=lambda: replies.append(opening(app, "one"))) for _ in range(2)]
    for page in pages:
        page.start()
    for page in pages:
        page.join()
    first, second = (reply.json["result"] for reply in replies)
    assert first == second
    assert (first["looks_text"], first["reason"]) == ("look 1", "the final score")
    assert first["per_seed"][0]["correct"] / first["images"] == first["accuracy"]["mean"]
    (look,) = Ledger.of_user().looks()  # two pages pressed at once, and it is one look
    assert (look.intent.reason, look.repeats) == ("the final score", False)
    assert asked(app, "GET", "/api/test/one").json["result"] == first
    stale = opening(app, "two")
    assert (stale.status, stale.error["code"]) == (409, "more_looks")
    assert "has had 1 look by now, not 0" in stale.error["message"]
    assert len(Ledger.of_user().looks()) == 1
    several = opening(app, "two", looks=1).json["result"]
    assert (several["seeds"], several["looks_text"]) == ([1, 2], "looks 2 to 3")
    assert "best of 3 looks" in several["luck_text"]


def test_what_cannot_be_opened_stays_closed_with_a_sentence(
    app: Gate, runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fr.load("digits")
    fr.fit(models.small(), data.train.x[:44], data.train.y[:44], verbose=0, out=runs_dir / "arrays")
    arrays = asked(app, "GET", "/api/test/arrays").json
    assert arrays["cost"]["sentences"] == [NO_TEST_SET]
    assert "plain arrays" in opening(app, "arrays").error["message"]
    assert asked(app, "GET", "/api/test/nothing").status == 404
    (runs_dir / "begun").mkdir()
    (runs_dir / "begun" / "training.json").write_text("{}")
    assert asked(app, "GET", "/api/test/begun").error["code"] == "unfinished"
    fr.train("digits", TINY, out=runs_dir / "one")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "file" / "ledger.sqlite"))
    refused = opening(app, "one")
    assert "ledger.sqlite cannot be used" in refused.error["message"]
    assert "No run of yours" in asked(app, "GET", "/api/test/one").json["cost"]["sentences"][0]
    assert fr.open_run(runs_dir / "one").record.looks == ()


def test_a_dataset_that_moved_is_named_in_the_sentence_and_taken_from_where_it_is(
    app: Gate, runs_dir: Path, tmp_path: Path
) -> None:
    data = fr.load("digits")
    test = data.test.open("to write a file")
    train = data.train
    arrays = {"x_train": train.images, "y_train": train.labels, "x_test": test.images, "y_test": test.labels}
    np.savez(tmp_path / "here.npz", **arrays)  # type: ignore[arg-type]
    fr.train(f"npz:{tmp_path / 'here.npz'}", TINY, out=runs_dir / "moved")
    (tmp_path / "here.npz").rename(tmp_path / "there.npz")
    looks = asked(app, "GET", "/api/test/moved").json["cost"]["looks"]
    assert "here.npz" in opening(app, "moved", looks=looks).error["message"]
    result = opening(app, "moved", looks=looks, data=f"npz:{tmp_path / 'there.npz'}").json["result"]
    assert result["images"] == 360
