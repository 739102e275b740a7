"""The arguments of `train`, `fit` and `experiment` that need more than a glance: checked, and in one form each."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.errors import InputError, UnknownNameError
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import OTHER_WORDS, Setting
from fittingroom.text import word_list

if TYPE_CHECKING:
    from fittingroom.engine.hosts import Hosts

Named = str | os.PathLike[str] | Dataset | Any
"""A dataset: loaded, or by its name or path."""

Prescribed = str | os.PathLike[str] | Recipe | Mapping[str, Any]
"""A recipe: loaded, by its name or the path of a TOML file, or by its settings."""


LARGEST_COUNT = 10_000
"""Seeds of one run."""

_FIT = "A Keras model is trained by fit: fittingroom.fit(model, dataset)."


def chosen_recipe(given: Any, settings: Mapping[str, Any], *, beside: Callable[..., Any]) -> Recipe:
    """The recipe that was given in any form, with settings changed.

    Args:
        given: the recipe, its name, the path of its file, or a mapping of its settings.
        settings: those to change.
        beside: the function whose other keyword arguments these are, for the message about an unknown one.

    Raises:
        InputError: it is not a recipe, or a setting is unknown or makes no sense.
    """
    if isinstance(given, str | os.PathLike):
        recipe = find_recipe(os.fspath(given))
    elif isinstance(given, Mapping):
        recipe = Recipe.from_dict(given)
    elif isinstance(given, Recipe):
        recipe = given
    else:
        mend = f" {_FIT}" if _is_keras(given) else ""
        raise InputError(
            f"recipe is a {type(given).__name__}; expected a recipe, its name, the path of a TOML file, or a mapping "
            f"of settings such as {{'hidden': [64]}}.{mend}"
        )
    known = [field.name for field in fields(Recipe)]
    for key in settings:
        if key not in known:
            if key in OTHER_WORDS:
                raise Setting.unknown(key)
            own = [name for name in inspect.signature(beside).parameters if name != "settings"]
            raise UnknownNameError(f"argument of {beside.__name__}", key, [*own, *known])
    return with_lasting_backbone(recipe.changed(**settings) if settings else recipe)


def with_lasting_backbone(recipe: Recipe) -> Recipe:
    """The recipe with its backbone by the name that lasts: that of a user's own file has a hash of its contents.

    Raises:
        InputError: there is no such backbone.
    """
    if recipe.backbone is None:
        return recipe
    from fittingroom.backbones.backbone import find_backbone

    return replace(recipe, backbone=find_backbone(recipe.backbone).name)


def check_dataset(dataset: Any, **loading: Any) -> None:
    """Makes sure that a recipe can be trained on this.

    Args:
        dataset: what the user gave: a dataset, or the name or path of one.
        **loading: how it is to be loaded; None for what was not given.

    Raises:
        InputError: it is something else; or it is loaded already, and how to load it was given too.
    """
    if isinstance(dataset, str | os.PathLike):
        return
    if isinstance(dataset, Dataset):
        given = [name for name, value in loading.items() if value is not None]
        if given:
            raise InputError(
                f"{word_list(given)} says how to load a dataset, but {dataset.name} is loaded already. Pass it to "
                f"load: fittingroom.load(..., {given[0]}={loading[given[0]]!r})."
            )
        return
    from fittingroom.data.load import is_hugging_face

    if is_hugging_face(dataset):
        return
    if _is_keras(dataset):
        mend = f"train takes a dataset and a recipe. {_FIT}"
    elif hasattr(dataset, "__array__") or isinstance(dataset, list | tuple):
        mend = (
            "train takes a dataset and a recipe. Arrays are for fit, fittingroom.fit(model, x, y), or load: npz:FILE."
        )
    else:
        mend = "Expected the name of a dataset, such as 'fashion-mnist', a path, or what fittingroom.load gives."
    raise InputError(f"dataset is a {type(dataset).__name__}. {mend}")


def joined_hosts() -> Hosts | None:
    """The processes that `jax.distributed` has joined to train together; None where this one is alone."""
    import jax

    if not jax.distributed.is_initialized():
        return None
    from fittingroom.engine.hosts import Hosts

    return Hosts.joined()


def load_for(recipes: Sequence[Recipe], dataset: Named, loading: Mapping[str, Any]) -> Dataset:
    """The dataset that some recipes are to be trained on.

    Where all of them look at pictures through a backbone and the user chose nothing, the pictures of a folder get the
    size that the first backbone wants, cropped and in colour, and a note says so.

    Args:
        recipes: at least one.
        dataset: as the user gave it; one that is loaded already stays as it is.
        loading: the arguments of `load`, None for what the user did not choose.

    Raises:
        InputError: it cannot be loaded.
    """
    if isinstance(dataset, Dataset):
        return dataset
    from fittingroom.data.load import is_hugging_face, load

    if isinstance(dataset, str) or is_hugging_face(dataset):
        name = dataset
    else:
        name = os.path.join(os.curdir, os.fspath(dataset))  # noqa: PTH118
    if any(recipe.backbone is None for recipe in recipes):
        return load(dataset, **loading)
    from fittingroom.data.find import is_resized

    if not is_resized(name):
        return load(dataset, **loading)
    from fittingroom.backbones.backbone import find_backbone

    size = find_backbone(str(recipes[0].backbone)).input_size
    usual = {"image_size": size, "aspect": "crop", "color_mode": "rgb"}
    chosen = {key: value for key, value in usual.items() if loading[key] is None}
    found = load(dataset, **{**loading, **chosen})
    if "image_size" not in chosen:
        return found
    note = (
        f"{size}x{size} pixels is what the backbone {recipes[0].backbone} was trained on, so that size was chosen. "
        "--image-size, --aspect (crop, pad or stretch) and --color-mode choose otherwise."
    )
    return replace(found, notes=(*found.notes, note))


# In a photograph nearly every pixel has a colour of its own; drawings, icons and grey pictures have few.
_COLOURS_OF_A_PHOTOGRAPH = 0.3  # as a share of the pixels
_LOOKED_AT = 16


def suggestion(recipe: Recipe, dataset: Dataset) -> str | None:
    """What to say where photographs are about to be trained on from nothing: that a pretrained network knows more.

    Args:
        recipe: only of a recipe as it is named, since who changes settings has chosen.
        dataset: only of a folder of pictures in colour.
    """
    from_scratch = recipe.name in NAMED and recipe.backbone is None
    if not (from_scratch and dataset.name.startswith("folder:") and are_photographs(dataset.train.images)):
        return None
    there = all(find_spec(name) is not None for name in ("onnx", "onnxruntime"))
    install = "" if there else "Install it with pip install 'fittingroom[pretrained]', then use "
    return (
        "These look like photographs. A pretrained network usually names photographs far better than a model that "
        f"starts from nothing. {install or 'Use '}--recipe transfer (recipe='transfer' in Python)."
    )


def are_photographs(images: Any) -> bool:
    """Whether half of some images, `(n, height, width, ...)`, have the many colours of photographs."""
    if len(images.shape) != 4:
        return False
    few = np.asarray(images[:: -(-len(images) // _LOOKED_AT)])
    packed = few.reshape(len(few), -1, 3).astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    shares = [len(np.unique(image)) / len(image) for image in packed]
    return bool(np.median(shares) >= _COLOURS_OF_A_PHOTOGRAPH)


def chosen_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds that `seeds` means: a count gives 0, 1, 2 and so on; a sequence is taken as it is.

    Raises:
        InputError: there are none, too many, or the same one twice.
    """
    if isinstance(seeds, int):
        count = whole_number("seeds", seeds, lowest=1)
        seeds = range(min(count, LARGEST_COUNT + 1))
    chosen = tuple(whole_number("a seed in seeds", seed, lowest=0) for seed in seeds)
    if not chosen or len(set(chosen)) < len(chosen) or len(chosen) > LARGEST_COUNT:
        raise InputError(
            f"seeds={list(chosen)[:20]}: expected 1 to {LARGEST_COUNT:,} different seeds, such as [0, 1, 2], or their "
            "number."
        )
    return chosen


def whole_number(name: str, value: int, *, lowest: int) -> int:
    """An argument that counts something.

    Raises:
        InputError: it is not a whole number, or is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise InputError(f"{name}={value!r}; expected a whole number from {lowest}.")
    return int(value)


def clamped_batch_size(batch_size: int, count: int) -> tuple[int, tuple[str, ...]]:
    """A batch size that is no larger than the data, and the note that says so."""
    if batch_size <= count:
        return batch_size, ()
    return count, (f"The batch size {batch_size:,} is larger than the {count:,} training images; {count:,} is used.",)


def _is_keras(value: Any) -> bool:
    """Whether a value is an object of Keras's, such as a model; Keras is not imported for it."""
    return any(kind.__module__.startswith("keras.") for kind in type(value).__mro__)
