"""`BackboneInputs`: what a backbone makes of the images that a run is asked about, for a recipe that has one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fittingroom.answers.out_of_distribution import Features, unit_features
from fittingroom.data.values import Images
from fittingroom.engine.recipe_programs import RecipeModel
from fittingroom.recipes.settings import ALL

if TYPE_CHECKING:
    import keras

    from fittingroom.backbones.backbone import Backbone
    from fittingroom.backbones.frozen_part import FrozenPart

Array = np.ndarray[Any, Any]


class BackboneInputs:
    """The features that the programs of a recipe with a backbone answer on, and those that images are compared by.

    Args:
        model: of the recipe.

    Attributes:
        model: the same.
    """

    def __init__(self, model: RecipeModel) -> None:
        self.model = model

    @property
    def backbone(self) -> Backbone:
        """The recipe's backbone."""
        backbone = self.model.backbone
        assert backbone is not None  # who makes this has seen that the recipe names one
        return backbone

    def start(self) -> None:
        """Has the backbone ready, so that the first image waits for nothing.

        Raises:
            InputError: what it needs is not installed.
        """
        _ = self._started

    @cached_property
    def _started(self) -> bool:
        size = self.backbone.input_size
        for part in {part.key: part for part in (self.model.frozen, self._pooled) if part is not None}.values():
            part.features(np.zeros((1, size, size, 3), np.uint8))
        return True

    def inputs(self, images: Array) -> Array:
        """What the programs take of images: features, or the images themselves where all of the backbone is trained."""
        return self.model.features(images)

    def kept_inputs(self, images: Array) -> Array:
        """The same of many images that will be asked for again: from the cache of features, as far as it has them."""
        if self.model.frozen is None:
            return images
        pixels = self.model.pixels(images)
        if self.model.views == 1:
            return _kept(self.model.frozen, pixels)
        from fittingroom.engine.transfer import MirroredImages

        both = (pixels, cast(Images, MirroredImages(pixels)))
        return np.stack([_kept(self.model.frozen, view) for view in both], axis=1)

    def compared(self, images: Array, inputs: Array) -> Features:
        """What images are compared by: the backbone's own features, as it came, which training has not changed.

        Args:
            images: as the run stores them.
            inputs: what the programs took of them.
        """
        if self.model.recipe.unfreeze == 0:
            return unit_features(inputs)  # the mean over the views, where there are several
        return unit_features(self._pooled.features(self.model.pixels(images)))

    @cached_property
    def _pooled(self) -> FrozenPart:
        return self.backbone.frozen()

    def front(self) -> keras.Model:
        """The frozen part as a Keras model: from images, 0 to 255, to what the trained part takes."""
        import keras

        whole, unfreeze = self.backbone.tail("all"), self.model.recipe.unfreeze
        assert unfreeze != ALL
        if unfreeze == 0:
            return whole
        first = self.backbone.tail(unfreeze).layers[1]  # after the input
        return keras.Model(whole.inputs[0], whole.get_layer(first.name).input, name="frozen")

    def whole_model(self, trained: keras.Model) -> keras.Model:
        """The whole model, from images of the dataset's size, 0 to 255, to probabilities.

        Args:
            trained: its trained part, from features to probabilities.
        """
        from fittingroom.recipes.build import with_frozen_part

        if self.model.frozen is None:
            return trained
        return with_frozen_part(self.model.recipe, self.front(), trained, self.model.image_shape)


def _kept(frozen: FrozenPart, pixels: Images) -> Array:
    from fittingroom.backbones.feature_cache import cached_features

    return np.asarray(cached_features(frozen, pixels))
