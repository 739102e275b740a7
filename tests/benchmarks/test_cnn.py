from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cnn import EPOCHS, IMAGES, keras_task, other_side, our_rate, their_rate, write_images
from benchmarks.course_script import read
from benchmarks.pairs import Sample, measure
from benchmarks.sides import PEERS
from tests.contracts.source import ROOT


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four files, with one image more than is wanted in each part."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    for part, wanted in IMAGES.items():
        count = wanted + 1
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        for name, magic, sizes, values in (("images-idx3", 3, (28, 28), images), ("labels-idx1", 1, (), labels)):
            header = np.array([0x800 + magic, count, *sizes], ">u4").tobytes()
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(header + values.tobytes(), 1))
    return folder


def test_both_sides_get_the_first_images(source: Path, tmp_path: Path) -> None:
    write_images(tmp_path, source)
    images, labels = read(tmp_path, "train")
    every_image, every_label = read(source, "train")
    np.testing.assert_array_equal(images, every_image[: IMAGES["train"]])
    np.testing.assert_array_equal(labels, every_label[: IMAGES["train"]])
    assert read(tmp_path, "t10k")[0].shape == (IMAGES["t10k"], 28, 28)


@pytest.mark.slow  # it starts Keras twice
def test_keras_trains_the_recipe_that_it_is_handed(source: Path, tmp_path: Path) -> None:
    write_images(tmp_path, source)
    measure(keras_task(tmp_path, "linear"))
    assert json.loads((tmp_path / "task.json").read_text())["batch_size"] == 32
    seconds = json.loads(measure(other_side(PEERS["keras-jax"], tmp_path)).output)
    assert len(seconds) == EPOCHS
    assert min(seconds) > 0


def test_rate_of_ours_counts_the_epochs_that_it_trained() -> None:
    printed = json.dumps({"epochs": 3, "seconds": {"setup": 1, "compile": 1, "train": 2}})
    assert our_rate(Sample(9, 1, printed)) == 3 * IMAGES["train"] / 2


def test_rate_of_theirs_leaves_out_the_first_epoch() -> None:
    assert their_rate(Sample(9, 1, "[100.0, 2.0, 2.0]")) == IMAGES["train"] / 2


@pytest.mark.parametrize("module", ["accuracy", "cnn", "epochs", "products", "whole_process"])
def test_the_other_side_does_not_inherit_our_settings_of_jax(module: str) -> None:
    code = f"import benchmarks.{module}, os, sys; print('fittingroom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
