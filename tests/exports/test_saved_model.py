"""A SavedModel answers as the run does, where TensorFlow is installed; without it, what installs it is told."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.errors import InputError
from fittingroom.exports.saved_model import FACTS, saved_model
from fittingroom.networks.graph_builder import GraphBuilder

pytestmark = pytest.mark.usefixtures("quick_compiler")
TENSORFLOW = importlib.util.find_spec("tensorflow") is not None


def test_without_tensorflow_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    builder = GraphBuilder((2,))
    graph = builder.graph({"probabilities": builder.add("softmax", ["images"])})
    with pytest.raises(InputError, match="pip install tensorflow-cpu"):
        saved_model(graph)


@pytest.mark.skipif(not TENSORFLOW, reason="TensorFlow is not installed")
def test_tensorflow_answers_as_the_run_does(tmp_path: Path) -> None:
    import tensorflow as tf

    recipe: Any = fr.Recipe(name="small", convolutions=((4,),), hidden=(8,), test_views=("flip",), epochs=1)
    run = fr.train("digits", recipe, out=tmp_path / "run")
    exported = run.export("savedmodel", tmp_path / "model")
    assert run.export("savedmodel", tmp_path / "model").facts["was_there"]
    images = fr.load("digits").train.images[:5]
    loaded = tf.saved_model.load(str(exported.path))
    found = loaded.signatures["serving_default"](images=tf.constant(images))["probabilities"]
    told = np.stack([answer.probabilities for answer in run.answer(images)])
    np.testing.assert_allclose(found, told, atol=1e-5)
    assert json.loads((exported.path / FACTS).read_text()) == exported.facts["about"]
