"""The course's notebooks with one line changed: every cell runs without TensorFlow, and the wrong ones say why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fittingroom.runs.ledger import Ledger
from tests.contracts.source import ROOT


def write_mnist(path: Path) -> None:
    """Images under Keras's names that a small model learns at once: each class is a bar at a height of its own."""
    labels = (np.arange(1200) % 10).astype(np.uint8)
    images = np.random.default_rng(0).integers(0, 60, (1200, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6] = 255
    np.savez(path, x_train=images[:1000], y_train=labels[:1000], x_test=images[1000:], y_test=labels[1000:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks run."""
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="module")
def cells(folder: Path) -> dict[str, str]:
    """Name of a notebook and number of a cell -> what it printed; what was logged is under "log".

    They run where TensorFlow cannot be imported. Epochs are cut to 20 steps, by the setting that Keras has for it.
    """
    (folder / "tensorflow.py").write_text("raise ImportError('tensorflow is not installed')")
    write_mnist(folder / "mnist.npz")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "KERAS_MAX_STEPS_PER_EPOCH": "20",
        "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite"),
        "FITTINGROOM_RUNS_DIR": str(folder / "runs"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.tf.course_cells"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^\[(\S+ \d+)\]$", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)) | {"log": done.stderr}


def test_first_lab_runs_with_one_line_changed(folder: Path, cells: dict[str, str]) -> None:
    for number, printed in {
        1: "2.16+fittingroom",
        3: "LABEL: 9",
        6: "class with highest probability: 2",
        7: "trained to True FittedRun",
        8: "evaluated 2",
        9: "ten numbers (10,) 1.000",
        10: "512 neurons True",
        13: "not divided 1",
        14: "Reached 30% accuracy so cancelling training!\nstopped after True",
    }.items():
        assert printed in cells[f"lab-1 {number}"], cells[f"lab-1 {number}"]
    assert "so add keras.layers.Flatten() after the input" in cells["lab-1 11"]
    assert cells["lab-1 12"].startswith("\nLabelRangeError")
    assert "has 5 outputs, but the labels name 10 classes" in cells["lab-1 12"]
    wrong = {"lab-1 11", "lab-1 12", "log"}
    assert not [name for name, printed in cells.items() if "Error" in printed and name not in wrong]
    looks = Ledger(folder / "ledger.sqlite").looks()
    reasons = [look.intent.reason for look in looks]
    assert reasons == [*["tf.keras.datasets.fashion_mnist.load_data"] * 3, "tf.keras.datasets.mnist.load_data"]
    assert "the ledger records an opening of the test set" in cells["log"]


def test_callbacks_and_assignment_run_with_one_line_changed(cells: dict[str, str]) -> None:
    assert "Loss is lower than 1.2 so cancelling training!\nlast loss below 1.2: True" in cells["lab-2 3"]
    assert "training_images is of type <class 'numpy.ndarray'>" in cells["assignment 2"]
    assert "(1000, 28, 28, 1)" in cells["assignment 3"]
    assert "Reached 50% accuracy so cancelling training!" in cells["assignment 5"]
    assert cells["assignment 6"].split("\n")[1:4] == [
        "True True",
        "['accuracy', 'loss'] True",
        "10 True dict_keys(['accuracy', 'loss'])",
    ]
