"""Fitting a classifier of scikit-learn's to images, with one thread, and the probabilities that it answers with."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.classical.estimators import draws_random_numbers, estimator_title, last_step, new_estimator
from fittingroom.data.values import Images, Labels, image_blocks
from fittingroom.errors import ModelError, RecipeError, RunError
from fittingroom.evaluation.calibration import Temperature
from fittingroom.recipes.recipe import Recipe
from fittingroom.text import number, percent

_FLOOR = float(np.finfo(np.float64).eps)
"""What a probability of 0 counts as, as in scikit-learn's `log_loss`: its loss is 36 nats."""

_AT_ONCE = 10_000  # images that are classified at a time, so that memory stays bounded

# Those of scikit-learn's whose predict() is not the class of the highest probability or score: votes, or distances.
_OTHERWISE = frozenset({"SVC", "NuSVC", "NearestCentroid", "VotingClassifier", "OneVsOneClassifier"})

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class FittedEstimator:
    """A fitted classifier that answers for images.

    Args:
        estimator: scikit-learn's object.
        recipe: what it was fitted by.
        image_shape: of one image.
        classes: how many classes its answers have.
        scale: what pixels are divided by, 1 for nothing.
        temperature: what scores are divided by to become logits; None where the classifier has probabilities.
        notes: what a user should know of the fitting, in sentences.
        scored: images and their scores, which the fit has computed for the temperature and need not be computed twice.
    """

    estimator: Any
    recipe: Recipe
    image_shape: tuple[int, ...]
    classes: int
    scale: float
    temperature: float | None = None
    notes: tuple[str, ...] = ()
    scored: tuple[Images, NDArray[np.float64]] | None = None

    def log_probabilities(self, images: Images) -> NDArray[np.float32]:
        """Logarithms of the probability of each class, `(n, classes)`: finite, in nats.

        A probability of 0 counts as 2.2e-16, as in scikit-learn's `log_loss`.

        Args:
            images: uint8, `(n, *image_shape)`.

        Raises:
            ModelError: the images have another shape, or the classifier fails.
        """
        if tuple(images.shape[1:]) != self.image_shape:
            raise ModelError(f"images have the shape {images.shape[1:]}; expected {self.image_shape}.")
        answers = np.full((len(images), self.classes), np.log(_FLOOR), dtype=np.float32)
        columns = np.asarray(self.estimator.classes_, dtype=np.int64)
        try:
            if self.temperature is None:
                given = _in_blocks(_log_probabilities, self.estimator, images, self.recipe.features, self.scale)
            else:
                scores: Floats
                if self.scored is not None and self.scored[0] is images:
                    scores = self.scored[1]
                else:
                    scores = _in_blocks(_scores, self.estimator, images, self.recipe.features, self.scale)
                given = _log_softmax(np.asarray(scores, dtype=np.float64) / self.temperature)
        except Exception as error:
            raise ModelError(f"{self.title} cannot classify {len(images):,} images: {_reason(error)}.") from error
        answers[:, columns] = np.maximum(given, np.log(_FLOOR))
        return answers

    def _disagreement_note(self, images: Images) -> str | None:
        """A sentence where the class that the classifier predicts is not the one that it gives most; None elsewhere.

        Args:
            images: uint8, `(n, *image_shape)`; the first fifty count.
        """
        last = last_step(self.estimator)
        named = type(last).__name__ in _OTHERWISE and getattr(last, "break_ties", False) is not True
        if not (named or not type(last).__module__.startswith("sklearn.")):
            return None
        images = images[:50]
        largest = self.log_probabilities(images).argmax(axis=1)
        with _one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predicted = self.estimator.predict(features_of(images, self.recipe.features, self.scale))
        other = int((np.asarray(predicted) != largest).sum())
        if not other:
            return None
        return (
            f"For {other} of {len(images)} images {self.title} predicts another class than the one that it gives the "
            "highest probability or score; here the highest counts."
        )

    def zeros_note(self, log_probabilities: NDArray[np.float32], labels: Labels) -> str | None:
        """A sentence about the images whose true class had the probability 0; None where there are none."""
        at_true = log_probabilities[np.arange(len(labels)), labels]
        zeros = int((at_true <= np.float32(np.log(_FLOOR))).sum())
        if not zeros:
            return None
        return (
            f"For {zeros:,} of {len(labels):,} images ({percent(zeros / len(labels))}) the true class had the "
            "probability 0. It counts as 2.2e-16, as in scikit-learn's log_loss: a loss of 36 nats each."
        )

    @property
    def title(self) -> str:
        """What it is, such as `SVC` or `pipeline of StandardScaler and SVC`."""
        return estimator_title(self.estimator)

    @property
    def uses_seed(self) -> bool:
        """Whether another seed can give another classifier."""
        return draws_random_numbers(self.estimator)

    @property
    def remembers_images(self) -> bool:
        """Whether each training image is among those that it compares an image with, so that it is its own nearest."""
        return type(last_step(self.estimator)).__module__.startswith("sklearn.neighbors") and hasattr(
            last_step(self.estimator), "_fit_X"
        )

    @property
    def why_not_kept(self) -> str | None:
        """Why `to_bytes` gives None; None where it gives bytes."""
        return self._kept()[1]

    def to_bytes(self) -> bytes | None:
        """The classifier as a file of skops', the same for the same training; None where `why_not_kept` says why."""
        return self._kept()[0]

    def _kept(self) -> tuple[bytes | None, str | None]:
        from fittingroom.classical.kept_estimator import estimator_bytes

        return estimator_bytes(self.estimator, self.scale, {"temperature": self.temperature})

    @classmethod
    def from_bytes(
        cls, recipe: Recipe, content: bytes, classes: int, *, scale: float, image_shape: tuple[int, ...]
    ) -> FittedEstimator:
        """The classifier that `to_bytes` wrote. No code is run, and no type that skops does not trust is made.

        Args:
            recipe: that of the training.
            content: what `to_bytes` gave.
            classes: how many classes there are.
            scale: the dataset's, as `fit_estimator` got it.
            image_shape: of one image.

        Raises:
            RunError: the content is damaged, or not what `to_bytes` writes.
        """
        from fittingroom.classical.kept_estimator import estimator_of

        estimator, about = estimator_of(content)
        temperature = about.get("temperature")
        found = getattr(estimator, "classes_", None)
        known = np.asarray([] if found is None else found).astype(np.int64)
        if not len(known) or known.min() < 0 or known.max() >= classes or len(np.unique(known)) != len(known):
            raise RunError(
                f"the kept estimator knows the classes {known.tolist()}; expected some of 0 to {classes - 1}."
            )
        return cls(estimator, recipe, image_shape, classes, scale if recipe.scale else 1.0, temperature)


def fit_estimator(  # noqa: PLR0913 - what is fitted, to what, and what it is tuned on
    recipe: Recipe,
    images: Images,
    labels: Labels,
    classes: int,
    seed: int,
    *,
    scale: float,
    trust: bool = False,
    validation: tuple[Images, Labels] | None = None,
) -> FittedEstimator:
    """Fits the classifier of a recipe, with one thread: the same arguments give the same bits.

    Args:
        recipe: with an `estimator`.
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`.
        labels: int32, `(n,)`, positions among the classes.
        classes: how many classes the dataset has, of which the images may lack some.
        seed: every `random_state` that the recipe leaves open.
        scale: the dataset's: pixels are divided by it where the recipe says so.
        trust: whether code of the user's own may run, see `new_estimator`.
        validation: images and labels for the temperature of a classifier that has scores and no probabilities; without
            them the training images.

    Raises:
        RecipeError: the text needs trust, or a setting does not suit the classifier.
        ModelError: the classifier could not be fitted to these images.
    """
    estimator = new_estimator(recipe, seed, trust=trust)
    divisor = scale if recipe.scale else 1.0
    weights = _class_weights(recipe, estimator, labels)
    inputs = features_of(images, recipe.features, divisor)
    notes = _fitted(estimator, inputs, np.asarray(labels), weights)
    held_out, answers = (images, labels) if validation is None else validation
    temperature = scored = None
    if not hasattr(estimator, "predict_proba"):
        scores = np.asarray(_in_blocks(_scores, estimator, held_out, recipe.features, divisor), dtype=np.float64)
        temperature, note = _temperature(estimator, scores, answers, validated=validation is not None)
        notes, scored = (*notes, note), (held_out, scores)
    shape = tuple(images.shape[1:])
    fitted = FittedEstimator(
        estimator, recipe, shape, classes, divisor, temperature=temperature, notes=notes, scored=scored
    )
    disagreement = fitted._disagreement_note(held_out)
    return fitted if disagreement is None else replace(fitted, notes=(*notes, disagreement))


def features_of(images: Images, features: str, scale: float) -> NDArray[np.float32]:
    """What an estimator gets of each image: float32, `(n, features)`.

    Args:
        images: uint8, `(n, height, width)` or `(n, height, width, 3)`.
        features: `pixels`, or `hog`.
        scale: what pixels are divided by.
    """
    if features == "hog":
        from fittingroom.classical.hog import hog_features

        return hog_features(images)
    result = np.empty((len(images), int(np.prod(images.shape[1:]))), dtype=np.float32)
    start = 0
    for block in image_blocks(images):
        np.divide(block.reshape(len(block), -1), np.float32(scale), out=result[start : start + len(block)])
        start += len(block)
    return result


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> Any:
    """The libraries with threads of their own that are loaded; finding them takes some milliseconds."""
    from threadpoolctl import ThreadpoolController

    del modules
    return ThreadpoolController()


def _one_thread() -> Any:
    return _thread_pools(len(sys.modules)).limit(limits=1)  # what is imported meanwhile may bring further ones


def _class_weights(recipe: Recipe, estimator: Any, labels: Labels) -> NDArray[np.float64] | None:
    """Weights of the images for `class_weight`; None where there are none, or where the classifier makes them."""
    if recipe.class_weight is None:
        return None
    last = last_step(estimator)
    if "class_weight" in last.get_params(deep=False):
        last.set_params(class_weight=recipe.class_weight)
        return None
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.validation import has_fit_parameter

    if last is not estimator or not has_fit_parameter(estimator, "sample_weight"):
        raise RecipeError(
            f"class_weight = {recipe.class_weight!r}: expected none, since {type(last).__name__} cannot weigh classes."
        )
    return np.asarray(compute_sample_weight(recipe.class_weight, labels))


def _fitted(estimator: Any, inputs: Floats, labels: Any, weights: NDArray[np.float64] | None) -> tuple[str, ...]:
    """Fits the estimator in place; its warnings come back as notes."""
    name = type(last_step(estimator)).__name__
    with _one_thread(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if weights is None:
                estimator.fit(inputs, labels)
            else:
                estimator.fit(inputs, labels, sample_weight=weights)
        except MemoryError as error:
            raise ModelError(f"{name} needs more memory than there is for {len(labels):,} images: {error}.") from error
        except Exception as error:
            raise ModelError(
                f"{name} cannot be fitted to {len(labels):,} images with {inputs.shape[1]:,} features each: "
                f"{_reason(error)}."
            ) from error
    if not hasattr(estimator, "classes_"):
        raise ModelError(f"{name} has no classes_ after fitting; expected a classifier with scikit-learn's interface.")
    return tuple(dict.fromkeys(_said(name, one) for one in caught if not _is_of_no_concern(one)))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text if len(text) <= 300 else f'{text[:297]}...'}"


def _is_of_no_concern(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, DeprecationWarning | FutureWarning | PendingDeprecationWarning)


def _said(name: str, warning: warnings.WarningMessage) -> str:
    """A warning of scikit-learn's as a note."""
    first = " ".join(str(warning.message).split()).split(". ")[0][:300].rstrip(".")
    return f"{name} warns: {first}."


def _log_probabilities(estimator: Any, inputs: Floats) -> Floats:
    """What `predict_proba` gives, as logarithms; an image without numbers has every class alike."""
    given = np.asarray(estimator.predict_proba(inputs))
    given = given.astype(np.float64) if given.dtype.kind != "f" else given
    lost = ~np.isfinite(given).all(axis=1)
    if lost.any():
        given = np.where(lost[:, None], given.dtype.type(1 / given.shape[1]), given)
    return np.asarray(np.log(np.maximum(given, _FLOOR)))


def _scores(estimator: Any, inputs: Floats) -> NDArray[np.float64]:
    """A score for each class that the estimator knows: its decision function, or 1 for the class that it predicts."""
    count = len(estimator.classes_)
    if hasattr(estimator, "decision_function"):
        given = np.asarray(estimator.decision_function(inputs), dtype=np.float64)
        if given.ndim == 1 and count == 2:
            given = np.stack([np.zeros_like(given), given], axis=1)
        if given.shape == (len(inputs), count) and np.isfinite(given).all():
            return given
    predicted = np.searchsorted(estimator.classes_, estimator.predict(inputs))
    return np.asarray(np.eye(count)[predicted])


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _in_blocks(
    ask: Callable[[Any, Floats], Floats], estimator: Any, images: Images, features: str, scale: float
) -> Floats:
    """What an estimator says of images, some thousands at a time, with one thread and without warnings."""
    with _one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        starts = range(0, max(len(images), 1), _AT_ONCE)
        return np.concatenate(
            [ask(estimator, features_of(images[start : start + _AT_ONCE], features, scale)) for start in starts]
        )


def _temperature(estimator: Any, scores: Floats, labels: Labels, *, validated: bool) -> tuple[float, str]:
    """What scores are divided by to be the best logits, and the sentence about it."""
    known = np.isin(labels, estimator.classes_)
    spread = float(scores.std()) or 1.0
    fitted = Temperature.fit(scores[known] / spread, np.searchsorted(estimator.classes_, labels[known]))
    value = fitted.value * spread
    note = (
        f"{type(last_step(estimator)).__name__} gives scores and no probabilities: they are a softmax of the scores / "
        f"{number(value, 3)}, fitted on {len(labels):,} {'validation' if validated else 'training'} images"
    )
    if not validated:
        return value, f"{note}. On other images they are too sure."
    return value, f"{note}. Their loss on these images is a little too low."
