"""`SeedModel`: the trained model of one seed, compiled for predictions or as a Keras model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.answers.forward import Forward
from fittingroom.answers.out_of_distribution import hog_features
from fittingroom.engine.blueprint import Blueprint, Outline, Shapes
from fittingroom.engine.state import State
from fittingroom.errors import RunError
from fittingroom.runs.json_files import damage
from fittingroom.runs.layout import RunContents, SeedFiles
from fittingroom.runs.record import RunRecord

if TYPE_CHECKING:
    import keras

    from fittingroom.api.backbone_inputs import BackboneInputs
    from fittingroom.engine.programs import Programs, ProgramSource
    from fittingroom.engine.recipe_programs import RecipeModel
    from fittingroom.networks.numpy_network import NumpyNetwork

Array = np.ndarray[Any, Any]


_QUICKER_WITHOUT_PROGRAMS = 2e9
"""Products of two numbers in convolutions that NumPy has before JAX is imported and a program compiled."""


class SeedModel:
    """What a seed learned. Its files are read, and its programs compiled, when they are first needed.

    Args:
        record: what is recorded of the seed.
        files: the folder that its files are read from, or all that they would hold.
        title: what messages call the run.
        given: the Keras model that `fit` or `open_run` was given; None without one.
        trust: whether the Python file that the model came from may be run.

    Attributes:
        record: the same.
        like: another seed of the same recipe, whose compiled programs this one uses too; None for its own.
    """

    def __init__(
        self, record: RunRecord, files: Path | RunContents, title: str, *, given: keras.Model | None, trust: bool
    ) -> None:
        self.like: SeedModel | None = None
        self.record = record
        self._files = files
        self._title = title
        self._given = given
        self._trust = trust

    def forward(self) -> Forward:
        """From images in the model's form to logarithms of probabilities, none NaN; reads nothing any more."""
        if self._network is None:
            return self.compiled_forward()
        self._check_alike()

        def logs(images: Array) -> Array:
            found = self._computed(images)
            check_numbers(found, self._title)
            return found

        scale = self.record.data.scale
        return Forward(_as_they_are, logs, lambda images, _: hog_features(images, scale), _as_they_are)

    def compiled_forward(self) -> Forward:
        """The same by the programs that JAX compiles, whichever way `forward` goes: what exports are compared with."""
        programs, state, backbone = self.compiled(), self._state, self.backbone
        from fittingroom.engine.devices import prepare_jax

        def logs(inputs: Array) -> Array:
            prepare_jax()  # at each call: the programs may have been made before a fork
            found = programs.log_probabilities(state, inputs)
            check_numbers(found, self._title)
            return found

        if backbone is not None:
            return Forward(backbone.inputs, logs, backbone.compared, backbone.kept_inputs)
        scale = self.record.data.scale
        return Forward(_as_they_are, logs, lambda images, _: hog_features(images, scale), _as_they_are)

    def compiled(self) -> Programs:
        """The programs that predict.

        Raises:
            RunError: a file is damaged, or the model can only be made by code that is not here or not trusted.
            InputError: the recipe has a backbone, and what that needs is not installed.
        """
        from fittingroom.engine.devices import prepare_jax

        prepare_jax()
        if self.backbone is not None:
            self.backbone.start()
        if self.like is None:
            return self._programs
        self._check_alike()
        return self.like.compiled()

    def _check_alike(self) -> None:
        """Raises RunError unless its weights have the shapes of those of the seed that it shares programs with."""
        if self.like is not None and self._shapes != self.like._shapes:
            raise RunError(f"{self._title} has other weights than {self.like._title}: they are not of one run.")

    def prepare(self) -> None:
        """Makes sure that it can answer about many images, before they are asked for.

        Raises:
            RunError, InputError: as for `compiled`.
        """
        if self._network is None or not self._network.is_dense:
            self.compiled()
        else:
            self._check_alike()

    def log_probabilities(self, images: Array) -> Array:
        """What the model makes of images in its form, `(n, classes)`, NaN and all."""
        if self._network is not None:
            return self._computed(images)
        inputs = images if self.backbone is None else self.backbone.kept_inputs(images)
        return self.compiled().log_probabilities(self._state, inputs)

    def _computed(self, images: Array) -> Array:
        """What the network makes of images, `(n, classes)`: by NumPy where that is quicker, else by programs.

        Dense networks are as fast in NumPy as compiled. So are convolutions for a photo, before programs are there.
        """
        network = self._network
        assert network is not None  # who calls this has looked
        quick = network.is_dense or (
            "_programs" not in vars(self.like or self) and network.image_work * len(images) <= _QUICKER_WITHOUT_PROGRAMS
        )
        return network(images) if quick else self.compiled().log_probabilities(self._state, images)

    @cached_property
    def _network(self) -> NumpyNetwork | None:
        """The network as NumPy computes it; None where only programs can."""
        from fittingroom.api.described_network import described_network  # a training asks nothing

        # A damaged record is refused, whichever way it would be answered.
        _ = self.record.trained_recipe() if self.is_of_recipe else self._batch_size
        return described_network(self.record, *self.described, of_recipe=self.is_of_recipe)

    @cached_property
    def keras_model(self) -> keras.Model:
        """A Keras model with the seed's weights, from images to probabilities; see `Run.model`."""
        return self.trained_part if self.backbone is None else self.backbone.whole_model(self.trained_part)

    @cached_property
    def trained_part(self) -> keras.Model:
        """What was trained, as a Keras model with the seed's weights: all of it, or what follows a frozen backbone."""
        model = self._structure()
        self._state.write_weights_to(model)
        return model

    @property
    def is_kept(self) -> bool:
        """Whether the folder has what it learned, so that nothing is trained again for an answer."""
        return True

    @property
    def estimator(self) -> Any:
        """Nothing: it is a network.

        Raises:
            RunError: always.
        """
        raise RunError(f"{self._title} is a network, not a classifier of scikit-learn's. run.model is its Keras model.")

    @property
    def is_of_recipe(self) -> bool:
        """Whether its programs are those of a recipe, and not of a Keras model of the user's."""
        return self.record.recipe.get("model", "") is None and self._given is None

    def check_single_network(self) -> None:
        """Makes sure that its answers are those of one network alone."""

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What was trained as `engine.description` has it, and the weights by the names of their variables.

        Raises:
            RunError: a file is damaged.
        """
        groups = zip(self._blueprint.weight_groups, (self._state.trainable, self._state.non_trainable), strict=True)
        weights = {
            start.name: np.asarray(value)
            for starts, values in groups
            for start, value in zip(starts, values, strict=True)
        }
        return self._blueprint.description, weights

    @cached_property
    def backbone(self) -> BackboneInputs | None:
        """What gives the programs features of images; None for a recipe without a backbone."""
        if self.record.recipe.get("backbone") is None:
            return None
        from fittingroom.api.backbone_inputs import BackboneInputs

        return BackboneInputs(self._recipe_model())

    @cached_property
    def _blueprint(self) -> Blueprint:
        if isinstance(self._files, RunContents):
            return Blueprint.from_json(dict(self._files.model))
        with damage(self._files, "model.json"):
            return Blueprint.from_json(SeedFiles(self._files).model())

    @cached_property
    def _state(self) -> State:
        if isinstance(self._files, RunContents):
            return self._blueprint.state_of_weights(dict(self._files.weights))
        weights = SeedFiles(self._files).weights.read(self._blueprint.weight_shapes)
        SeedFiles(self._files).weights.check(self.record.weights_sha256)
        with damage(self._files, "weights.safetensors"):
            return self._blueprint.state_of_weights(weights)

    @property
    def _shapes(self) -> tuple[Shapes, Shapes]:
        """The shapes of the weights, which are those in the folder's file once `_state` was read."""
        return _shapes_of(self._blueprint)

    @cached_property
    def _programs(self) -> Programs:
        from fittingroom.engine.programs import Programs

        return Programs(self._source())

    def _source(self) -> ProgramSource:
        record = self.record
        scale = record.data.scale if record.recipe.get("scale", True) else 1.0
        if self.is_of_recipe:
            return self._recipe_programs()
        from fittingroom.engine.keras_steps import KerasSteps
        from fittingroom.engine.programs import TracedPrograms

        batch_size = self._batch_size
        return TracedPrograms(
            KerasSteps(self._structure()).functions(), batch_size, None if record.data.as_given else scale
        )

    @property
    def _batch_size(self) -> int:
        """Images in a training step; RunError where a damaged record has no number there."""
        batch_size = self.record.recipe.get("batch_size")
        if not isinstance(batch_size, int):
            raise RunError(f"{self._title}: run.json is damaged: its batch size is {batch_size!r}.")
        return batch_size

    def _recipe_programs(self) -> ProgramSource:
        """The programs of the recorded recipe, made sure to be for weights like those in the folder."""
        self._state  # noqa: B018 - read here, so that shapes are real before they are relied on
        outline = Outline(self.record.data.image_shape, self._shapes)
        model = self._recipe_model(outline)
        try:
            outline.check_weights(_shapes_of(model.programs.blueprint()))
        except RunError as error:
            raise RunError(f"{self._title} is damaged: its recipe and its weights do not fit: {error}.") from error
        return model.programs

    def _recipe_model(self, outline: Outline | None = None) -> RecipeModel:
        from fittingroom.engine.recipe_programs import RecipeModel

        recipe, data = self.record.trained_recipe(), self.record.data
        scale = data.scale if recipe.scale else 1.0
        return RecipeModel(recipe, data.image_shape, len(data.classes), scale, data.counts["train"], outline)

    def _structure(self) -> keras.Model:
        """A model that has the run's structure, with any weights."""
        from fittingroom.engine.devices import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.description import rebuild
        from fittingroom.engine.model_checks import ModelChecks
        from fittingroom.engine.state import State

        self._state  # noqa: B018 - read here, so that shapes are real before they are relied on
        shape = self.record.data.image_shape if self.backbone is None else self.backbone.model.input_shape
        outline = Outline(shape, self._shapes)
        description = self._blueprint.description
        if description.get("keras") is not None:
            model = rebuild(description, outline)
        else:
            model = self._given or self._trusted_model() or rebuild(description)
        ModelChecks(model).build_layers(np.broadcast_to(np.float32(0), (1, *outline.image_shape)))
        try:
            outline.check_weights(State.weight_shapes(model))
        except RunError as error:
            raise RunError(f"The model is not the one of this run: {error}.") from error
        return model

    def _trusted_model(self) -> keras.Model | None:
        """What the run's model file gives, if it may be run; None where the model came from no file."""
        from fittingroom.recipes.build import build_model

        record = self.record
        if record.model_file is None:
            return None
        file = record.model_file.trusted(trust=self._trust)
        recipe = record.trained_recipe(model=file.text)
        return build_model(recipe, record.data.image_shape, len(record.data.classes), file=file)


def check_numbers(values: Array, run: str) -> None:
    """Raises RunError where what a model makes of images, `(images, ...)`, is NaN: it is no answer to them."""
    bad = int(np.isnan(values).any(axis=1).sum())
    if bad:
        raise RunError(
            f"{run}: the model gives NaN for {bad:,} of {len(values):,} images, so it has no answer to them. Its "
            "training has diverged, or the images have values that are far too large. Train again with a smaller "
            "learning rate and images scaled to 0 to 1."
        )


def _as_they_are(images: Array) -> Array:
    return images


def _shapes_of(blueprint: Blueprint) -> tuple[Shapes, Shapes]:
    trainable, others = blueprint.weight_groups
    return tuple(start.shape for start in trainable), tuple(start.shape for start in others)
