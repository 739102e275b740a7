"""NumPy answers for a run as its compiled programs do, without JAX; what it does not know for sure is left to them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.runs.layout import SeedFiles

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)
RECIPES = {
    "linear": TINY.changed(hidden=()),
    "seeds, views and normalisation": TINY.changed(
        hidden=(24, 16), batch_norm=True, dropout=0.2, activation="gelu", test_views=("flip", "shift 1")
    ),
    "raw pixels": TINY.changed(activation="elu", scale=False),
    "convolutions": TINY.changed(convolutions=((4,), (8, 8)), batch_norm=True),
}


@pytest.mark.parametrize("name", RECIPES)
def test_numpy_answers_as_the_compiled_programs_do(name: str) -> None:
    run = fr.train("digits", RECIPES[name], seeds=2 if name.startswith("seeds") else 1)
    images = fr.load("digits").train.images
    for seed in run:
        network = seed._model_of_seed._network
        assert network is not None
        assert network.is_dense == (name != "convolutions")
        ours, theirs = np.exp(network(images)), np.exp(seed._model_of_seed.compiled_forward()(images))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))


@pytest.mark.parametrize(
    ("last", "loss", "known"),
    [
        ("softmax", "sparse_categorical_crossentropy", True),
        (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), True),
        ("sigmoid", "sparse_categorical_crossentropy", False),  # read as shares of their sum
        ("softmax", "mean_squared_error", False),
    ],
)
def test_a_users_own_model_is_read_as_its_loss_reads_it_or_left_to_the_programs(
    last: str | None, loss: object, known: bool
) -> None:
    data = fr.load("digits")
    labels = keras.utils.to_categorical(data.train.labels, 10) if loss == "mean_squared_error" else data.train.labels
    inner = keras.Sequential([keras.layers.Dense(12, "tanh"), keras.layers.LayerNormalization()])
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), inner, keras.layers.Dense(10, last)])
    model.compile("adam", loss)
    images = data.train.images.astype(np.float32) / 16
    run = fr.fit(model, images, labels, epochs=1, verbose=0)
    for one in (run, fr.open_run(run.path)):
        network = one._model_of_seed._network
        assert (network is not None) == known
        if network is not None:
            theirs = np.exp(one._model_of_seed.compiled_forward()(images))
            np.testing.assert_allclose(np.exp(network(images)), theirs, atol=3e-6)  # XLA's tanh is an approximation


def test_a_description_that_does_not_fit_the_recipe_is_left_to_the_programs() -> None:
    run = fr.train("digits", TINY)
    file = SeedFiles(run.path).folder / "run.json"
    record = json.loads(file.read_text())
    record["recipe"]["hidden"] = [9]
    file.write_text(json.dumps(record))
    with pytest.raises(fr.RunError, match="its recipe and its weights do not fit"):
        fr.open_run(run.path).predict(fr.load("digits").train.images[:1])


def test_a_runs_answers_and_pages_import_no_jax(tmp_path: Path) -> None:
    run = fr.train("digits", TINY.changed(epochs=2))
    Image.fromarray(np.kron(fr.load("digits").train.images[0], np.ones((9, 9), np.uint8)) * 15).save(
        photo := tmp_path / "photo.png"
    )
    code = (
        "import sys; from fittingroom.cli.main import main\n"
        f"run, photo = {str(run.path)!r}, {str(photo)!r}\n"
        "for words in (['evaluate', run], ['explain', run], ['report', run], ['predict', run, photo]):\n"
        "    assert main(words) == 0, words\n"
        "print(*{'jax', 'keras'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.splitlines()[-1] == ""
