"""`TaughtModel`: the model of a run that was taught by photos, a linear head on features and the base run's answer.

The features are those of a backbone. Beside them stand the log probabilities of the base run, the one that was taught,
whose files lie in the folder `base` of the new one: a photo is put into the base run's form as it puts photos itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fittingroom.answers.forward import Forward
from fittingroom.answers.out_of_distribution import unit_features
from fittingroom.answers.predictor import Predictor
from fittingroom.api.seed_model import SeedModel, check_numbers
from fittingroom.backbones.backbone import find_backbone
from fittingroom.backbones.feature_cache import cached_features
from fittingroom.errors import RunError
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.record import RunRecord
from fittingroom.runs.teaching import BASE_NAME
from fittingroom.training.photo_features import clipped

if TYPE_CHECKING:
    import keras

    from fittingroom.backbones.frozen_part import FrozenPart
    from fittingroom.data.dataset import Dataset
    from fittingroom.engine.programs import Programs
    from fittingroom.progress import Progress

Array = np.ndarray[Any, Any]


class AskedRun(Protocol):
    """What a head needs of the run that it asks, `api.run.Run`."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def predictor(self) -> Predictor:
        """What answers."""


OpenRun = Callable[[Path], AskedRun]


def model_of_seed(
    record: RunRecord,
    files: Path,
    title: str,
    given: keras.Model | None,
    *,
    trust: bool,
    open_run: OpenRun,
    dataset: Callable[[], Dataset],
) -> SeedModel:
    """What a seed learned: a network, a classifier of scikit-learn's, or what photos taught.

    Args:
        record: as for `SeedModel`, like those that follow.
        files: the folder.
        title: what messages call the run.
        given: the Keras model that was given; None without one.
        trust: whether a model file may be run.
        open_run: opens a run by its folder.
        dataset: gives the run's dataset, for what was not kept and has to be trained again.
    """
    if record.recipe.get("estimator") is not None:
        from fittingroom.api.classical_model import ClassicalModel

        return ClassicalModel(record, files, title, trust=trust, dataset=dataset)
    if record.teaching is None:
        return SeedModel(record, files, title, given=given, trust=trust)
    return TaughtModel(record, files, title, open_run)


KERNEL, BIAS = "classes/kernel", "classes/bias"
"""Names of the weights."""


class TaughtModel(SeedModel):
    """What a taught run learned, and the base run that it asks.

    Args:
        record: what is recorded of it.
        files: its folder.
        title: what messages call it.
        open_run: opens the base run by its folder.
    """

    def __init__(self, record: RunRecord, files: Path, title: str, open_run: OpenRun) -> None:
        super().__init__(record, files, title, given=None, trust=False)
        self._open_run = open_run

    def forward(self) -> Forward:
        """From photos to logarithms of probabilities; reads nothing any more."""
        inputs, kernel, bias = self._inputs, *self._head
        pooled = inputs.frozen.shape[0]

        def logs(features: Array) -> Array:
            logits = features @ kernel + bias
            check_numbers(logits, self._title)
            top = logits.max(axis=1, keepdims=True)
            return np.asarray(logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True)), np.float32)

        inputs.start()
        return Forward(
            inputs.of,
            logs,
            lambda _, features: unit_features(features[:, :pooled]),
            inputs.of_many,
            cross_fitted=self._cross_fitted,
        )

    def compiled_forward(self) -> Forward:
        """What `forward` gives, without a compiled program."""
        return self.forward()

    def prepare(self) -> None:
        """Makes sure that it can answer; see `forward`."""
        self.forward()

    def compiled(self) -> Programs:
        """Nothing: there is no program.

        Raises:
            RunError: always.
        """
        raise RunError(f"{self._title} was taught by photos: it answers by no compiled program of its own.")

    def log_probabilities(self, images: Array) -> Array:
        """What the model makes of photos in its form, `(n, classes)`."""
        forward = self.forward()
        return forward.logs(forward.held_out(images))

    @cached_property
    def keras_model(self) -> keras.Model:
        """A Keras model from images to probabilities, where the run asks its backbone alone.

        Raises:
            RunError: it asks its base run too, whose reading of photos is no part of a Keras model.
        """
        self.check_single_network()
        assert self.backbone is not None  # a run that asks no other has learned on a backbone
        return self.backbone.whole_model(self.trained_part)

    @property
    def is_of_recipe(self) -> bool:
        """Its head gives logits."""
        return True

    def check_single_network(self) -> None:
        """Makes sure that its answers are those of one network alone.

        Raises:
            RunError: it asks its base run too, whose reading of photos is no part of a network.
        """
        if self._inputs.base is not None:
            raise RunError(
                f"{self._title} was taught by photos: it asks a backbone and the run {self._teaching['base']['name']} "
                "of each photo, which is no single Keras model. run.predict(photos) answers; "
                f"fittingroom.open_run({str(self._base_folder)!r}).model is that of the run it asks."
            )

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The head, which has no description of Keras's, and its weights."""
        return {"keras": None, "reason": "it was taught by photos"}, dict(zip((KERNEL, BIAS), self._head, strict=True))

    @cached_property
    def trained_part(self) -> keras.Model:
        """The head as a Keras model, as far as it goes by the backbone's features: without what the base run says."""
        from fittingroom.engine.devices import require_jax_backend

        require_jax_backend()
        import keras

        kernel, bias = self._head
        pooled = self._inputs.frozen.shape[0]
        head = keras.layers.Dense(len(bias), activation="softmax", name="classes")
        model = keras.Sequential([keras.layers.Input((pooled,), name="images"), head])
        head.set_weights([kernel[:pooled], bias])
        return model

    @property
    def _teaching(self) -> dict[str, Any]:
        return dict(self.record.teaching or {})

    @property
    def _folder(self) -> Path:
        assert isinstance(self._files, Path)  # a taught run is always written
        return self._files

    @property
    def _base_folder(self) -> Path:
        own = self._folder / BASE_NAME
        return own if own.exists() else self._folder.parent / BASE_NAME  # that of its only seed lies in the run's

    @cached_property
    def _inputs(self) -> PhotoInputs:
        backbone = self.record.recipe.get("backbone")
        if not isinstance(backbone, str):
            raise RunError(f"{self._title}: run.json is damaged: it was taught, and names no backbone.")
        base = self._base_folder
        return PhotoInputs(backbone, self._open_run(base) if base.is_dir() else None)

    @cached_property
    def _head(self) -> tuple[Array, Array]:
        base = self._inputs.base
        columns = 0 if base is None else len(base.predictor.data.classes)
        classes = len(self.record.data.classes)
        shapes = {KERNEL: (self._inputs.frozen.shape[0] + columns, classes), BIAS: (classes,)}
        files = SeedFiles(self._folder)
        weights = files.weights.read(shapes)
        files.weights.check(self.record.weights_sha256)
        return weights[KERNEL].astype(np.float32), weights[BIAS].astype(np.float32)

    @property
    def _cross_fitted(self) -> Array | None:
        outcomes = SeedFiles(self._folder).outcomes()
        return None if outcomes is None or outcomes.kept is None else outcomes.kept.log_probabilities.astype(np.float32)


class PhotoInputs:
    """What a head gets of each photo: features of a backbone, and the log probabilities of a base run beside them.

    Args:
        backbone: its name.
        base: the run that is asked too; None for none.
    """

    def __init__(self, backbone: str, base: AskedRun | None) -> None:
        self.base = base
        self._backbone = backbone

    @cached_property
    def frozen(self) -> FrozenPart:
        """The part of the backbone that gives pooled features.

        Raises:
            InputError: the extra `pretrained` is missing.
        """
        return find_backbone(self._backbone).frozen()

    def start(self) -> None:
        """Has everything ready, so that the first photo waits for nothing, and the base run's folder is read."""
        self.frozen.features(np.zeros((1, self.frozen.input_size, self.frozen.input_size, 3), np.uint8))
        if self.base is not None:  # not its judgement, which takes long, and which nobody asks for here
            data = self.base.predictor.data
            _ = self.base.predictor.style
            dtype = np.float32 if data.as_given else np.uint8
            self.base.predictor.log_probabilities(np.zeros((1, *data.image_shape), dtype))

    def of(self, images: Array) -> Array:
        """Of photos in the run's form, uint8 `(n, height, width, 3)`; float32 `(n, d + b)`."""
        return self._joined(self.frozen.features(images), images)

    def of_many(self, images: Array, progress: Progress | None = None) -> Array:
        """The same of many photos that will be asked for again: the features from the cache, as far as it has them."""
        return self._joined(cached_features(self.frozen, images, progress=progress), images)

    def _joined(self, pooled: Array, images: Array) -> Array:
        # The cache keeps 16 bits, so what is not from there has no more.
        features = np.asarray(pooled, np.float16).astype(np.float32)
        return features if self.base is None else np.concatenate([features, self._asked(images)], axis=1)

    def _asked(self, images: Array) -> Array:
        """What the base run says of photos, as the head takes it, float32 `(n, b)`."""
        assert self.base is not None
        predictor, data = self.base.predictor, self.base.predictor.data
        columns = np.empty((len(images), len(data.classes)), np.float32)
        for start in range(0, len(images), _AT_ONCE):
            few = images[start : start + _AT_ONCE]
            if few.shape[1:] != data.image_shape:
                from PIL import Image

                each = [predictor.reader.read_picture(Image.fromarray(one), Path("the photo")) for one in few]
                few = np.concatenate([inputs.reshaped(data.image_shape).images for inputs in each])
            columns[start : start + _AT_ONCE] = clipped(predictor.log_probabilities(few))
        return columns


_AT_ONCE = 64
