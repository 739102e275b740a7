"""Trajectories made of logits, for tests of what is computed from them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from fittingroom.evaluation.image_lists import LIMIT, ImageLists, _ImageList
from fittingroom.evaluation.trajectories import Trajectories


def trajectories_of(
    logits: npt.ArrayLike, labels: npt.ArrayLike, epochs: tuple[int, ...] | None = None, *, keep_all: bool = True
) -> Trajectories:
    """What a run would store of logits `(epochs, images, classes)`; without `keep_all` only the true class's."""
    values, truth = np.asarray(logits, np.float64), np.asarray(labels, np.int32)
    values = values - values.max(axis=2, keepdims=True)
    logs = values - np.log(np.exp(values).sum(axis=2, keepdims=True))
    true = np.take_along_axis(logs, truth[None, :, None], axis=2)[..., 0]
    with np.errstate(over="ignore"):  # below -65,504 float16 has -inf, as in a run
        kept = logs.astype(np.float16) if keep_all else np.zeros((*true.shape, 0), np.float16)
    return Trajectories(
        loss=np.abs(true).astype(np.float32),
        predicted=logs.argmax(axis=2).astype(np.uint8),
        probability=np.exp(true).astype(np.float32),
        labels=truth,
        classes=tuple(f"class {index}" for index in range(logs.shape[2])),
        epochs=tuple(range(1, len(logs) + 1)) if epochs is None else epochs,
        log_probabilities=kept,
    )


def of_right(right: npt.ArrayLike, losses: npt.ArrayLike | None = None) -> Trajectories:
    """Two classes, all images of class 0, right or wrong as given, `(epochs, images)`; loss 0.1 or 2 unless given."""
    flags = np.asarray(right, np.bool_)
    loss = np.where(flags, 0.1, 2.0) if losses is None else np.asarray(losses)
    return Trajectories(
        loss=loss.astype(np.float32),
        predicted=(~flags).astype(np.uint8),
        probability=np.exp(-loss).astype(np.float32),
        labels=np.zeros(flags.shape[1], np.int32),
        classes=("right", "wrong"),
        epochs=tuple(range(1, len(flags) + 1)),
    )


@st.composite
def any_trajectories(draw: st.DrawFn) -> Trajectories:
    """All kinds: a single epoch, image or class; all right, all wrong; constant logits, probabilities of 0 and 1."""
    epochs, images, classes = draw(st.integers(1, 5)), draw(st.integers(1, 30)), draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.0, 1e-4, 1.0, 10.0, 1e3, 1e6]))
    logits = random.normal(size=(epochs, images, classes)) * scale
    truth = draw(st.sampled_from(["any", "one class", "right at the end", "wrong at the end"]))
    labels = {
        "any": random.integers(classes, size=images),
        "one class": np.zeros(images),
        "right at the end": logits[-1].argmax(axis=1),
        "wrong at the end": logits[-1].argmin(axis=1),
    }[truth]
    return trajectories_of(logits, labels)


def honest_logits(random: np.random.Generator, images: int, classes: int = 10) -> tuple[Any, Any]:
    """Logits `(images, classes)` whose softmax is the true distribution of the labels `(images,)`, which are drawn."""
    logits = 2 * random.normal(size=(images, classes))
    labels = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return logits, labels


def is_json(facts: Any) -> bool:
    """Whether it is plain JSON, without NaN or infinity."""
    return bool(json.loads(json.dumps(facts, allow_nan=False)) is not None)


def all_lists(trajectories: Trajectories, start: int, end: int, limit: int = LIMIT) -> tuple[_ImageList, ...]:
    """Every list of images, about epoch `end` and the way there from epoch `start`."""
    lists = ImageLists(trajectories, limit)
    return (
        lists.largest_loss(end),
        lists.carried_rise(start, end),
        lists.forgotten(end),
        lists.never_learned(end),
        lists.confident_mistakes(end),
        lists.ever_more_confident(trajectories.epochs[0], end),
    )
