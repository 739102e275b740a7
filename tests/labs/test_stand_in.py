"""Labs about scores: code that works on a stand-in for a test part, and what its score is worth."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.cli.lab import _lab_text
from fittingroom.errors import DataError, RecipeError
from fittingroom.evaluation.estimate import Estimate
from fittingroom.labs.lab_description import Lab
from fittingroom.labs.lab_folder import LabFolder, LabWatch
from fittingroom.labs.measures import MEASURES
from fittingroom.labs.stand_in import StandIn, StandInReport
from fittingroom.runs.ledger import Ledger, own_ledger
from tests.labs.conftest import EXPERIMENT, TEXTS, Written

pytestmark = pytest.mark.usefixtures("quick_compiler")

STAND_IN = '\n[picture]\nkind = "scores"\n\n[stand_in]\ndataset = "digits"\nimages = 400\nfresh = 300\nseeds = 2\n'
SPLIT = """
np.savez(folder / "data.npz", x_train=images[:LEARNED], y_train=labels[:LEARNED], x_test=images[TESTED],
         y_test=labels[TESTED], class_names=classes)
data = fr.load(folder / "data.npz", validation=0)
run = fr.train(data, "linear", epochs=1, seed=seed, out=out)
score = run.evaluate("the one look").scores.accuracy
"""
HONEST = SPLIT.replace("LEARNED", "200").replace("TESTED", "200:")
COPIED = SPLIT.replace("LEARNED", "400").replace("TESTED", ":200")
CHOSEN = HONEST.replace("seed=seed", "seeds=3").replace(
    'score = run.evaluate("the one look").scores.accuracy',
    "scores = [one.scores.accuracy for one in run.evaluate('all').each]\n"
    "run, score = run[int(np.argmax(scores))], max(scores)",
)


def code(name: str, text: str) -> str:
    return f"\n[[code]]\nname = '{name}'\ncode = '''{text}'''\n"


def claim(measure: str, arm: str, than: str | float, expected: str = "higher") -> str:
    return (
        f'\n[[claim]]\nsays = "So."\nmeasure = "{measure}"\narm = "{arm}"\nthan = {json.dumps(than)}\n'
        f'expected = "{expected}"\n'
    )


LAB = (
    TEXTS
    + STAND_IN
    + code("honest", HONEST)
    + code("copied", COPIED)
    + code("chosen", CHOSEN)
    + claim("copies", "copied", "honest")
    + claim("looks", "chosen", "honest")
    + claim("excess", "copied", 0, "lower")
)


def test_copies_are_found_by_the_audit_and_choosing_by_a_ledger_of_its_own(written: Written) -> None:
    path = written(LAB)
    result = fr.lab(path, trust=True)
    honest, copied, chosen = (arm.reports for arm in result.arms)
    assert [(one.looks, one.copies, one.images, one.fresh_images) for one in copied] == [(1, 200, 200, 300)] * 2
    assert [one.looks for one in honest] == [1, 1]
    assert all((one.copies or 0) < 100 for one in honest)
    assert [one.looks for one in chosen] == [3, 3]
    assert {one.run for one in chosen} <= {"seed-0", "seed-1", "seed-2"}
    assert [one.verdict for one in result.claims][:2] == ["supported", "supported"]
    assert "about these models" in result.claims[2].sentence
    assert Ledger.of_user().entries() == ("", []), "the user's own ledger is untouched"
    page = result.page.read_text(encoding="utf-8")
    assert "200 of 200 test images (100.00%) have a copy among the training images." in page
    assert "Best of 3 looks: " in page
    assert "reported" in result._repr_html_()
    text = _lab_text(result, introduced=False)
    assert re.search(r"^copied +2 .* 1 +100%$", text, re.MULTILINE)
    assert "chosen. Ledger: 3 looks. Best of 3 looks" in " ".join(text.split())

    seconds = [one.stat().st_mtime_ns for one in result.path.rglob("report.json")]
    again = fr.lab(path, trust=True)
    assert seconds == [one.stat().st_mtime_ns for one in result.path.rglob("report.json")] != []
    assert [arm.reports for arm in again.arms] == [honest, copied, chosen]
    watched = LabWatch(LabFolder(Lab.read(path))).arms()
    assert [(arm.name, [seed.state for seed in arm.seeds]) for arm in watched] == [
        (name, ["done", "done"]) for name in ("honest", "copied", "chosen")
    ]


def test_what_the_code_must_make_is_said(written: Written) -> None:
    cases = {
        "score = 0.5": "'odd' made no run of one seed, called `run`",
        HONEST + "score = 87": "'odd' reports score = 87: expected an accuracy between 0 and 1",
    }
    for text, message in cases.items():
        with pytest.raises(RecipeError, match=message):
            fr.lab(written(TEXTS + STAND_IN + code("odd", text) + claim("looks", "odd", 1)), trust=True)
    failed = fr.lab(written(TEXTS + STAND_IN + code("odd", "1 / 0") + claim("looks", "odd", 1)), trust=True)
    assert failed.arms[0].error == "ZeroDivisionError: division by zero"
    assert failed.claims[0].verdict == "not judged"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAB.replace('"looks"', '"accuracy"'), "measure = 'accuracy' in a lab with a .stand_in.: expected one of "),
        (LAB.replace("fresh = 300", "fresh = 0"), "fresh = 0: expected a whole number, 1 or above"),
        (TEXTS + STAND_IN + EXPERIMENT + claim("looks", "hidden=4", 1), r"a lab with a \[stand_in\] has \[\[code\]\]"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(written: Written, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Lab.read(written(text))


def test_a_cut_is_disjoint_another_for_each_seed_and_the_same_again() -> None:
    part = fr.load("digits", validation=0).train
    stand_in = StandIn("digits", images=500, fresh=700)
    (pile, fresh), (same, _), (other, _) = (stand_in.cut(part, seed) for seed in (0, 0, 1))
    assert (len(pile), len(fresh)) == (500, 700)
    rows = [one.tobytes() for one in np.asarray(part.images)]
    if len(set(rows)) == len(rows):
        assert not {one.tobytes() for one in pile.images} & {one.tobytes() for one in fresh.images}
    assert np.array_equal(pile.images, same.images)
    assert not np.array_equal(pile.images, other.images)
    with pytest.raises(DataError, match="asks for 500 images and 9,000 fresh ones"):
        StandIn("digits", images=500, fresh=9_000).cut(part, 0)


def test_an_own_ledger_ends_with_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", "before")
    with suppress(ZeroDivisionError), own_ledger(tmp_path / "own.sqlite"):
        assert Ledger.of_user().path == tmp_path / "own.sqlite"
        raise ZeroDivisionError
    assert Ledger.of_user().path.name == "before"
    monkeypatch.delenv("FITTINGROOM_LEDGER")
    with own_ledger(tmp_path / "own.sqlite"):
        pass
    assert Ledger.of_user().path.name == "ledger.sqlite"


def test_a_few_seeds_have_the_error_of_their_images() -> None:
    """Simulated: of reports whose model is as good as on fresh images, few are told to be better."""
    random, shown = np.random.default_rng(0), 0
    for _ in range(400):
        right = random.binomial([500, 2000], 0.8) / [500, 2000]
        report = StandInReport(0, float(right[0]), float(right[1]), 1, None, 500, 2000, ".", "", ())
        measure = MEASURES["excess"]
        assert measure.of_report is not None
        assert measure.error_of_report is not None
        value = measure.of_report(report)
        assert value is not None
        shown += Estimate(value, measure.error_of_report(report), 1e6).p < 0.05
    assert 0.02 * 400 <= shown <= 0.08 * 400
