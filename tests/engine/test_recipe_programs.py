"""Programs of a recipe come from the cache folder, and nothing depends on whether they do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import fittingroom
from fittingroom.engine import devices as mesh
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.devices import _is_writable
from fittingroom.engine.epoch import Examples
from fittingroom.engine.programs import Programs, ProgramSource, TracedPrograms
from fittingroom.engine.recipe_programs import SHIPPED, ExportedPrograms, RecipeModel
from fittingroom.recipes.named import find_recipe
from fittingroom.recipes.recipe import Recipe

RECIPE = Recipe(name="tiny", hidden=(8,), dropout=0.2, epochs=2, batch_size=64)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of programs for each test. (What JAX compiles stays in the cache of all tests.)"""
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return Arrays.of_part(fittingroom.load("digits").train)


class CountedOrigin:
    """The model of the recipe; counts how often it is built."""

    model = RecipeModel(RECIPE, (8, 8), 10, 16.0, train_count=100)
    kept: tuple[Blueprint, TracedPrograms] | None = None

    def __init__(self) -> None:
        self.built = 0

    def trace(self) -> tuple[Blueprint, TracedPrograms]:
        self.built += 1
        CountedOrigin.kept = CountedOrigin.kept or self.model.trace()
        return CountedOrigin.kept


def two_epochs(programs: Programs, blueprint: Blueprint, arrays: Arrays) -> list[Any]:
    """Every number that two epochs and an evaluation leave behind."""
    state, examples = blueprint.initial_state(7), arrays.examples()
    order = np.random.default_rng(0).permutation(len(arrays)).astype(np.int32)
    for _ in range(2):
        state, logs = programs.train(state, examples, order, 0, 100)
    evaluated = programs.evaluate(state, examples)
    return [np.asarray(leaf) for leaf in jax.tree.leaves((state, logs, evaluated))]


def assert_same_bits(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.fixture(scope="module")
def first_use(tmp_path_factory: pytest.TempPathFactory, arrays: Arrays) -> tuple[Path, list[Any]]:
    """The folder of a cache that was used once, and what came of it."""
    folder = tmp_path_factory.mktemp("first")
    origin = CountedOrigin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_CACHE_DIR", str(folder))
        source = ExportedPrograms("key", origin.trace)
        numbers = two_epochs(Programs(source), source.blueprint(), arrays)
    assert origin.built == 1
    return folder, numbers


@pytest.fixture
def filled(cache: Path, first_use: tuple[Path, list[Any]]) -> tuple[Path, list[Any]]:
    """A copy of that cache; the folder with the programs, and what came of the first use."""
    shutil.copytree(first_use[0], cache)
    return cache / "programs" / "key", first_use[1]


def test_training_through_the_cache_equals_training_without_it_bit_for_bit(
    filled: tuple[Path, list[Any]], arrays: Arrays
) -> None:
    blueprint, traced = CountedOrigin().trace()
    assert_same_bits(filled[1], two_epochs(Programs(traced), blueprint, arrays))


@pytest.mark.skipif(jax.local_device_count() < 2, reason="one device only")
@pytest.mark.slow
def test_programs_that_devices_share_are_kept_too(
    filled: tuple[Path, list[Any]], arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh, "COST_OF_MEETING", 0)
    monkeypatch.setattr(mesh, "COST_PER_WEIGHT", 0)
    _, traced = CountedOrigin().trace()
    results, origins = [], [CountedOrigin(), CountedOrigin()]
    sources: list[ProgramSource] = [traced.on(2), *(ExportedPrograms("key", origin.trace).on(2) for origin in origins)]
    for source in sources:
        programs = Programs(source)
        results.append(two_epochs(programs, ExportedPrograms("key", CountedOrigin().trace).blueprint(), arrays))
        assert programs.devices == 2
    assert [origin.built for origin in origins] == [1, 0]
    assert_same_bits(results[0], results[1])
    assert_same_bits(results[0], results[2])
    for mine, other in zip(results[0], filled[1], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


def test_a_warm_cache_builds_no_model_and_gives_the_same_bits(filled: tuple[Path, list[Any]], arrays: Arrays) -> None:
    origin = CountedOrigin()
    source = ExportedPrograms("key", origin.trace)
    assert_same_bits(filled[1], two_epochs(Programs(source), source.blueprint(), arrays))
    assert origin.built == 0


def cut_off(content: bytes) -> bytes:
    return content[:-10]


def changed(content: bytes) -> bytes:
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


def emptied(content: bytes) -> bytes:
    return b""


def test_damaged_files_are_made_again(filled: tuple[Path, list[Any]], arrays: Arrays) -> None:
    folder, numbers = filled
    files = sorted(folder.iterdir())
    assert [path.name.partition("-")[0] for path in files] == ["blueprint.json", "evaluate", "train"]
    for path, damage in zip(files, (emptied, cut_off, changed), strict=True):
        path.write_bytes(damage(path.read_bytes()))
    source = ExportedPrograms("key", CountedOrigin().trace)
    assert_same_bits(numbers, two_epochs(Programs(source), source.blueprint(), arrays))
    warm = ExportedPrograms("key", (untouched := CountedOrigin()).trace)
    assert_same_bits(numbers, two_epochs(Programs(warm), warm.blueprint(), arrays))
    assert untouched.built == 0


def test_a_cache_that_cannot_be_written_does_not_stop_work(cache: Path, arrays: Arrays) -> None:
    cache.write_text("a file where the folder should be")
    assert not _is_writable(cache / "compiled")
    source = ExportedPrograms("key", CountedOrigin().trace)
    blueprint, traced = CountedOrigin().trace()
    assert source.blueprint() == blueprint
    state, images = blueprint.initial_state(0), arrays.images[:8]
    expected = Programs(traced).log_probabilities(state, images)
    np.testing.assert_array_equal(Programs(source).log_probabilities(state, images), expected)
    assert cache.is_file()


def test_a_cache_folder_is_made_where_it_can_be(cache: Path) -> None:
    assert _is_writable(cache / "compiled")
    assert (cache / "compiled").is_dir()


def key_of(model: RecipeModel) -> Path:
    return model.programs._folder


BASE = CountedOrigin.model


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, recipe=replace(RECIPE, hidden=(9,))),
        replace(BASE, recipe=replace(RECIPE, activation="tanh")),
        replace(BASE, recipe=replace(RECIPE, dropout=0.3)),
        replace(BASE, recipe=replace(RECIPE, optimizer="sgd")),
        replace(BASE, recipe=replace(RECIPE, learning_rate=0.1)),
        replace(BASE, recipe=replace(RECIPE, batch_size=32)),
        replace(BASE, recipe=replace(RECIPE, scale=False)),
        replace(BASE, image_shape=(8, 8, 3)),
        replace(BASE, classes=11),
        replace(BASE, scale=1.0),
    ],
)
def test_what_changes_the_program_changes_the_key(other: RecipeModel) -> None:
    assert key_of(other) != key_of(BASE)


def test_what_changes_no_program_shares_the_key() -> None:
    other = replace(BASE, recipe=replace(RECIPE, name="other", epochs=9, stop=("loss<0.1",)))
    assert key_of(other) == key_of(BASE)


# One process: `fittingroom.train`, then whether it has loaded Keras, how many programs it had to compile because JAX's
# persistent cache did not have them, and what it has trained.
TRAIN = """
import hashlib, json, sys
import fittingroom as fr
import jax
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
run = fr.train("digits", fr.Recipe(hidden=(8,), epochs=2), seed=3)
score = run.evaluate()
weights = hashlib.sha256((run.path / "seed-3" / "weights.safetensors").read_bytes()).hexdigest()
misses = events.count("/jax/compilation_cache/cache_misses")
print(json.dumps({"keras": "keras" in sys.modules, "compiled": misses, "weights": weights, "history": dict(run.history),
                  "correct": score.scores.to_dict()["correct"]}))
"""


def train_in_a_process(cache: Path, **environment: str) -> dict[str, Any]:
    # What the tests keep of JAX's programs, and how much of it, is for us to set up as for users.
    chosen = ("JAX_COMPILATION_CACHE_", "JAX_PERSISTENT_CACHE_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(chosen)}
    process = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env={**own, "FITTINGROOM_CACHE_DIR": str(cache), **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Warning" not in process.stderr
    answer: dict[str, Any] = json.loads(process.stdout)
    return answer


def test_a_second_process_loads_no_keras_compiles_nothing_and_trains_the_same_weights(cache: Path) -> None:
    cold, warm = (train_in_a_process(cache) for _ in range(2))
    assert cold.pop("keras") is True
    assert warm.pop("keras") is False
    assert cold.pop("compiled") > 2
    assert warm.pop("compiled") == 0
    assert warm == cold


def _never_traced() -> tuple[Blueprint, TracedPrograms]:
    raise AssertionError("the package has these programs, yet the model is built")


@pytest.mark.parametrize("name", ["linear", "course", "wide"])
def test_the_package_has_the_programs_of_a_first_training(name: str) -> None:
    model = RecipeModel(find_recipe(name), (28, 28), 10, 255.0, train_count=55_000)
    shipped = ExportedPrograms(model.programs._key, _never_traced, devices=3)
    fresh = shipped._shipped("blueprint.json") is not None
    assert fresh, "the source of engine, recipes or backbones has changed: write the programs again, `make programs`"
    state = model.initial_state(shipped.blueprint(), 0)
    assert Programs(shipped).devices == 1
    for count in (55_000, 60_000):
        images, labels = jax.ShapeDtypeStruct((count, 28, 28), np.uint8), jax.ShapeDtypeStruct((count,), np.int32)
        examples = Examples(images, labels)  # type: ignore[arg-type]
        order = np.zeros(count, np.int32)
        shipped._exported("train", (state, examples, order, np.int32(0), np.int32(0)))
    with zipfile.ZipFile(SHIPPED) as archive:
        contents = b"".join(map(archive.read, archive.namelist()))
    assert b"site-packages" not in contents


def test_a_shipped_program_is_what_tracing_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    model = RecipeModel(find_recipe("linear"), (28, 28), 10, 255.0, train_count=55_000)
    shipped = model.programs
    state = model.initial_state(shipped.blueprint(), 0)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (55_000, 28, 28), np.uint8)
    examples = Examples(images, generator.integers(0, 10, 55_000, np.int32))  # type: ignore[arg-type]
    order = generator.permutation(55_000).astype(np.int32)
    results = []
    for source in (shipped, model.programs):
        results.append(Programs(source).train(state, examples, order, 0, 30)[0].trainable)
        monkeypatch.setattr("fittingroom.engine.recipe_programs.SHIPPED", Path("nowhere.zip"))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
