"""What a look would cost is told without one, and is what it then costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.api.look_cost import NO_TEST_SET
from fittingroom.cli.main import main
from fittingroom.data.dataset import Dataset
from fittingroom.runs.ledger import Ledger
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)


def test_the_cost_of_a_look_is_told_without_one_and_is_then_paid(
    digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = fr.train(digits, TINY), fr.train(digits, TINY, seeds=(1, 2))
    first = one.look_cost
    assert (first.images, first.looks, first.own, first.luck, first.luck_after) == (360, 0, 1, 0, 0)
    assert first.sentences[0].startswith("No run of yours has been scored on this test set of 360 images")
    assert Ledger.of_user().looks() == []
    assert one.evaluate().look == 1
    assert (one.look_cost.own, *one.look_cost.sentences) == (
        0,
        "This run has its score. Showing it is not another look.",
    )
    several = two.look_cost
    assert (several.looks, several.own) == (1, 2)
    assert several.luck == 0 < several.luck_after
    text = " ".join(several.sentences)
    assert "has had 1 look so far." in text
    assert "This run has 2 seeds without a score. Each is a look of its own" in text
    assert "Afterwards the ledger will count 3 looks, for ever" in text
    capsys.readouterr()
    assert main(["evaluate", str(two.path), "--cost", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": str(two.path), **json.loads(json.dumps(several.to_dict()))}
    assert len(Ledger.of_user().looks()) == 1
    assert two.evaluate().reuse.looks == 3
    assert main(["evaluate", str(fr.train(digits, TINY, seed=7).path), "--reason", "for the paper"]) == 0
    assert Ledger.of_user().looks()[-1].intent.reason == "for the paper"


def test_what_cannot_be_opened_says_so_in_place_of_a_cost(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = fr.fit(models.small(), digits.train.x[:44], digits.train.y[:44], verbose=0)
    assert arrays.look_cost.sentences == (NO_TEST_SET,)
    run = fr.train(digits, TINY)
    (tmp_path / "damaged.sqlite").write_bytes(b"no ledger" * 200)
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "damaged.sqlite"))
    assert run.look_cost.closed is not None
    assert "damaged.sqlite cannot be used" in run.look_cost.sentences[0]
