"""Training a run again gives the very same weights, and where it does not, what differs is said."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fittingroom as fr
from fittingroom.errors import Interrupted, RunError
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from tests.api.stopping import CtrlCIn

MLP = Recipe(name="mlp", hidden=(8,), dropout=0.1, epochs=3)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fr.train("digits", MLP, seed=4, out=tmp_path / "run").path


def test_ten_replays_are_the_same_bit_for_bit(run: Path, runs_dir: Path) -> None:
    before = {file: file.read_bytes() for file in run.rglob("*.*")}
    for _ in range(10):
        result = fr.replay(run)
        assert result.same
        assert result.differences == ()
        assert [(one.seed, one.largest_difference, one.first_epoch) for one in result.seeds] == [(4, 0.0, None)]
    assert {file: file.read_bytes() for file in run.rglob("*.*")} == before
    assert not runs_dir.exists()


def test_every_seed_is_the_same(tmp_path: Path) -> None:
    several = fr.train("digits", MLP, seeds=[3, 9], out=tmp_path / "several")
    result = fr.replay(several.path)
    assert result.same
    assert [one.seed for one in result.seeds] == [3, 9]


@pytest.mark.parametrize("stop", ["rule", "Ctrl-C"])
def test_a_run_that_ended_early_is_trained_as_far_again(tmp_path: Path, stop: str) -> None:
    out = tmp_path / "run"
    if stop == "rule":
        fr.train("digits", MLP.changed(stop=("loss<99",)), out=out)
    else:
        with pytest.raises(Interrupted):
            fr.train("digits", MLP.changed(schedule="cosine"), out=out, progress=CtrlCIn(1))
    assert fr.replay(out).same


def test_a_changed_weight_is_found_and_its_size_is_named(run: Path) -> None:
    file = SeedFiles(run).folder / "weights.safetensors"
    weights = load_file(file)
    name = sorted(weights)[0]
    weights[name].reshape(-1)[0] += np.float32(0.5)
    save_file(weights, file)
    [seed] = fr.replay(run).seeds
    assert not seed.same
    assert seed.largest_difference == pytest.approx(0.5, abs=1e-6)
    assert seed.first_epoch is None


def test_what_differs_is_named_also_when_the_weights_are_the_same(run: Path) -> None:
    record = json.loads((SeedFiles(run).folder / "run.json").read_text())
    record["environment"]["versions"]["jax"] = "0.1"
    record["environment"]["processor"] = "abacus"
    record["environment"]["devices"] = 64
    (SeedFiles(run).folder / "run.json").write_text(json.dumps(record))
    result = fr.replay(run)
    assert result.same
    now = SeedFiles(fr.train("digits", MLP, out=run.parent / "now").path).record().environment
    assert set(result.differences) == {
        f"jax: 0.1, then {now.versions['jax']}", f"processor: abacus, then {now.processor}", "devices: 64, then 1",
    }  # fmt: skip


def test_another_seed_gives_other_weights_from_the_first_epoch_on(run: Path) -> None:
    record, layout = SeedFiles(run).record(), (run / "run.json").read_text()
    (SeedFiles(run).folder / "run.json").write_text(json.dumps(dataclasses.replace(record, seed=5).to_dict()))
    (run / "seed-4").rename(run / "seed-5")
    (run / "run.json").write_text(re.sub(r"\b4\b", "5", layout, count=2))
    [seed] = fr.replay(run).seeds
    assert (seed.same, seed.first_epoch) == (False, 1)


def test_a_run_of_fit_says_how_to_repeat_it() -> None:
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
    run = fr.fit(model, fr.load("digits"))
    with pytest.raises(RunError, match="was trained by fit with a model of your own"):
        fr.replay(run.path)
