from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.history import History
from fittingroom.runs.layout import RunContents
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import Environment, PartResult, RunRecord, Seconds
from fittingroom.runs.weights import WeightsFile


@pytest.fixture
def record() -> RunRecord:
    return RunRecord(
        created="2026-03-04T12:00:00.000+00:00",
        status="stopped",
        reason="loss<0.4 after epoch 2 (loss 0.3900)",
        recipe=Recipe(name="course").to_dict(),
        data=DataRecord(
            name="digits",
            fingerprint="ab12",
            test_fingerprint="cd34",
            classes=("0", "größe", "<b>"),
            image_shape=(8, 8),
            scale=16.0,
            counts={"train": 100, "validation": 4, "test": 20},
            load={"name": "digits", "validation": 4, "split_seed": 0, "data_dir": None, "image_size": None},
        ),
        seed=3,
        epochs=2,
        environment=Environment({"python": "3.13.1", "fittingroom": "0.1.0"}, "a processor", 2, 1, "Linux", "cpu"),
        seconds=Seconds(0.5, 0.25, 1.25),
        train=PartResult(0.4, 0.9, 100),
        validation=PartResult.held_out(0.5, 3, 4),
        notes=("the images are not scaled",),
    )


@pytest.fixture
def contents(record: RunRecord) -> RunContents:
    generator = np.random.default_rng(0)
    weights = {
        "hidden_1/kernel": generator.random((64, 8), np.float32),
        "transposed": generator.random((3, 5), np.float32).T,
        "step": np.asarray(7, np.int32),
        "seed": np.array([1, 2**32 - 1], np.uint32),
    }
    return RunContents(
        record=replace(record, weights_sha256=WeightsFile.sha256_of(WeightsFile.content_of(weights), weights)),
        history=History([(0, {"loss": 0.5, "val_loss": 0.6}), (1, {"loss": 0.1 + 0.2, "val_loss": 0.5})]),
        weights=weights,
        model={"layers": ["größe"], "trainable": [{"name": name} for name in weights], "non_trainable": []},
        outcomes=Outcomes.of(
            generator.random((2, 4)), [[0, 1, 2, 0], [0, 1, 2, 1]], generator.random((2, 4)), [0, 1, 2, 2]
        ),
    )


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs for one test; it does not exist yet."""
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"
