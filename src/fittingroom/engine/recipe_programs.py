"""The programs and the blueprint of a recipe: from the cache, or from the Keras model that the recipe describes.

Building a Keras model and tracing it takes longer than an epoch of the course's model. What they give depends only on
the recipe, the shapes and the versions. So the traced programs are kept in the cache folder as JAX exports, under a key
made of these, and the next training of the recipe does not import Keras. Those of the shortest trainings come with the
package (`scripts/programs.py`), for the first one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import export

from fittingroom.atomic import CheckedFile
from fittingroom.data.cache import cache_dir
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.devices import Sharing
from fittingroom.engine.epoch import Examples, ImageOutcomes
from fittingroom.engine.programs import EVALUATION_BATCH, ProgramName, TracedPrograms
from fittingroom.engine.state import State
from fittingroom.errors import StorageError
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import Augmentation

Array = np.ndarray[Any, Any]

SHIPPED = Path(__file__).with_name("shipped_programs.zip")
# A program that calls this is compiled for oneDNN; a dense network's training need not import `engine.onednn` for it.
_ONEDNN = "__onednn$convolution"
_EVALUATED_AT_ONCE = 6_000_000  # numbers that go into a backbone's layers in a step of evaluation

if TYPE_CHECKING:
    from fittingroom.backbones.backbone import Backbone
    from fittingroom.backbones.frozen_part import FrozenPart
    from fittingroom.engine.blueprint import Outline


@dataclass(frozen=True)
class RecipeModel:
    """The model of a recipe for images of one shape, which is built in Keras only when the cache lacks its programs.

    Args:
        recipe: what to build.
        image_shape: of one image of the dataset.
        classes: how many there are.
        scale: what the stored images are divided by to lie in 0 to 1.
        train_count: how many training images there are, which a schedule of the learning rate depends on.
        outline: the shapes that the model must have, where recipe and shapes come from a file; None where the user
            asks.
    """

    recipe: Recipe
    image_shape: tuple[int, ...]
    classes: int
    scale: float
    train_count: int
    outline: Outline | None = None

    @property
    def programs(self) -> ExportedPrograms:
        """The recipe's programs, from the cache where it has them."""
        steps = () if self.recipe.schedule == "constant" else (self._steps,)
        backbone = () if self.backbone is None else (self.backbone.sha256,)
        shape = self.input_shape
        key = _program_key(
            self.recipe.program_fields(), shape, self.classes, self.input_scale, *steps, *backbone, *self._called
        )
        return ExportedPrograms(key, self.trace, evaluation_batch=self._evaluation_batch)

    @property
    def _called(self) -> list[str]:
        """What a program may call that is not in it: oneDNN's convolutions, which depend on the processor."""
        if not (self.recipe.convolutions or self.recipe.model or self.recipe.unfreeze):
            return []
        from fittingroom.engine.onednn import types_computed

        return sorted(types_computed())

    @property
    def _evaluation_batch(self) -> int:
        """Images in a step of evaluation: fewer where a backbone's first layers are large."""
        if self.backbone is None:
            return EVALUATION_BATCH
        numbers = math.prod(self.input_shape) if self.frozen is not None else 3 * self.backbone.input_size**2
        return min(EVALUATION_BATCH, 1 << max(3, int(math.log2(_EVALUATED_AT_ONCE / numbers))))

    @cached_property
    def backbone(self) -> Backbone | None:
        """The recipe's backbone; None where it has none.

        Raises:
            UnknownNameError: there is no such backbone.
        """
        if self.recipe.backbone is None:
            return None
        from fittingroom.backbones.backbone import find_backbone

        return find_backbone(self.recipe.backbone)

    @cached_property
    def frozen(self) -> FrozenPart | None:
        """What turns images into the programs' input; None where they take the images themselves."""
        if self.recipe.backbone is None:
            return None
        from fittingroom.engine.transfer import frozen_part

        return frozen_part(self.recipe)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the programs' input for one image: that of the image, or of its features, which are float16."""
        return self.image_shape if self.frozen is None else self.frozen.shape

    @property
    def input_scale(self) -> float:
        """What the programs divide their input by: a backbone takes images of 0 to 255."""
        if self.recipe.backbone is None:
            return self.scale
        return self.scale / 255 if self.frozen is None else 1.0

    def pixels(self, images: Array) -> Array:
        """Stored images as a backbone's frozen part takes them: uint8, 0 to 255."""
        if self.scale == 255 and images.dtype == np.uint8:
            return images
        return np.clip(np.rint(images * (255 / self.scale)), 0, 255).astype(np.uint8)

    def features(self, images: Array) -> Array:
        """Stored images as the program that answers takes them.

        Returns:
            With a frozen part, float16 features `(n, *input_shape)`; where the recipe's answers average over views
            `(n, views, *input_shape)`. Else the images themselves.
        """
        if self.frozen is None:
            return images
        frozen, pixels = self.frozen, self.pixels(images)
        if self.views == 1:
            return frozen.features(pixels).astype(np.float16)
        both = (pixels, np.ascontiguousarray(pixels[:, :, ::-1]))
        return np.stack([frozen.features(view).astype(np.float16) for view in both], axis=1)

    def initial_state(self, blueprint: Blueprint, seed: int) -> State:
        """The state before the first step: the backbone's own weights where it is trained, the rest drawn."""
        if self.backbone is None or self.recipe.unfreeze == 0:
            return blueprint.initial_state(seed)
        return blueprint.initial_state(seed, self.backbone.tail_weights(self.recipe.unfreeze))

    @property
    def views(self) -> int:
        """How many views of an image the recipe's answers average, the image itself among them."""
        names = [Augmentation.of(text).name for text in self.recipe.test_views]
        return (1 + 2 * names.count("shift")) * (2 if "flip" in names else 1)

    @property
    def _steps(self) -> int:
        """How many steps the whole training has."""
        return self.recipe.epochs * -(-self.train_count // self.recipe.batch_size)

    def trace(self) -> tuple[Blueprint, TracedPrograms]:
        """The blueprint and the programs, from the Keras model. Slow: imports Keras.

        Raises:
            RunError: the model does not have the shapes of `outline`; no memory was taken for its weights.
        """
        from fittingroom.engine.devices import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.augmentation import averaging, changing_images
        from fittingroom.engine.description import describe
        from fittingroom.engine.keras_steps import KerasSteps
        from fittingroom.engine.model_checks import ModelChecks
        from fittingroom.engine.transfer import BACKBONE_RATE, picking_copies, slowed
        from fittingroom.recipes.build import build_model, layers_of, with_softmax_in_the_loss

        shape, unfreeze = self.input_shape, self.recipe.unfreeze
        trained = self.backbone is not None and unfreeze != 0

        def tail() -> Any:
            return self.backbone.tail(unfreeze) if self.backbone is not None and trained else None

        if self.outline is not None:
            outline = replace(self.outline, image_shape=shape)
            outline.check(lambda: layers_of(self.recipe, shape, self.classes, tail()))
        own = tail()
        model = build_model(self.recipe, shape, self.classes, self._steps, tail=own)
        description = describe(model)
        # Described first: the run's model has its softmax as a layer, and is trained with it in the loss (decision 7).
        model = with_softmax_in_the_loss(model, self.recipe.label_smoothing)
        images = np.zeros((1, *shape), np.float32)
        ModelChecks(model).build(images, np.zeros(1, np.int32), None, self.classes)
        blueprint, steps = Blueprint.of(model, description), KerasSteps(model).functions()
        if own is not None:
            blueprint = blueprint.with_pretrained({weight.path for weight in own.weights})
            steps = slowed(steps, [BACKBONE_RATE if pretrained else 1.0 for pretrained in blueprint.pretrained])
        if self.recipe.augment:
            blueprint = blueprint.with_augmentation_seed()
        if self.frozen is not None:
            steps = picking_copies(steps) if self.recipe.views else steps
            if self.views > 1:
                steps = averaging(steps, lambda features: [features[:, view] for view in range(self.views)])
        else:
            changes = [
                [Augmentation.of(text) for text in each] for each in (self.recipe.augment, self.recipe.test_views)
            ]
            steps = changing_images(steps, *changes)
        traced = TracedPrograms(
            steps, self.recipe.batch_size, self.input_scale, evaluation_batch=self._evaluation_batch
        )
        return blueprint, traced


def _program_key(*parts: object) -> str:
    """The name of the cache folder for programs that `parts`, the versions, our source and the platform decide."""
    versions = [version(name) for name in ("fittingroom", "jax", "jaxlib", "keras")]
    text = json.dumps(
        [parts, versions, _source_digest(), jax.default_backend()],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _source_digest() -> str:
    """A hash of the source that makes programs, so that none of an older source is ever used."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for room in ("backbones", "engine", "recipes") for path in (root / room).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class ExportedPrograms:
    """A source of programs that reads them from the cache, and writes there what it had to trace.

    Args:
        key: the name of the cache folder.
        trace: builds the model, and gives its blueprint and programs; called when the cache lacks something.
        devices: the most devices that may share a batch.
        evaluation_batch: images in a step of evaluation, and at most in a call of the program that predicts.
    """

    def __init__(
        self,
        key: str,
        trace: Callable[[], tuple[Blueprint, TracedPrograms]],
        *,
        devices: int = 1,
        evaluation_batch: int = EVALUATION_BATCH,
    ) -> None:
        self.evaluation_batch = evaluation_batch
        self._key = key
        self._folder = cache_dir() / "programs" / key
        self._trace = trace
        self._devices = devices
        self._traced: tuple[Blueprint, TracedPrograms] | None = None

    def on(self, devices: int) -> ExportedPrograms:
        """The same programs, in which up to so many devices share a batch."""
        other = ExportedPrograms(self._key, self._trace, devices=devices, evaluation_batch=self.evaluation_batch)
        other._traced = self._traced
        return other

    def blueprint(self) -> Blueprint:
        """The blueprint of the model."""
        kept = CheckedFile(self._folder / "blueprint.json").read() or self._shipped("blueprint.json")
        if kept is not None:
            return Blueprint.from_json(json.loads(kept))
        blueprint, _ = self._once_traced()
        self._keep("blueprint.json", json.dumps(blueprint.to_json()).encode())
        return blueprint

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        exported = self._exported(name, arguments)
        sharing = Sharing(exported.nr_devices)
        with _without_lapack(exported):
            by_onednn = _ONEDNN.encode() in exported.mlir_module_serialized
            return sharing.compiled(sharing.jitted(exported.call), arguments, by_onednn=by_onednn)

    def _exported(self, name: ProgramName, arguments: tuple[Any, ...]) -> export.Exported:
        _register_types()
        shapes = Sharing.shapes_of(arguments)
        digest = hashlib.sha256(str(shapes).encode()).hexdigest()[:16]
        file = f"{name}-{self._devices}-{digest}.jax"
        # Those that are shipped are so small that no number of devices shares a batch.
        kept = CheckedFile(self._folder / file).read() or self._shipped(f"{name}-{digest}.jax")
        if kept is not None:
            return export.deserialize(bytearray(kept))
        _, traced = self._once_traced()
        function, _, _ = traced.on(self._devices).jitted(name, arguments)
        exported = export.export(function, disabled_checks=[export.DisabledSafetyCheck.custom_call(_ONEDNN)])(*shapes)
        self._keep(file, bytes(exported.serialize()))
        return exported

    def _once_traced(self) -> tuple[Blueprint, TracedPrograms]:
        if self._traced is None:
            self._traced = self._trace()
        return self._traced

    def _shipped(self, file: str) -> bytes | None:
        """What the package has for this recipe, these versions and this very source; None where it has nothing."""
        import zipfile  # not needed where the cache has everything

        try:
            with zipfile.ZipFile(SHIPPED) as archive:
                return archive.read(f"{self._key}/{file}")
        except (OSError, KeyError, zipfile.BadZipFile):
            return None

    def _keep(self, file: str, content: bytes) -> None:
        """Writes a cache file. Where that is not possible, the next training takes longer, and nothing else."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            CheckedFile(self._folder / file).write(content)
        except (OSError, StorageError):
            return


@contextmanager
def _without_lapack(exported: export.Exported) -> Iterator[None]:
    """Within the context, JAX compiles an exported program without importing LAPACK, unless the program mentions it."""
    # JAX imports SciPy's LAPACK before it compiles any exported program, in case the program calls it. None of ours
    # does, and the import is 0.16 s of the 1.5 s of core time that a short training takes as a whole process (decision
    # 8 in docs/decisions.md has the measurement). JAX has no public switch, so the private function that imports it is
    # replaced meanwhile. If a later JAX has no such function, the import comes back, and nothing else changes.
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
    for kind in (State, Examples, ImageOutcomes):
        export.register_namedtuple_serialization(kind, serialized_name=f"fittingroom.{kind.__name__}")
