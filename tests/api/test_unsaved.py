"""`fit` without a folder: what is asked of the run comes from memory, or a sentence says that it needs one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom
from fittingroom.errors import DivergedError, InputError, RunError, StorageError

pytestmark = pytest.mark.usefixtures("quick_compiler")


def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    stack = [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    model = keras.Sequential(stack)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def trained(**arguments: Any) -> Any:
    data = fittingroom.load("digits")
    return fittingroom.fit(small(), data, epochs=2, batch_size=256, verbose=0, **arguments)


def test_a_run_without_a_folder_says_the_same_as_one_with_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FITTINGROOM_RUNS_DIR", raising=False)
    part = fittingroom.load("digits").validation
    assert part is not None
    images = part.images[:5]
    run = trained(out=False)
    assert not list(tmp_path.iterdir())
    kept = trained(out="kept")
    assert (run.history, run.epoch, run.params["epochs"]) == (kept.history, [0, 1], 2)
    np.testing.assert_array_equal(run.predict(images), kept.predict(images))
    np.testing.assert_array_equal(run.outcomes.predicted, kept.outcomes.predicted)
    assert [answer.label for answer in run.answer(images)] == [answer.label for answer in kept.answer(images)]
    assert str(run.explain()) == str(kept.explain())
    assert run.report("page.html").is_file()
    assert "no folder" in repr(run)
    assert "no folder" in run._repr_html_()
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "page.html"}
    for needs_a_folder in (run.evaluate, run.card, lambda: run.path, lambda: fittingroom.compare([run, kept])):
        with pytest.raises(RunError, match=r"in memory only, since fit was called with out=False.*out='runs/mine'"):
            needs_a_folder()


def test_where_no_folder_can_be_written_fit_trains_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(file / "runs"))
    run = trained()
    assert "The run stays in memory: cannot write" in caplog.text
    with pytest.raises(RunError, match="since fit cannot write"):
        run.path  # noqa: B018
    with pytest.raises(StorageError, match="cannot write"):  # a folder that was named is wanted
        trained(out=file / "run")
    with pytest.raises(StorageError, match="cannot write"):  # seeds need one
        trained(seeds=2)


def test_the_setting_and_what_makes_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", "none")
    assert "no folder" in repr(trained())
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="Remove it, or seeds= and resume="):
        trained(out=False, seeds=2)
    with pytest.raises(InputError, match="out=True; expected a folder"):
        trained(out=True)
    model = small()
    model.compile(keras.optimizers.SGD(float("inf")), "sparse_categorical_crossentropy")
    with pytest.raises(DivergedError, match=r"the loss became NaN.*A smaller learning rate"):
        fittingroom.fit(model, fittingroom.load("digits"), epochs=3, verbose=0, out=False)


@pytest.mark.parametrize(("least", "waits"), [(60.0, False), (0.0, True)])
def test_only_a_training_of_some_length_waits_for_the_disk(
    least: float, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    monkeypatch.setattr("fittingroom.runs.unfinished.LEAST_SECONDS_TO_LOSE", least)
    x, y = np.random.default_rng(0).random((40, 8, 8), np.float32), np.arange(40) % 10
    fittingroom.fit(small(), x, y, verbose=0, out=tmp_path / "run")
    assert bool(synced) is waits
