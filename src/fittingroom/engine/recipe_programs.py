"""The programs and the blueprint of a recipe: from the cache, or from the Keras model that the recipe describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.engine.blueprint import Blueprint, blueprint_of
from fittingroom.engine.exported import ExportedPrograms, program_key
from fittingroom.engine.programs import TracedPrograms
from fittingroom.recipes.augment import parse_augmentation
from fittingroom.recipes.recipe import Recipe

if TYPE_CHECKING:
    from fittingroom.engine.outline import Outline


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
        from fittingroom.engine.backend import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.augmentation import augmenting, with_seed
        from fittingroom.engine.checks import build_checked
        from fittingroom.engine.description import describe
        from fittingroom.engine.keras_steps import step_functions
        from fittingroom.engine.views import averaging
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
