"""`ClassicalModel`: what a seed of a classifier of scikit-learn learned, from the run's folder, or fitted again.

It is no network: there is no compiled program, no Keras model and no feature of an inner layer. Images are compared by
histograms of oriented gradients, as for small networks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.answers.forward import Forward
from fittingroom.answers.out_of_distribution import hog_features
from fittingroom.api.seed_model import SeedModel, check_numbers
from fittingroom.classical.fitting import FittedEstimator
from fittingroom.data.dataset import Dataset
from fittingroom.errors import RunError
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.record import RunRecord
from fittingroom.training.fitted_seed import ESTIMATOR_NAME, fitted_on, to_fit_again

if TYPE_CHECKING:
    import keras

    from fittingroom.engine.programs import Programs

Array = np.ndarray[Any, Any]

_SAME = 1e-3  # of kept logarithms of probabilities, which have 16 bits

_log = logging.getLogger("fittingroom")


class ClassicalModel(SeedModel):
    """The fitted classifier of a seed.

    Args:
        record: what is recorded of it.
        files: its folder.
        title: what messages call the run.
        trust: whether the Python file that the classifier came from may be run.
        dataset: gives the run's dataset, where the classifier was not kept and is fitted again.
    """

    def __init__(
        self, record: RunRecord, files: Path, title: str, *, trust: bool, dataset: Callable[[], Dataset]
    ) -> None:
        super().__init__(record, files, title, given=None, trust=trust)
        self._dataset = dataset

    def forward(self) -> Forward:
        """From images in their form to logarithms of probabilities; reads nothing any more."""
        fitted, scale = self._fitted, self.record.data.scale

        def logs(images: Array) -> Array:
            found = fitted.log_probabilities(images)
            check_numbers(found, self._title)
            return found

        return Forward(_as_they_are, logs, lambda images, _: hog_features(images, scale), _as_they_are)

    def compiled_forward(self) -> Forward:
        """What `forward` gives, without a compiled program."""
        return self.forward()

    def prepare(self) -> None:
        """Makes sure that it can answer; see `forward`."""
        self.forward()

    def log_probabilities(self, images: Array) -> Array:
        """What the classifier makes of images in the run's form, `(n, classes)`."""
        return self._fitted.log_probabilities(np.asarray(images))

    def compiled(self) -> Programs:
        """Nothing: there is no program.

        Raises:
            RunError: always.
        """
        raise RunError(f"{self._title} {self._what}: there is no compiled program, gradient or inner layer to ask.")

    @cached_property
    def keras_model(self) -> keras.Model:
        """Nothing: it is no Keras model.

        Raises:
            RunError: always; it says how the classifier is had.
        """
        raise RunError(
            f"{self._title} {self._what}, not a network, so there is no Keras model. run.estimator is the fitted "
            "classifier; run.predict(images) gives its probabilities."
        )

    @cached_property
    def trained_part(self) -> keras.Model:
        """Nothing, as for `keras_model`."""
        return self.keras_model

    @property
    def is_of_recipe(self) -> bool:
        """It answers with logarithms of probabilities."""
        return True

    def check_single_network(self) -> None:
        """Says that it is no network.

        Raises:
            RunError: always; it says what can be done.
        """
        raise RunError(
            f"{self._title} {self._what}, not a network, and no format that is written here holds one. `fittingroom "
            "serve` answers requests with it; in Python, run.estimator is the fitted classifier, for skops or for a "
            "converter such as skl2onnx. Networks can be exported: train one, for example with --recipe wide."
        )

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What it is, and no weights by name."""
        return {"keras": None, "reason": "it is a classifier of scikit-learn"}, {}

    @property
    def backbone(self) -> None:
        """None: it looks at pixels, or at histograms of oriented gradients."""

    @property
    def is_kept(self) -> bool:
        """Whether the folder has the fitted classifier; else it is fitted again for an answer."""
        return ESTIMATOR_NAME in self._blueprint.weight_shapes

    @property
    def estimator(self) -> Any:
        """The fitted object of scikit-learn's, which takes float32 `(n, features)` as `features` of its recipe says.

        Raises:
            RunError: a file is damaged; or the classifier was not kept, and cannot be fitted again.
        """
        return self._fitted.estimator

    @property
    def _what(self) -> str:
        return f"is a classifier of scikit-learn's ({self._facts.get('title', 'of an unknown kind')})"

    @property
    def _facts(self) -> dict[str, Any]:
        """What `model.json` says of it."""
        description = self._blueprint.description
        found = description.get("estimator") if isinstance(description, dict) else None
        return found if isinstance(found, dict) else {}

    @cached_property
    def _fitted(self) -> FittedEstimator:
        """The classifier: from the folder, or fitted again.

        Raises:
            RunError: a file is damaged; or the classifier was not kept, and cannot be fitted again.
        """
        recipe, data = self.record.trained_recipe(), self.record.data
        if not self.is_kept:
            return self._fitted_again(recipe)
        assert isinstance(self._files, Path)  # it is always written
        weights = SeedFiles(self._files).weights
        content = weights.read(self._blueprint.weight_shapes)[ESTIMATOR_NAME]
        weights.check(self.record.weights_sha256)
        try:
            return FittedEstimator.from_bytes(
                recipe, content.tobytes(), len(data.classes), scale=data.scale, image_shape=data.image_shape
            )
        except RunError as error:
            raise RunError(f"{self._title} is damaged: {error}") from error

    def _fitted_again(self, recipe: Recipe) -> FittedEstimator:
        """The classifier, fitted again on the run's dataset: it could not be kept."""
        recipe = to_fit_again(recipe, self.record.model_file, trust=self._trust)
        _log.warning("Fitting %s again, since the classifier itself could not be kept.", self._title)
        dataset = self._dataset()
        fitted = fitted_on(dataset, recipe, self.record.seed, trust=self._trust)
        assert isinstance(self._files, Path)
        outcomes = SeedFiles(self._files).outcomes()
        kept = None if outcomes is None else outcomes.kept
        if dataset.validation is not None and kept is not None:
            logs = fitted.log_probabilities(np.asarray(dataset.validation.images))
            own = -logs[np.arange(len(logs)), dataset.validation.labels]
            if own.shape != kept.loss.shape or not np.allclose(own, kept.loss, rtol=_SAME, atol=_SAME):
                raise RunError(
                    f"{self._title} was fitted again, since it could not be kept, and answers otherwise than it did. "
                    "Something in it is random that the seed does not decide, or its software has changed."
                )
        return fitted


def _as_they_are(images: Array) -> Array:
    return images
