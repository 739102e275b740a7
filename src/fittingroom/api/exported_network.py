"""What a run's answers are computed by, from the models of its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from fittingroom.errors import ModelError
from fittingroom.exports.answer_graph import ImageWay, NetworkParts, Reading, TrainedNetwork
from fittingroom.recipes.settings import ALL

if TYPE_CHECKING:
    import keras

    from fittingroom.api.seed_model import SeedModel


def network_parts(seeds: Sequence[SeedModel]) -> NetworkParts:
    """Networks, and how images come to them.

    Args:
        seeds: the models of a run.

    Raises:
        ModelError: a layer computes in 16 bits.
        RunError: a file is damaged, or the model can only be made by code that is not here, or asks another run.
    """
    for seed in seeds:
        seed.check_single_network()
    return NetworkParts(_way(seeds[0]), [_network(seed) for seed in seeds])


def _way(seed: SeedModel) -> ImageWay:
    """How stored images come to the networks of a run."""
    data, recipe = seed.record.data, seed.record.recipe
    kind: Literal["uint8", "float32"] = "float32" if data.as_given else "uint8"
    views = recipe.get("test_views") or ()
    scale = data.scale if recipe.get("scale", True) else 1.0
    if seed.backbone is None:
        return ImageWay(data.image_shape, kind, None if data.as_given else scale, views=views)
    backbone, unfreeze = seed.backbone.backbone, seed.backbone.model.recipe.unfreeze
    if unfreeze == ALL:
        return ImageWay(data.image_shape, kind, scale / 255, views=views)
    return ImageWay(
        data.image_shape, kind, scale / 255, rounded=scale != 255, views=views, backbone=backbone, unfreeze=unfreeze
    )


def _network(seed: SeedModel) -> TrainedNetwork:
    """The network of a seed, for one view of an image."""
    model = seed.trained_part
    reading: Reading = "softmax"
    if not seed.is_of_recipe:
        from fittingroom.engine.losses import OutputKind

        reading = cast(Reading, str(OutputKind.of(model)))
    elif model.name == "averaged_classifier":  # as `recipes.build` makes it; the views are those of the graph
        model = model.get_layer("classifier")
    check_precision(model)
    return TrainedNetwork(model, reading)


def check_precision(model: keras.Model) -> None:
    """Raises ModelError where a layer computes in 16 bits: XLA rounds after each step, and no other runtime alike."""
    for layer in model._flatten_layers(include_self=False):
        if getattr(layer, "compute_dtype", "float32") in ("bfloat16", "float16"):
            raise ModelError(
                f"the layer {layer.name!r} ({type(layer).__name__}) computes in {layer.compute_dtype}, which no other "
                "runtime rounds alike. Train with precision = 'float32' (--set precision=float32) to export."
            )
