"""What models say of images that they were not trained on: small networks, each trained on all folds but one.

A network that has seen an image with its label says little about that label. So the images are cut into folds, each
network leaves one out, and says what it makes of those. Two kinds of network look at different things: one at pixels
and HOG features, one at HOG features alone; with a backbone, both look at its features. Their probabilities are
averaged.

The networks are those of recipes, and train in the engine's compiled programs. A program takes the order in which
images come, so that a fold is left out by not naming its images; nothing is copied or compiled for a fold. On a CPU
every core trains a network of its own.

Source: Northcutt, Jiang, Chuang, Confident Learning, JAIR 2021 (arXiv 1911.00068), for labels judged out of sample.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.out_of_distribution import hog_features
from fittingroom.data.values import Images, Labels
from fittingroom.recipes.recipe import Recipe
from fittingroom.seeds import generator

if TYPE_CHECKING:
    from fittingroom.audits.check import AuditProgress

FOLDS = 5

Logs = npt.NDArray[np.float32]

_AT_ONCE = 500
_LARGEST_SIDE = 32  # pixels; larger images are brought to at most so many, each a mean of a block
_FEWEST_STEPS, _STEPS_OF_FEW, _FEWEST_EPOCHS, _MOST_EPOCHS = 1_600, 800, 6, 40
_LARGEST_BATCH, _SMALLEST_BATCH = 128, 16
_IMAGES_PER_STEP_SIZE = 150  # a batch has about so many-th of the images
_FEW = 5_000  # images; networks are half as wide for fewer, and train for fewer steps
_LEAST = 1e-7  # the smallest probability


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """What one kind of network looks at.

    Args:
        values: uint8 of 0 to 255, or float16; `(n, length, 1)`.
        scale: what the network divides them by.
        hidden: the sizes of its hidden layers.
        dropout: the share of their outputs that is dropped while it trains.
    """

    values: npt.NDArray[Any]
    scale: float
    hidden: tuple[int, ...]
    dropout: float = 0.0


def inputs_of_images(images: Any, scale: float) -> tuple[NetworkInput, ...]:
    """The two kinds of network for images: pixels with HOG features, and HOG features alone.

    Args:
        images: uint8 `(n, height, width)` or `(n, height, width, 3)`, an array or `StoredImages`.
        scale: what their values are divided by to lie in 0 to 1.
    """
    starts = range(0, len(images), _AT_ONCE)
    hog = np.concatenate([hog_features(images[start : start + _AT_ONCE], scale) for start in starts])
    pixels = np.concatenate([_small(images[start : start + _AT_ONCE], scale) for start in starts])
    both = np.concatenate([pixels, hog], axis=1)
    return (
        NetworkInput(both[:, :, None], 255.0, (256,)),
        NetworkInput(hog[:, :, None], 255.0, (512,), 0.3),
    )


def inputs_of_features(features: npt.NDArray[Any]) -> tuple[NetworkInput, ...]:
    """The networks for a backbone's features.

    Args:
        features: `(n, channels)`, or maps `(n, height, width, channels)`, whose places are averaged.
    """
    pooled = features.astype(np.float32).reshape(len(features), -1, features.shape[-1]).mean(axis=1)
    pooled = (pooled - pooled.mean(axis=0)) / np.maximum(pooled.std(axis=0), 1e-3)
    values = np.clip(pooled, -10, 10).astype(np.float16)[:, :, None]
    return NetworkInput(values, 1.0, (), 0.0), NetworkInput(values, 1.0, (256,), 0.5)


def _small(images: Images, scale: float) -> npt.NDArray[np.uint8]:
    """Images of at most 32 by 32 pixels in 0 to 255, in rows."""
    values = np.asarray(images, np.float32) * np.float32(255 / scale)
    height, width = values.shape[1:3]
    down, right = (max(-(-side // _LARGEST_SIDE), 1) for side in (height, width))
    height, width = height // down, width // right
    blocks = values[:, : height * down, : width * right].reshape(len(values), height, down, width, right, -1)
    means = np.rint(np.clip(blocks.mean(axis=(2, 4)), 0, 255))
    return np.asarray(means.reshape(len(values), -1), np.uint8)


@dataclass(frozen=True, eq=False)
class CrossFitting:
    """Small networks that say of each image what they make of it without having seen it.

    Args:
        inputs: what each kind of network looks at, all for the same images.
        classes: how many there are.
        progress: told how many networks are trained.
    """

    inputs: tuple[NetworkInput, ...]
    classes: int
    progress: AuditProgress
    _programs: dict[tuple[int, int], Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.inputs[0].values)

    def log_probabilities(self, labels: Labels, *, seed: int, what: str, repeats: int = 1) -> Logs:
        """Logarithms of the class probabilities, float32 `(n, classes)`: the mean over kinds of network and repeats.

        Args:
            labels: to train on, `(n,)`.
            seed: of folds, weights and order.
            what: is being done, for the progress.
            repeats: how many times the images are cut into folds.
        """
        jobs = [
            _Network(kind, seed + repeat, fold)
            for repeat, kind, fold in itertools.product(range(repeats), range(len(self.inputs)), range(FOLDS))
        ]
        folds = {seed + repeat: stratified_folds(labels, FOLDS, seed + repeat) for repeat in range(repeats)}
        total = np.zeros((len(self), self.classes), np.float32)
        lock = threading.Lock()

        def add(places: npt.NDArray[np.intp], logs: Logs) -> None:
            with lock:
                total[places] += np.exp(logs)

        self._train(jobs, labels, folds, add, what)
        return np.log(np.maximum(total / (repeats * len(self.inputs)), _LEAST))

    def _train(
        self,
        jobs: Sequence[_Network],
        labels: Labels,
        folds: dict[int, npt.NDArray[np.int64]],
        add: Callable[[npt.NDArray[np.intp], Logs], None],
        what: str,
    ) -> None:
        """Trains all networks, a lane for each device; Ctrl-C ends them within an epoch."""
        from fittingroom.engine.devices import prepare_jax

        prepare_jax()
        import jax

        devices = jax.local_devices()[: len(jobs)]
        waiting: queue.SimpleQueue[_Network] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        stop, done = threading.Event(), itertools.count(1)
        finished = [0]

        def in_lane(lane: int) -> None:
            with jax.default_device(devices[lane]):
                while not stop.is_set():
                    try:
                        job = waiting.get_nowait()
                    except queue.Empty:
                        return
                    left_out = folds[job.seed] == job.fold
                    found = self._network(job, lane, devices[lane], labels, left_out, stop)
                    if found is None:
                        return
                    add(np.flatnonzero(left_out), found)
                    finished[0] = next(done)

        for kind in range(len(self.inputs)):
            self._program(kind, 0)  # traced once, before several threads would each do so
        self.progress(what, 0, len(jobs))
        with ThreadPoolExecutor(len(devices)) as pool:
            lanes = [pool.submit(in_lane, lane) for lane in range(len(devices))]
            try:
                while wait(lanes, timeout=0.5).not_done:
                    self.progress(what, finished[0], len(jobs))
            finally:
                stop.set()
        for lane in lanes:
            lane.result()
        self.progress(what, len(jobs), len(jobs))

    def _program(self, kind: int, lane: int) -> tuple[Any, Any, Any]:
        """Model, blueprint and programs of a kind of network, compiled once for each lane."""
        from fittingroom.engine.programs import Programs
        from fittingroom.engine.recipe_programs import RecipeModel

        if (kind, lane) not in self._programs:
            one, count = self.inputs[kind], self._trained_on
            batch = self._batch
            few = len(self) < _FEW
            steps = _STEPS_OF_FEW if few else _FEWEST_STEPS
            epochs = min(max(-(-steps * batch // count), _FEWEST_EPOCHS), _MOST_EPOCHS)
            recipe = Recipe(
                name="cross-fitting",
                hidden=tuple(size // 2 for size in one.hidden) if few else one.hidden,
                dropout=one.dropout,
                epochs=epochs,
                batch_size=batch,
                learning_rate=0.002,
                schedule="cosine",
            )
            model = RecipeModel(recipe, one.values.shape[1:], self.classes, one.scale, count)
            source = model.programs
            self._programs[kind, lane] = (model, source.blueprint(), Programs(source))
        found: tuple[Any, Any, Any] = self._programs[kind, lane]
        return found

    @property
    def _trained_on(self) -> int:
        """How many images every network is trained on: as many as are left of the largest fold."""
        return len(self) - -(-len(self) // FOLDS)

    @property
    def _batch(self) -> int:
        """Images in a step: a power of two, fewer where there are few images, so that there are steps enough."""
        wanted = 1 << max((len(self) // _IMAGES_PER_STEP_SIZE).bit_length() - 1, 0)
        return max(min(wanted, _LARGEST_BATCH), min(_SMALLEST_BATCH, self._trained_on))

    def _network(
        self,
        job: _Network,
        lane: int,
        device: Any,
        labels: Labels,
        left_out: npt.NDArray[np.bool_],
        stop: threading.Event,
    ) -> Logs | None:
        """What a network makes of the fold that it leaves out; None where it was stopped."""
        import jax

        from fittingroom.engine.epoch import Examples

        model, blueprint, programs = self._program(job.kind, lane)
        values = self.inputs[job.kind].values
        number = (job.seed * len(self.inputs) + job.kind) * FOLDS + job.fold
        state = jax.device_put(model.initial_state(blueprint, number), device)
        examples = Examples(jax.device_put(values, device), jax.device_put(labels.astype(np.int32), device))
        seen, steps = np.flatnonzero(~left_out), self._trained_on // self._batch
        order = np.zeros(len(self), np.int32)
        for epoch in range(model.recipe.epochs):
            if stop.is_set():
                return None
            drawn = generator(number, "shuffle", epoch).permutation(seen)[: len(order)]
            order[: len(drawn)] = drawn
            state, logs = programs.train(state, examples, order, 0, steps)
            jax.block_until_ready(logs)
        places = np.flatnonzero(left_out)
        parts = [
            programs.log_probabilities(state, values[places[start : start + _AT_ONCE]])
            for start in range(0, len(places), _AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.classes), np.float32)


@dataclass(frozen=True)
class _Network:
    """One network: of which kind, in which cut, and the fold that it leaves out."""

    kind: int
    seed: int
    fold: int


def stratified_folds(labels: Labels, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each image, `(n,)`: of about one size, with a like share of every class in each."""
    random, found, start = generator(seed, "split", folds), np.empty(len(labels), np.int64), 0
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        found[own] = (np.arange(len(own)) + start) % folds
        start += len(own)
    return found
