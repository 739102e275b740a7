"""Labs run from their file to their page, on digits."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.errors import DatasetNotFoundError, InputError, RecipeError, UnknownNameError
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.labs.lab import LabResult
from tests.labs.conftest import CLAIM, EXPERIMENT, PICTURE, TEXTS, WHOLE, Written

pytestmark = pytest.mark.usefixtures("quick_compiler")

PREDICT = '\n[predict]\nask = "And?"\nanswers = ["It falls", "It rises"]\nclaim = 1\nbounds = [0]\n'

MODEL = """
model = keras.Sequential([
    keras.Input((8, 8)),
    keras.layers.Flatten(),
    keras.layers.Dense(OUTPUTS, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
"""


def code(name: str, text: str) -> str:
    return f"\n[[code]]\nname = '{name}'\ndataset = 'digits'\ncode = '''{text}'''\n"


ERROR = '\n[[claim]]\nsays = "It fails."\narm = "few"\nexpected = "error"\n'
FEW = code("few", MODEL.replace("OUTPUTS", "5") + "run = fr.fit(model, data, epochs=1, out=out)")
FIT = code(
    "all",
    MODEL.replace("OUTPUTS", "10")
    + "class Say(keras.callbacks.Callback):\n"
    + "    def on_epoch_end(self, epoch, logs=None):\n"
    + "        print('enough')\n"
    + "        self.model.stop_training = True\n"
    + "run = fr.fit(model, data, epochs=9, seeds=2, callbacks=[Say()], out=out)",
)
CODE_LAB = (
    TEXTS
    + PICTURE
    + FIT
    + FEW
    + ERROR
    + ('\n[[claim]]\nsays = "It stops."\nmeasure = "epochs"\narm = "all"\nthan = 1\nexpected = "same"\nwithin = 0\n')
)


def run(path: Path, **arguments: object) -> LabResult:
    return fr.lab(str(path), **arguments)  # type: ignore[arg-type]


def test_a_lab_trains_judges_and_writes_its_page_and_its_facts(written: Written, runs_dir: Path) -> None:
    result = run(written(WHOLE + PREDICT), predicted=1)
    assert [arm.name for arm in result.arms] == ["hidden=4", "hidden=16"]
    assert result.path == runs_dir / "lab-sizes"
    (claim,) = result.claims
    facts = json.loads((result.path / "lab.json").read_text())
    values = [arm["measures"]["accuracy"]["mean"] for arm in facts["arms"]]
    assert claim.interval is not None
    assert claim.value is not None
    assert claim.value == pytest.approx(100 * (values[1] - values[0]))
    assert claim.interval[0] <= claim.value <= claim.interval[1]
    low = claim.interval[0]
    assert facts["prediction"] == {
        "ask": "And?",
        "choices": ["It falls", "It rises"],
        "chosen": 1,
        "outcome": None if low <= 0 else 1,
        "allowed": [0, 1] if low <= 0 else [1],
    }
    assert [len(arm["history"]["val_loss"]) for arm in facts["arms"]] == [2, 2]
    assert facts["arms"][0]["parameters"] == 65 * 4 + 5 * 10
    assert claim.sentence in result.page.read_text(encoding="utf-8")
    assert (result.path / "experiment-1" / "cells.csv").is_file()
    card = result._repr_html_()
    assert html.escape(claim.sentence) in card
    assert "hidden=16" in card


def test_a_lab_that_is_run_again_trains_nothing_again(written: Written) -> None:
    path = written(WHOLE)
    before = run(path)
    trained: list[str] = []

    class Watching(ExperimentProgress):
        def training(self, name: str, cells: int):  # type: ignore[no-untyped-def]
            trained.append(name)
            return super().training(name, cells)

    after = run(path, progress=Watching())
    assert trained == []
    assert after.claims == before.claims


def test_code_runs_as_it_stands_and_an_error_is_what_came_of_it(written: Written) -> None:
    result = run(written(CODE_LAB), trust=True)
    fitted, few = result.arms
    assert "The model has 5 outputs, but the labels name 10 classes" in (few.error or "")
    assert (fitted.seeds, fitted.printed) == ((0, 1), "enough\nenough\n")
    assert [run.record.status for run in fitted.runs] == ["stopped", "stopped"]
    assert [one.verdict for one in result.claims] == ["supported", "supported"]
    assert result.claims[1].sentence == "all, trained epochs: 1 epoch (the same with every seed), against 1 epoch."
    times = [path.stat().st_mtime_ns for path in result.path.rglob("weights*")]
    again = run(result.lab.path, trust=True)
    assert times == [path.stat().st_mtime_ns for path in result.path.rglob("weights*")] != []
    assert again.arms[0].printed == "enough\nenough\n"


def test_code_of_others_runs_only_if_trusted(written: Written, runs_dir: Path) -> None:
    path = written(TEXTS + PICTURE + code("few", "raise SystemExit('ran')") + ERROR)
    with pytest.raises(InputError, match=r"has Python code in it \(SHA-256 of the file [0-9a-f]{64}\), and nothing"):
        run(path)
    assert not runs_dir.exists()


def test_code_that_trains_nothing_is_refused_with_what_to_do(written: Written) -> None:
    path = written(TEXTS + PICTURE + code("few", "run = 3") + ERROR)
    with pytest.raises(
        RecipeError, match=r"made no run in the folder `out`. Give it to fit or train, for example run = fr.fit"
    ):
        run(path, trust=True)


def test_whatever_code_raises_is_its_answer(written: Written) -> None:
    result = run(written(TEXTS + PICTURE + code("few", "1 / 0") + ERROR), trust=True)
    assert result.arms[0].error == "ZeroDivisionError: division by zero"


def test_a_claim_about_no_arm_is_found_before_training(written: Written, runs_dir: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown arm 'hidden=12'\. Did you mean 'hidden=16'"):
        run(written(WHOLE.replace('arm = "hidden=16"', 'arm = "hidden=12"')))
    assert not runs_dir.exists()


def test_data_that_cannot_be_had_are_left_out_where_the_lab_says_so(
    written: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = EXPERIMENT.replace("seeds", "optional = true\nseeds").replace("digits", "idx:nowhere")
    claim = CLAIM.replace('"hidden=16"', '"hidden=16 on idx:nowhere"').replace('"hidden=4"', '"hidden=4 on digits"')
    text = TEXTS + PICTURE + EXPERIMENT + missing + claim
    result = run(written(text))
    assert [arm.name for arm in result.arms] == ["hidden=4 on digits", "hidden=16 on digits"]
    assert result.left_out[0].startswith("idx:nowhere was left out: ")
    assert result.claims[0].verdict == "not judged"
    assert result.claims[0].sentence == "hidden=16 on idx:nowhere was left out: its dataset is not here."
    with pytest.raises(DatasetNotFoundError):
        run(written(text.replace("optional = true\n", "")))


def test_a_single_seed_compares_models_and_says_so(written: Written) -> None:
    seconds = CLAIM.replace('"accuracy"', '"seconds"')
    result = run(written(WHOLE.replace("seeds = 2", "seeds = 1") + seconds))
    assert "With so few seeds this is about these models, not about the recipe." in result.claims[0].sentence
    assert result.claims[1].verdict == "not judged"
    assert result.claims[1].sentence == "A single seed does not tell how much time of training varies."
