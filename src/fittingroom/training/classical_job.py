"""`ClassicalJob`: one training of a classifier of scikit-learn, from its data to the run folder.

There are no epochs, no steps, and nothing that training could continue from: each seed is fitted in one go, asked for
the validation images, and kept. Fitting runs in a thread of its own, because the loops of scikit-learn do not look for
signals: so Ctrl-C ends a training at once, and the terminal shows how long it has been fitting. Seeds are fitted one
after the other, and each that is done is a checkpoint.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fittingroom.classical.estimators import check_estimator, estimator_file
from fittingroom.data.dataset import Dataset
from fittingroom.engine.callbacks import StopRequest
from fittingroom.errors import Interrupted
from fittingroom.progress import Progress
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages
from fittingroom.runs.json_files import damage
from fittingroom.runs.layout import RunContents, write_run
from fittingroom.runs.live import LiveStream, ProgressOfBoth
from fittingroom.runs.outcomes import KeptOutcomes, Outcomes
from fittingroom.runs.record import Environment, PartResult, RunRecord, Seconds, now
from fittingroom.runs.unfinished import UnfinishedRun
from fittingroom.text import amount, word_list
from fittingroom.training.fitted_seed import ESTIMATOR_NAME, REMEMBERS, FittedSeed, fitted_on, model_of
from fittingroom.training.run_folder import RunFolder

Array = npt.NDArray[Any]

_log = logging.getLogger("fittingroom")

_SECONDS_BETWEEN_LOOKS = 0.1
_SETTINGS = ("name", "estimator", "features", "scale", "class_weight")
_PACKAGES = ("scikit-learn", "scipy", "skops", "threadpoolctl")


@dataclass(frozen=True, kw_only=True)
class ClassicalJob:
    """The training of a recipe with an `estimator`, ready to start.

    Args:
        recipe: the recipe.
        dataset: what to fit it on.
        seeds: one or more.
        folder: where it is kept.
        progress: is called as it proceeds.
        started: the `time.perf_counter()` at which the user's call began.
        file: the user's own Python file that the estimator comes from; None where it is scikit-learn's.
        trust: whether that file may be run.
    """

    recipe: Recipe
    dataset: Dataset
    seeds: Sequence[int]
    folder: RunFolder
    progress: Progress
    started: float
    file: RecordedFile | None = None
    trust: bool = False

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        dataset: Dataset,
        seeds: Sequence[int],
        folder: RunFolder,
        progress: Progress,
        started: float,
        *,
        trust: bool,
    ) -> ClassicalJob:
        """The training, which is refused here where its estimator may not be run, or does not exist.

        Args:
            recipe: as for the class, like those that follow.
            dataset: what to fit it on.
            seeds: one or more.
            folder: where it is kept.
            progress: is called as it proceeds.
            started: when the user's call began.
            trust: whether code of the user's own may be run.

        Raises:
            InputError: the estimator is refused.
        """
        check_estimator(recipe, trust=trust)
        return cls(
            recipe=recipe,
            dataset=dataset,
            seeds=seeds,
            folder=folder,
            progress=progress,
            started=started,
            file=estimator_file(recipe),
            trust=trust,
        )

    def run(self) -> Path:
        """Fits, and writes the run.

        Returns:
            The run's folder.

        Raises:
            InputError: the estimator may not be run, or cannot be fitted on these images.
            Interrupted: Ctrl-C or SIGTERM; the seeds that were fitted by then are kept.
            StorageError: a file cannot be written.
        """
        for note in self._notes:
            _log.warning(note)
        listeners = self.progress.for_seeds(self.seeds)
        self.progress.stage("fitting")
        with self._begin() as unfinished, StopRequest().listening() as request:
            ready, fitted = time.perf_counter(), list[FittedSeed]()
            try:
                for number, seed in enumerate(self.seeds):
                    done = self._earlier(unfinished, seed) or self._repeated(fitted, seed)
                    if done is None:
                        told = ProgressOfBoth(listeners[number], self._live.seed(seed))
                        done = self._fitted(seed, told, request)
                    fitted.append(done)
                    self._warn(done.notes)
                    self._tell(done, listeners[number])
                    if len(self.seeds) > 1:
                        unfinished.settle()
                        unfinished.checkpoints(seed).write(done.checkpoint())
            except Interrupted as interruption:
                if not fitted:
                    raise
                path = self._write(unfinished, fitted, ready, resumable=True)
                kept = f"{amount(len(fitted), 'seed')} of {len(self.seeds)} are kept in {path}"
                raise Interrupted(f"{interruption}; {kept}. {unfinished.how_to_resume()}", path) from None
            return self._write(unfinished, fitted, ready, resumable=False)

    @property
    def _settings(self) -> dict[str, Any]:
        """The recipe as the run records it: the settings of networks have no part in it."""
        return {key: value for key, value in self.recipe.to_dict().items() if key in _SETTINGS}

    @property
    def _notes(self) -> tuple[str, ...]:
        if self.folder.stopped is None:
            return self.dataset.notes
        rest = (
            "resumed with the seeds that were not done" if len(self.seeds) > 1 else "started again from the beginning"
        )
        return (*self.dataset.notes, f"Fitting was stopped, and {rest}.")

    @cached_property
    def _live(self) -> LiveStream:
        live = LiveStream(self.seeds)
        for note in self._notes:
            live.tell("note", text=note)
        return live

    @contextmanager
    def _begin(self) -> Iterator[UnfinishedRun]:
        """The folder, locked, and what is told in it while fitting lasts."""
        recipe, data = self._settings, DataRecord.of(self.dataset)
        model = model_of({}, {})
        with self.folder.begin(recipe, data, model, tuple(self.seeds), self.file) as unfinished:
            validation = self.dataset.validation
            self._live.open(unfinished.path, None if validation is None else validation.labels)
            if self.folder.begun is not None:
                self.folder.begun(unfinished.path, recipe, data, dict.fromkeys(self.seeds, ()))
            try:
                yield unfinished
            except BaseException as error:
                self._live.close(error)
                raise
            self._live.close(None)

    def _earlier(self, unfinished: UnfinishedRun, seed: int) -> FittedSeed | None:
        """The seed where a part of the training that was stopped has fitted it; None where not."""
        checkpoints = unfinished.checkpoints(seed)
        if self.folder.stopped is None or not checkpoints.exist():
            return None
        with damage(unfinished.folder(seed), "its checkpoint"):
            return FittedSeed.of_checkpoint(seed, checkpoints.read()[0])

    def _repeated(self, fitted: Sequence[FittedSeed], seed: int) -> FittedSeed | None:
        """The seed where it cannot differ from those before, because nothing in the estimator is random; else None."""
        if not fitted or fitted[0].estimator["uses_seed"] or ESTIMATOR_NAME not in fitted[0].arrays:
            return None
        return replace(fitted[0], seed=seed)

    def _fitted(self, seed: int, progress: Progress, request: StopRequest) -> FittedSeed:
        """Fits a seed in a thread, and looks for Ctrl-C meanwhile.

        Raises:
            Interrupted: there was one. The thread then ends with the process, or when the fit is done.
        """
        work = _Work(partial(self._fit, seed))
        which = "" if len(self.seeds) == 1 else f"seed {seed}: "
        shown, began = -1, time.perf_counter()
        while not work.is_done(_SECONDS_BETWEEN_LOOKS):
            if request:
                raise Interrupted(
                    f"{request.reason} while fitting, which has no epochs to continue from. "
                    "Train again from the beginning",
                    None,
                )
            if (seconds := int(time.perf_counter() - began)) > shown:
                shown = seconds
                progress.stage(f"{which}fitting {self.recipe.name}" + (f", {seconds} s" if seconds else ""))
        return work.result()

    def _fit(self, seed: int) -> FittedSeed:
        started = time.perf_counter()
        fitted = fitted_on(self.dataset, self.recipe, seed, trust=self.trust)
        return FittedSeed.of(fitted, seed, self.dataset, self.recipe, started)

    def _warn(self, notes: Sequence[str]) -> None:
        """Says what should be known of a seed, once where it is the same of all."""
        for note in notes:
            if note != REMEMBERS and note not in self._said:
                self._said.add(note)
                _log.warning(note)
                self._live.tell("note", text=note)

    @cached_property
    def _said(self) -> set[str]:
        return set()

    def _tell(self, done: FittedSeed, listener: Progress) -> None:
        """Tells those who listen what came of a seed."""
        told, outcomes = ProgressOfBoth(listener, self._live.seed(done.seed)), self._kept(done)
        if outcomes is not None:
            told.validated(0, outcomes.predicted, outcomes.loss)
        told.fitted(self._logs(done), done.seconds)
        told.finish(None)

    def _kept(self, done: FittedSeed) -> KeptOutcomes | None:
        if done.logs is None or self.dataset.validation is None:
            return None
        return KeptOutcomes.of_log_probabilities(done.logs, self.dataset.validation.labels, epoch=0)

    def _logs(self, done: FittedSeed) -> dict[str, float]:
        """The only row of the history."""
        kept = self._kept(done)
        found = {"loss": done.train.loss, "accuracy": done.train.accuracy}
        if kept is not None:
            found |= {"val_loss": kept.mean_loss, "val_accuracy": kept.accuracy}
        return {name: value for name, value in found.items() if value is not None}

    def _write(self, unfinished: UnfinishedRun, fitted: list[FittedSeed], ready: float, *, resumable: bool) -> Path:
        """Writes the run, and gives its folder."""
        setup = ready - self.started
        same = _same_answers(fitted, self.seeds)
        if same is not None:
            _log.warning(same)
        contents = [
            self._contents(one, Seconds(setup, 0.0, one.seconds), () if same is None else (same,)) for one in fitted
        ]
        # A seed that was not fitted again took no time; the clock tells how long all took together.
        seconds = Seconds(setup, 0.0, time.perf_counter() - ready)
        write = partial(write_run, contents=contents, seeds=self.seeds, seconds=seconds)
        path = unfinished.finish(write, resumable=resumable)
        assert path is not None  # something is written
        return path

    def _contents(self, one: FittedSeed, seconds: Seconds, notes: tuple[str, ...]) -> RunContents:
        validation, kept = self.dataset.validation, self._kept(one)
        result = None
        if kept is not None:
            result = PartResult.held_out(kept.mean_loss, int(kept.right.sum()), len(kept.labels))
        record = RunRecord(
            created=now(),
            status="finished",
            reason=None,
            recipe=self._settings,
            data=DataRecord.of(self.dataset),
            seed=one.seed,
            epochs=1,
            environment=_environment(),
            seconds=seconds,
            train=one.train,
            validation=result,
            notes=(*self._notes, *one.notes, *notes),
            model_file=self.file,
        )
        return RunContents(
            record=record,
            history=History([(0, self._logs(one))]),
            weights=one.arrays,
            model=one.model,
            outcomes=None if kept is None else Outcomes.of_single_epoch(kept),
            files=() if validation is None else validation.files,
            images=self._images,
        )

    @cached_property
    def _images(self) -> RunImages:
        return RunImages.of(self.dataset)


class _Work:
    """A call in a thread of its own, which is left to itself where nobody waits for it any more."""

    def __init__(self, call: Callable[[], FittedSeed]) -> None:
        self._call = call
        self._found: FittedSeed | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fitting", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._call()
        except BaseException as error:  # raised where it is waited for
            self._error = error

    def is_done(self, seconds: float) -> bool:
        """Whether it is done, after waiting for so long at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> FittedSeed:
        """What it returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        assert self._found is not None  # it is done
        return self._found


def _same_answers(fitted: Sequence[FittedSeed], seeds: Sequence[int]) -> str | None:
    """The note on several seeds that all answer alike; None where they differ, or where it cannot be told."""
    if len(fitted) < 2:
        return None
    first, others = fitted[0], fitted[1:]
    if first.logs is None:
        same = all(_bits(one.arrays) == _bits(first.arrays) for one in others)
    else:
        same = all(one.logs is not None and one.logs.tobytes() == first.logs.tobytes() for one in others)
    if not same:
        return None
    return (
        f"The seeds {word_list([str(seed) for seed in seeds][:20])} gave the same classifier: nothing in it is random. "
        "So a spread over seeds of 0 says only that; how the result varies with other training images is not measured."
    )


def _bits(arrays: dict[str, Array]) -> list[tuple[str, bytes]]:
    return [(name, array.tobytes()) for name, array in arrays.items()]


def _environment() -> Environment:
    """Software and machine of this process. JAX and Keras have no part in the result.

    The linear algebra library has other programs for each kind of processor, and OPENBLAS_CORETYPE chooses among them:
    with others, the last digits differ.
    """
    from threadpoolctl import threadpool_info

    found = Environment.current("cpu", 1, 1)
    versions = {name: one for name, one in found.versions.items() if name not in {"jax", "jaxlib", "keras"}}
    versions |= {name: version(name) for name in _PACKAGES}
    for library in threadpool_info():
        if library["user_api"] == "blas":
            name = f"{library['internal_api']} {library['version']}"
            versions[name] = f"programs for {library.get('architecture', 'any processor')}"
    return replace(found, versions=versions)
