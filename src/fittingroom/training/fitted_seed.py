"""`FittedSeed`: what a run keeps of a fitted classifier, and how a stored one may be fitted again."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.classical.estimators import estimator_file, needs_trust
from fittingroom.classical.fitting import FittedEstimator, fit_estimator
from fittingroom.data.dataset import Dataset
from fittingroom.errors import ModelError, RunError
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.checkpoints import Checkpoint
from fittingroom.runs.record import PartResult

Array = npt.NDArray[Any]

MOST_SCORED = 200
"""Training images that a fitted classifier is scored on: enough to see what it knows by heart, and quickly asked."""

REMEMBERS = (
    "It is not scored on its training images: it remembers them all, and each would be its own nearest neighbour."
)
"""The note on a classifier whose neighbours are its training images."""

ESTIMATOR_NAME = "estimator.skops"
"""The array of `weights.safetensors` with the bytes of a fitted classifier, uint8 `(bytes,)`."""

_ANSWERS_NAME = "answers.sha256"  # in its place where it cannot be kept: a replay is compared by it


@dataclass(frozen=True, eq=False)
class FittedSeed:
    """What came of one seed.

    Args:
        seed: which one.
        arrays: what `weights.safetensors` has of it: the bytes of the fitted estimator; or, where it cannot be kept, a
            hash of what it answered.
        estimator: what `model.json` says of it, as plain JSON.
        train: its result on some of the training images.
        logs: logarithms of the probabilities of each validation image, float32 `(n, classes)`; None without validation.
        notes: what should be known of it, one sentence each.
        seconds: how long fitting and asking took.
    """

    seed: int
    arrays: dict[str, Array]
    estimator: dict[str, Any]
    train: PartResult
    logs: Array | None
    notes: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, fitted: FittedEstimator, seed: int, dataset: Dataset, recipe: Recipe, started: float) -> FittedSeed:
        """What is kept of a fitted estimator.

        Args:
            fitted: the estimator.
            seed: its seed.
            dataset: what it was fitted on.
            recipe: how.
            started: the `time.perf_counter()` at which fitting began.

        Raises:
            ModelError: it has no answer to some images.
        """
        train, seen = PartResult(None, None, len(dataset.train)), None
        if not fitted.remembers_images:
            rows = np.linspace(0, len(dataset.train) - 1, min(len(dataset.train), MOST_SCORED)).astype(np.int64)
            seen = _answers(fitted, dataset.train.images[rows])
            own = seen[np.arange(len(rows)), labels := dataset.train.labels[rows]]
            right = float((seen.argmax(axis=1) == labels).mean())
            train = PartResult(float(-own.mean(dtype=np.float64)), right, len(rows))
        logs = None if dataset.validation is None else _answers(fitted, dataset.validation.images)
        content = fitted.to_bytes()
        if content is None:
            digest = hashlib.sha256(f"{recipe.digest()} {dataset.fingerprint} {seed}".encode())
            for answers in (seen, logs):
                digest.update(b"" if answers is None else answers.tobytes())
            arrays = {_ANSWERS_NAME: np.frombuffer(digest.digest(), np.uint8)}
        else:
            arrays = {ESTIMATOR_NAME: np.frombuffer(content, np.uint8)}
        estimator = {
            "title": fitted.title,
            "uses_seed": fitted.uses_seed,
            "temperature": fitted.temperature,
            "why_not_kept": fitted.why_not_kept if content is None else None,
        }
        notes = list(fitted.notes)
        if fitted.remembers_images:
            notes.append(REMEMBERS)
        if logs is not None and dataset.validation is not None:
            notes += filter(None, [fitted.zeros_note(logs, dataset.validation.labels)])
        if content is None:
            notes.append(
                f"The fitted classifier is not kept: {str(fitted.why_not_kept).rstrip('.')}. Its outcomes are; "
                "`fittingroom replay` fits it again, and so does whatever asks it for an answer."
            )
        return cls(seed, arrays, estimator, train, logs, tuple(notes), time.perf_counter() - started)

    @property
    def model(self) -> dict[str, Any]:
        """What `model.json` says: the array, and what it is. Keras has no description of it."""
        return model_of(self.arrays, self.estimator)

    def checkpoint(self) -> Checkpoint:
        """The same as what is written while other seeds are fitted."""
        train = [self.train.loss, self.train.accuracy, self.train.count]
        facts = {"estimator": self.estimator, "train": train, "notes": list(self.notes), "seconds": self.seconds}
        logs = {} if self.logs is None else {"validation": self.logs}
        return Checkpoint(1, 0, {**facts, "arrays": list(self.arrays)}, {**self.arrays, **logs}, {})

    @classmethod
    def of_checkpoint(cls, seed: int, stored: Checkpoint) -> FittedSeed:
        """The seed that `checkpoint` wrote; raises whatever a damaged one makes it raise."""
        facts, arrays = stored.facts, stored.arrays
        return cls(
            seed,
            {name: arrays[name] for name in facts["arrays"]},
            dict(facts["estimator"]),
            PartResult(*facts["train"]),
            arrays.get("validation"),
            tuple(facts["notes"]),
            float(facts["seconds"]),
        )


def model_of(arrays: dict[str, Array], estimator: dict[str, Any]) -> dict[str, Any]:
    """What `model.json` says of a classifier: its arrays, and what it is. Keras has no description of it."""
    each = [{"name": name, "shape": list(value.shape), "dtype": str(value.dtype)} for name, value in arrays.items()]
    description = {"format": 1, "keras": None, "reason": "it is a classifier of scikit-learn", "estimator": estimator}
    return {"trainable": each, "non_trainable": [], "optimizer": [], "metrics": [], "description": description}


def _answers(fitted: FittedEstimator, images: Any) -> Array:
    """Logarithms of probabilities of some images, as all that is kept is computed from."""
    logs = fitted.log_probabilities(np.asarray(images))
    if bad := int(np.isnan(logs).any(axis=1).sum()):
        raise ModelError(
            f"{fitted.title} gives NaN for {bad:,} of {len(logs):,} images, so it has no answer to them. Look for "
            "classes without variance, or scale the images."
        )
    return logs


def fitted_on(dataset: Dataset, recipe: Recipe, seed: int, *, trust: bool) -> FittedEstimator:
    """The classifier of a recipe, fitted on the training part of a dataset.

    Args:
        dataset: the dataset; its validation part gives the temperature of scores that are no probabilities.
        recipe: with an `estimator`.
        seed: of all that is random in it.
        trust: whether code of the user's own may be run.

    Raises:
        InputError: it may not be run, or cannot be fitted on these images.
    """
    held_out = dataset.validation
    return fit_estimator(
        recipe,
        np.asarray(dataset.train.images),
        dataset.train.labels,
        len(dataset.classes),
        seed,
        scale=dataset.scale,
        trust=trust,
        validation=None if held_out is None else (np.asarray(held_out.images), held_out.labels),
    )


def to_fit_again(recipe: Recipe, recorded: RecordedFile | None, *, trust: bool) -> Recipe:
    """The recipe of a stored run, with an estimator that may be fitted again.

    Args:
        recipe: as the run records it.
        recorded: the Python file that its estimator came from; None where it is scikit-learn's.
        trust: whether the user says that this file may be run.

    Returns:
        The recipe; where its module is not found any more, with the recorded file in its place.

    Raises:
        RunError: it is code that is not trusted, is not known, or has changed. Nothing of it was run.
    """
    if not needs_trust(recipe):
        return recipe
    if recorded is None:
        raise RunError(
            f"The run's classifier is code, {recipe.estimator!r}, but the run does not record what was in its file, so "
            "it is not run again. Train again with fittingroom.train."
        )
    what = f"code in {recorded.path} ({recorded.function}, SHA-256 {recorded.sha256})"
    if not trust:
        raise RunError(
            f"The run's classifier is {what}, and nothing of it was run. If you know this file, --trust runs it again "
            "(in Python: trust=True)."
        )
    here = replace(recipe, estimator=f"{recorded.path}:{recorded.function}")
    for each in (recipe, here):
        found = estimator_file(each)
        if found is not None and found.sha256 == recorded.sha256:
            return each
    raise RunError(
        f"The run's classifier is {what}, but that file is gone or has changed, and nothing of it was run. Bring the "
        "old file back, or train again."
    )
