"""The programs and the blueprint of a recipe: from the cache, or from the Keras model that the recipe describes.

Programs of a recipe, kept in the cache folder as JAX exports: a second training needs neither Keras nor tracing.

Building a Keras model and tracing it takes longer than an epoch of the course's model. What they give depends only on
the recipe, the shapes and the versions, so it is kept under a key made of these.

Answers averaged over several views of an image: as it is, mirrored, moved a little (test-time augmentation).

An image and its mirror image, or itself one pixel further, show the same thing, but a network's errors on them differ
in part, so the mean of its answers is right more often. Training, and validation while it lasts, see images as they
are: six views would cost validation six times its time. `recipes.views` is the same in Keras, for `run.model`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from fittingroom.atomic import read_checked, write_checked
from fittingroom.data.cache import cache_dir
from fittingroom.engine.blueprint import Blueprint, blueprint_of
from fittingroom.engine.devices import SharedProgram, everywhere
from fittingroom.engine.epoch import Examples, Outcomes, StepFunctions, kept_probabilities
from fittingroom.engine.programs import ProgramName, Programs, TracedPrograms, shapes_of
from fittingroom.engine.state import State
from fittingroom.engine.validation import Validated
from fittingroom.errors import StorageError
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import Augmentation, parse_augmentation

if TYPE_CHECKING:
    from fittingroom.engine.blueprint import Outline


@dataclass(frozen=True)
class RecipeModel:
    """The model of a recipe for images of one shape; builds it in Keras when the cache cannot help.

    Args:
        recipe: what to build.
        image_shape: of one image.
        classes: number of classes.
        scale: what the stored images are divided by to become the model's input.
        train_count: number of training images, which a schedule of the learning rate depends on.
        outline: what the model must look like, where all of this comes from a file; None where the user asks for it.
    """

    recipe: Recipe
    image_shape: tuple[int, ...]
    classes: int
    scale: float
    train_count: int
    outline: Outline | None = None

    @property
    def programs(self) -> ExportedPrograms:
        """Where the recipe's programs come from."""
        steps = () if self.recipe.schedule == "constant" else (self._steps,)
        key = program_key(self.recipe.program_fields(), self.image_shape, self.classes, self.scale, *steps)
        return ExportedPrograms(key, self)

    @property
    def _steps(self) -> int:
        """Steps of the whole training."""
        return self.recipe.epochs * -(-self.train_count // self.recipe.batch_size)

    def trace(self) -> tuple[Blueprint, TracedPrograms]:
        """Builds the Keras model, and from it the blueprint and the programs.

        Raises:
            RunError: the model does not look as `outline` says; nothing of its size was allocated.
        """
        from fittingroom.engine.devices import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.augmentation import augmenting, with_seed
        from fittingroom.engine.description import describe
        from fittingroom.engine.keras_steps import step_functions
        from fittingroom.engine.model_checks import build_checked
        from fittingroom.recipes.build import build_model, layers_of, with_softmax_in_the_loss

        if self.outline is not None:
            self.outline.check(lambda: layers_of(self.recipe, self.image_shape, self.classes))
        model = build_model(self.recipe, self.image_shape, self.classes, self._steps)
        description = describe(model)
        model = with_softmax_in_the_loss(model, self.recipe.label_smoothing)
        images = np.zeros((1, *self.image_shape), np.float32)
        build_checked(model, images, np.zeros(1, np.int32), None, self.classes)
        blueprint, steps = blueprint_of(model, description), step_functions(model)
        if self.recipe.augment:
            blueprint = with_seed(blueprint)
            steps = augmenting(steps, [parse_augmentation(text) for text in self.recipe.augment])
        if self.recipe.test_views:
            steps = averaging(steps, [parse_augmentation(text) for text in self.recipe.test_views])
        return blueprint, TracedPrograms(steps, self.recipe.batch_size, self.scale)


class Origin(Protocol):
    """Where programs and blueprint come from when the cache does not have them: a Keras model."""

    def trace(self) -> tuple[Blueprint, TracedPrograms]:
        """Builds the model. Slow: imports Keras."""
        ...


def program_key(*parts: object) -> str:
    """The name of a cache folder for programs decided by `parts`, this version of the code, and the platform."""
    versions = [version(name) for name in ("fittingroom", "jax", "jaxlib", "keras")]
    text = json.dumps([parts, versions, _source_digest(), jax.default_backend()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _source_digest() -> str:
    """A hash of the code that makes programs, so that changing it cannot leave old programs in use."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted([*(root / "engine").glob("*.py"), *(root / "recipes").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class ExportedPrograms:
    """A source of programs that reads them from the cache, and puts there what it had to trace.

    Args:
        key: the name of the cache folder, from `program_key`.
        origin: where programs come from when the cache does not have them.
        devices: the most devices that may share a batch.
    """

    def __init__(self, key: str, origin: Origin, *, devices: int = 1) -> None:
        self._key = key
        self._folder = cache_dir() / "programs" / key
        self._origin = origin
        self._devices = devices
        self._traced: tuple[Blueprint, TracedPrograms] | None = None

    def on(self, devices: int) -> ExportedPrograms:
        """The same programs, in which up to so many devices share a batch."""
        other = ExportedPrograms(self._key, self._origin, devices=devices)
        other._traced = self._traced
        return other

    def blueprint(self) -> Blueprint:
        """The blueprint of the model."""
        kept = read_checked(self._folder / "blueprint.json")
        if kept is not None:
            return Blueprint.from_json(json.loads(kept))
        blueprint, _ = self._trace()
        self._keep("blueprint.json", json.dumps(blueprint.to_json()).encode())
        return blueprint

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        exported = self._exported(name, arguments)
        devices = exported.nr_devices
        with _without_lapack(exported):
            if devices == 1:
                return jax.jit(exported.call).lower(*arguments).compile()
            whole = everywhere(devices)
            shared = jax.jit(exported.call, in_shardings=whole, out_shardings=whole)
            return SharedProgram(shared.lower(*shapes_of(arguments)).compile(), devices)

    def _exported(self, name: ProgramName, arguments: tuple[Any, ...]) -> export.Exported:
        _register_types()
        shapes = shapes_of(arguments)
        file = f"{name}-{self._devices}-{hashlib.sha256(str(shapes).encode()).hexdigest()[:16]}.jax"
        kept = read_checked(self._folder / file)
        if kept is not None:
            return export.deserialize(bytearray(kept))
        _, traced = self._trace()
        function, _ = traced.on(self._devices).jitted(name, arguments)
        exported = export.export(function)(*shapes)
        self._keep(file, bytes(exported.serialize()))
        return exported

    def _trace(self) -> tuple[Blueprint, TracedPrograms]:
        if self._traced is None:
            self._traced = self._origin.trace()
        return self._traced

    def _keep(self, file: str, content: bytes) -> None:
        """Writes a cache file. A cache that cannot be written only costs time next time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_checked(self._folder / file, content)
        except (OSError, StorageError):
            return


@contextmanager
def _without_lapack(exported: export.Exported) -> Iterator[None]:
    """Compiles an exported program without waiting for LAPACK, unless the program mentions it.

    JAX imports SciPy's LAPACK before it compiles any exported program, in case it is called; that takes 0.15 s, a
    quarter of the time to evaluate a run. There is no public switch, so a private function is put aside meanwhile; if
    it is gone one day, JAX just does as before.
    """
    from jax._src.export import _export

    name = "_ensure_backends_initialized"
    if b"lapack" in exported.mlir_module_serialized or not hasattr(_export, name):
        yield
        return
    initialize = getattr(_export, name)
    setattr(_export, name, lambda _platforms: None)
    try:
        yield
    finally:
        setattr(_export, name, initialize)


@cache
def _register_types() -> None:
    for kind in (State, Examples, Outcomes):
        export.register_namedtuple_serialization(kind, serialized_name=f"fittingroom.{kind.__name__}")


Array = np.ndarray[Any, Any]


def averaging(steps: StepFunctions, augmentations: Sequence[Augmentation]) -> StepFunctions:
    """The same step functions, which predict the mean probabilities over the views of each image."""

    def answer(state: State, images: jax.Array) -> jax.Array:
        found = [steps.log_probabilities(steps.forward(state, view)) for view in _views(images, augmentations)]
        return jax.nn.logsumexp(jnp.stack(found), axis=0) - math.log(len(found))

    return dataclasses.replace(steps, answer=answer)


def count_views(augmentations: Sequence[Augmentation]) -> int:
    """How many views of an image there are, with the image itself."""
    moved = 1 + 2 * sum(augmentation.name == "shift" for augmentation in augmentations)
    return moved * (2 if any(augmentation.name == "flip" for augmentation in augmentations) else 1)


def answered(programs: Programs, state: State, images: Array, labels: Array) -> Validated:
    """What comes of images `(n, ...)` with class indices `(n,)` when they are answered as `predict` does."""
    logs = programs.log_probabilities(state, images)
    true_class = logs[np.arange(len(labels)), labels]
    predicted = logs.argmax(axis=1).astype(np.int32)
    numbers = {"accuracy": float((predicted == labels).mean()), "loss": float(-true_class.mean())}
    outcomes = Outcomes(
        *map(jnp.asarray, (-true_class, predicted, np.exp(true_class), kept_probabilities(jnp.asarray(logs))))
    )
    return Validated(numbers, outcomes, None)


def _views(images: jax.Array, augmentations: Sequence[Augmentation]) -> list[jax.Array]:
    """Every view, the first of them the images as they are: moved ones, then the mirror images of all."""
    views = [images]
    for augmentation in augmentations:
        if augmentation.name == "shift":
            pixels = augmentation.strength or 0
            views += [_moved(images, pixels), _moved(images[:, ::-1, ::-1], pixels)[:, ::-1, ::-1]]
    if any(augmentation.name == "flip" for augmentation in augmentations):
        views += [view[:, :, ::-1] for view in views]
    return views


def _moved(images: jax.Array, pixels: int) -> jax.Array:
    """Images moved by so many pixels down and to the right; what comes in at the edge is 0."""
    padding = [(0, 0), (pixels, 0), (pixels, 0), *[(0, 0)] * (images.ndim - 3)]
    return jnp.pad(images, padding)[:, : images.shape[1], : images.shape[2]]
