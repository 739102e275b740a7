"""The folder of a lab: the guess that comes first, who works in it, and how far it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.errors import InputError, RunError
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.labs.lab_description import Lab
from fittingroom.labs.lab_folder import LabFolder, LabWatch
from tests.labs.conftest import CLAIM, EXPERIMENT, PICTURE, TEXTS, WHOLE, Written

pytestmark = pytest.mark.usefixtures("quick_compiler")

PREDICT = '\n[predict]\nask = "And?"\nanswers = ["It falls", "It rises"]\nclaim = 1\nbounds = [0]\n'
CODE = """
model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
run = fr.fit(model, data, epochs=2, out=out)
"""
WITH_CODE = f"\n[[code]]\nname = 'by hand'\ndataset = 'digits'\ncode = '''{CODE}'''\n"


def test_a_guess_is_kept_before_anything_is_measured_and_not_after(written: Written) -> None:
    lab = Lab.read(written(WHOLE + PREDICT))
    folder = LabFolder(lab)
    assert (folder.guess, folder.is_measured, folder.facts, folder.worker) == (None, False, None, None)
    with pytest.raises(InputError, match="answer 3 of the lab 'sizes': expected 1 to 2"):
        folder.keep_guess(2)
    folder.keep_guess(0)
    folder.keep_guess(1)  # a mind may change until something is measured
    assert fr.lab(lab).predicted == 1
    with pytest.raises(InputError, match="has measurements already, and a guess comes before them"):
        folder.keep_guess(0)
    facts = folder.facts
    assert facts is not None
    assert facts["prediction"]["chosen"] == folder.guess == 1
    without = Lab.read(written(WHOLE))
    with pytest.raises(InputError, match="asks for no prediction"):
        fr.lab(without, predicted=0)


def test_a_quick_lab_trains_two_seeds_and_a_later_one_the_others(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written((WHOLE + PREDICT).replace("seeds = 2", "seeds = 3"))
    capsys.readouterr()
    assert main(["lab", str(path), "--quick", "--guess", "2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["seeds"], facts["quick"], facts["prediction"]["chosen"]) == ([0, 1], True, 1)
    assert facts["command"].endswith(" --quick")
    whole = fr.lab(str(path)).to_dict()
    assert (whole["seeds"], whole["quick"], whole["prediction"]["chosen"]) == ([0, 1, 2], False, 1)
    assert [arm["history"]["val_loss"][:2] for arm in whole["arms"]] == [
        arm["history"]["val_loss"] for arm in facts["arms"]
    ]


def test_a_lab_can_be_watched_from_its_folder_while_it_runs(written: Written) -> None:
    lab = Lab.read(written(TEXTS + PICTURE + EXPERIMENT + WITH_CODE + CLAIM))
    folder = LabFolder(lab)
    watch = LabWatch(folder)
    states = []

    def seen() -> list[list[str]]:
        return [[seed.state for seed in arm.seeds] for arm in watch.arms()]

    class Watching(ExperimentProgress):
        def state(self, states_: object) -> None:
            states.append(seen())
            assert folder.worker is not None
            with pytest.raises(RunError, match="is being trained by process"):
                fr.lab(lab, trust=True)

    waiting = [["waiting", "waiting"], ["waiting", "waiting"], ["waiting"]]
    assert seen() == waiting
    fr.lab(lab, trust=True, progress=Watching())
    done = ["done", "done"]
    assert states == [waiting, [done, *waiting[1:]], [done, done, ["waiting"]]]
    first, _, code = watch.arms()
    watch.close()
    assert (first.name, code.name, [seed.state for seed in code.seeds]) == ("hidden=4", "by hand", ["done"])
    assert [len(values) for values in first.histories["val_accuracy"]] == [1, 1]
    assert first.seeds[0].accuracy == pytest.approx(first.seeds[0].history["val_accuracy"][-1])
    assert first.to_dict()["seeds"][1]["share"] == 1
    assert folder.worker is None


def test_damaged_files_of_a_lab_are_told_and_hurt_nothing(written: Written, tmp_path: Path) -> None:
    folder = LabFolder(Lab.read(written(WHOLE + PREDICT)), tmp_path / "lab")
    folder.path.mkdir()
    (folder.path / "guess.json").write_text('{"chosen": "two"}')
    (folder.path / "lab.json").write_text("{")
    for name in ("guess", "facts"):
        with pytest.raises(RunError, match=r"(guess|lab)\.json is damaged"):
            getattr(folder, name)
    runs = folder.path / "experiment-1" / "runs"
    digest = "0" * 16
    (runs / f"{digest}-x-1").mkdir(parents=True)
    assert all(seed.state == "waiting" for arm in LabWatch(folder).arms() for seed in arm.seeds)
