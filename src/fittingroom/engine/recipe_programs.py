"""The programs and the blueprint of a recipe: from the cache, or from the Keras model that the recipe describes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fittingroom.engine.blueprint import Blueprint, blueprint_of
from fittingroom.engine.exported import ExportedPrograms, program_key
from fittingroom.engine.programs import TracedPrograms
from fittingroom.recipes.recipe import Recipe


@dataclass(frozen=True)
class RecipeModel:
    """The model of a recipe for images of one shape; builds it in Keras when the cache cannot help.

    `scale` is what the stored images are divided by to become the model's input.
    """

    recipe: Recipe
    image_shape: tuple[int, ...]
    classes: int
    scale: float

    @property
    def programs(self) -> ExportedPrograms:
        """Where the recipe's programs come from."""
        key = program_key(self.recipe.program_fields(), self.image_shape, self.classes, self.scale)
        return ExportedPrograms(key, self)

    def trace(self) -> tuple[Blueprint, TracedPrograms]:
        """Builds the Keras model, and from it the blueprint and the programs."""
        from fittingroom.engine.backend import require_jax_backend

        require_jax_backend()
        from fittingroom.engine.checks import build_checked
        from fittingroom.engine.description import describe
        from fittingroom.engine.keras_steps import step_functions
        from fittingroom.recipes.build import build_model, with_softmax_in_the_loss

        model = build_model(self.recipe, self.image_shape, self.classes)
        description = describe(model)
        model = with_softmax_in_the_loss(model)
        images = np.zeros((1, *self.image_shape), np.float32)
        build_checked(model, images, np.zeros(1, np.int32), None, self.classes)
        traced = TracedPrograms(step_functions(model), self.recipe.batch_size, self.scale)
        return blueprint_of(model, description), traced
