"""A run whose model is code in a user's file: the file is recorded, and run again only with `trust`."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.data.dataset import Dataset
from fittingroom.errors import RunError
from fittingroom.runs.layout import SeedFiles

pytestmark = pytest.mark.usefixtures("quick_compiler")

OWN = """
import pathlib
import keras
canary = pathlib.Path({canary!r})
canary.write_text((canary.read_text() if canary.exists() else "") + "run ")

class Halved(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2

def build():
    layers = [keras.Input((8, 8)), keras.layers.Flatten(), Halved(), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential(layers)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model file whose layer only it can make; it counts in `canary` how often it is run."""
    path = tmp_path / "own.py"
    path.write_text(OWN.format(canary=str(tmp_path / "canary")))
    return path


@pytest.fixture
def trained(own: Path, digits: Dataset) -> fr.Run:
    run = fr.train(digits, fr.Recipe(name="own", epochs=1, model=f"{own}:build"))
    (own.parent / "canary").unlink()
    return run


def test_the_file_is_recorded_and_older_records_have_none(trained: fr.Run, own: Path) -> None:
    recorded = trained.record.model_file
    assert recorded is not None
    assert (recorded.path, recorded.function) == (str(own), "build")
    stored = json.loads((SeedFiles(trained.path).folder / "run.json").read_text())
    del stored["model_file"]
    (SeedFiles(trained.path).folder / "run.json").write_text(json.dumps(stored))
    assert fr.open_run(trained.path).record.model_file is None
    with pytest.raises(RunError, match=r"cannot be built from its folder .*fittingroom.open_run\(path, model=model\)"):
        _ = fr.open_run(trained.path, trust=True).model


def test_without_trust_nothing_is_run_and_no_test_set_is_opened(trained: fr.Run, own: Path, digits: Dataset) -> None:
    opened = fr.open_run(trained.path)
    for use in (lambda: opened.predict(digits.train.images[:2]), lambda: opened.model, opened.evaluate):
        with pytest.raises(RunError, match=r"is code in .*own\.py .*SHA-256 .*nothing of it was run"):
            use()
    assert not (own.parent / "canary").exists()


def test_with_trust_it_predicts_as_before_and_says_what_is_run(
    trained: fr.Run, own: Path, digits: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    images = digits.train.images[:9]
    with caplog.at_level(logging.WARNING, "fittingroom"):
        np.testing.assert_array_equal(fr.open_run(trained.path, trust=True).predict(images), trained.predict(images))
    recorded = trained.record.model_file
    assert recorded is not None
    assert f"{recorded.path} (function build, SHA-256 {recorded.sha256})" in caplog.text
    assert (own.parent / "canary").read_text() == "run "


def test_a_changed_file_is_refused_whatever_is_trusted(trained: fr.Run, own: Path) -> None:
    own.write_text(own.read_text() + "\n")
    with pytest.raises(RunError, match=r"but this file's SHA-256 is \w{64} now"):
        fr.open_run(trained.path, trust=True).evaluate()
    assert not (own.parent / "canary").exists()


def test_the_given_model_needs_no_trust(trained: fr.Run, own: Path, digits: Dataset) -> None:
    images = digits.train.images[:9]
    again = fr.open_run(trained.path, model=trained.model)
    np.testing.assert_allclose(again.predict(images), trained.predict(images), atol=1e-7)
    assert not (own.parent / "canary").exists()


def test_seeds_run_the_file_once(own: Path, digits: Dataset) -> None:
    several = fr.train(digits, fr.Recipe(name="own", epochs=1, model=f"{own}:build"), seeds=2)
    (own.parent / "canary").unlink()
    images = digits.train.images[:9]
    with pytest.raises(RunError, match="nothing of it was run"):
        fr.open_run(several.path).predict(images)
    opened = fr.open_run(several.path, trust=True)
    np.testing.assert_array_equal(opened.predict(images), several.predict(images))
    assert (own.parent / "canary").read_text() == "run "


def test_the_commands_take_trust_too(trained: fr.Run, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(trained.path)]) == 2
    assert "nothing of it was run" in capsys.readouterr().err
    assert main(["evaluate", str(trained.path), "--trust"]) == 0
    printed = capsys.readouterr()
    recorded = trained.record.model_file
    assert recorded is not None
    assert f"fittingroom: note: Running code in {own} (function build, SHA-256 {recorded.sha256})" in printed.err
    assert "accuracy" in printed.out
