"""`keras.callbacks.TensorBoard` given to `fit`, where TensorFlow is not installed."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

import fittingroom as fr
from fittingroom.errors import InputError, StorageError
from fittingroom.tracking.tensorboard_log import EventFile

pytestmark = [
    pytest.mark.usefixtures("quick_compiler"),
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is here"),
]


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


IMAGES = np.random.default_rng(0).random((96, 4, 4)).astype(np.float32)
LABELS = np.arange(96) % 3


def fit(callback: keras.callbacks.Callback, **more: Any) -> fr.FittedRun:
    settings = {"batch_size": 16, "epochs": 3, "validation_data": (IMAGES[:32], LABELS[:32]), "out": False, **more}
    return fr.fit(network(), IMAGES, LABELS, callbacks=[callback], verbose=0, **settings)


def read_back(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def numbers(folder: Path, tag: str) -> dict[int, float]:
    read = read_back(folder).Tensors(tag)
    return {one.step: float(tensor_util.make_ndarray(one.tensor_proto)) for one in read}


def test_it_writes_what_keras_writes_after_each_epoch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = fit(keras.callbacks.TensorBoard(tmp_path, histogram_freq=2, write_images=True))
    for part, prefix in (("train", ""), ("validation", "val_")):
        for name in ("loss", "accuracy"):
            found = numbers(tmp_path / part, f"epoch_{name}")
            assert found == dict(enumerate(pytest.approx(value) for value in run.history[f"{prefix}{name}"]))
    assert numbers(tmp_path / "train", "epoch_learning_rate") == {epoch: pytest.approx(0.001) for epoch in range(3)}
    assert list(numbers(tmp_path / "validation", "evaluation_loss_vs_iterations")) == [6, 12, 18]

    train = read_back(tmp_path / "train")
    (kernel,) = [tag for tag in train.Tags()["tensors"] if tag.endswith("kernel/histogram")]
    assert [one.step for one in train.Tensors(kernel)] == [0, 2]
    table = tensor_util.make_ndarray(train.Tensors(kernel)[-1].tensor_proto)
    weights = np.asarray(run.model.layers[-1].kernel)
    assert table.shape == (30, 3)
    assert table[:, 2].sum() == weights.size
    assert (table[0, 0], table[-1, 1]) == (pytest.approx(weights.min()), pytest.approx(weights.max()))
    (image,) = [tag for tag in train.Tags()["tensors"] if tag.endswith("kernel/image")]
    assert train.summary_metadata[image].plugin_data.plugin_name == "images"
    assert train.Tensors(image)[0].tensor_proto.string_val[2].startswith(b"\x89PNG")
    structure = json.loads(train.Tensors("keras")[0].tensor_proto.string_val[0])
    assert structure["class_name"] == "Sequential"
    assert "watches every batch" not in caplog.text
    assert "tensorflow" not in sys.modules


def test_it_writes_batches_where_they_are_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(keras.callbacks.TensorBoard(tmp_path, update_freq=2, write_graph=False, write_steps_per_second=True), epochs=1)
    assert list(numbers(tmp_path / "train", "batch_loss")) == [2, 4, 6]
    assert set(numbers(tmp_path / "train", "epoch_steps_per_second")) == {0}
    assert "TensorBoard watches the batches of validation" in caplog.text


def test_a_full_disk_ends_its_log_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise StorageError("cannot write it: the disk is full.")

    monkeypatch.setattr(EventFile, "add", full)
    run = fit(keras.callbacks.TensorBoard(tmp_path))
    assert len(run.epoch) == 3
    said = [text for text in caplog.messages if "writes no more, and training continues" in text]
    assert len(said) == 2  # of training and of validation
    assert "the disk is full" in said[0]


def test_without_what_writes_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        "fittingroom.api.logged.find_spec", lambda name: None if name == "tensorboardX" else found(name)
    )
    with pytest.raises(InputError, match=r"pip install 'fittingroom\[tensorboard\]'"):
        fit(keras.callbacks.TensorBoard())
