"""`Job`: one training, from its data and its models to the run folder. `train` and `fit` differ in how it is made."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.batches import Batches
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.callbacks import Callback, StopRequest
from fittingroom.engine.devices import Sharing
from fittingroom.engine.epoch import Examples
from fittingroom.engine.lane_choice import faster_lanes
from fittingroom.engine.lanes import Lane, StartingPoint, train_seeds
from fittingroom.engine.programs import Programs, ProgramSource, TracedPrograms
from fittingroom.engine.snapshots import Snapshot, Training, TrainingPlan
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.errors import InputError
from fittingroom.progress import Progress
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.history import History
from fittingroom.runs.images import RunImages
from fittingroom.runs.layout import RunContents
from fittingroom.runs.live import LiveStream, ProgressOfBoth
from fittingroom.runs.outcomes import KeptOutcomes, Outcomes
from fittingroom.runs.record import PartResult, RunRecord, Seconds, now
from fittingroom.runs.unfinished import UnfinishedRun
from fittingroom.training.run_folder import RunFolder

if TYPE_CHECKING:
    from fittingroom.engine.batch_steps import BatchPrograms  # imports Keras

Data: TypeAlias = Arrays | Batches
"""Images and labels: as arrays, or as an iterable of batches."""

DIVERGED_MEND = "A smaller learning rate, or images scaled to 0 to 1, usually help."
_SAME_LOSS = 1e-4  # relative: so close are two sums of the same cross-entropies in float32, in another order

# Notes go through Python's logging, so that a notebook shows them and a program can silence them.
_log = logging.getLogger("fittingroom")


@dataclass(frozen=True)
class SeedJob:
    """What is trained with one seed.

    Args:
        plan: epochs, batches, and the seed.
        blueprint: the model's variables.
        state: their values before the first step.
        callbacks: called around epochs and batches.
        notes: what the user should know of it, one sentence each.
        progress: is called as this seed's training proceeds.
        resume: where a stopped training continues; None for the beginning.
        if_diverged: what to try if the loss becomes NaN or infinite, in a sentence.
        batchwise: what single batches are put through, where they must be.
    """

    plan: TrainingPlan
    blueprint: Blueprint
    state: State
    callbacks: Sequence[Callback]
    notes: tuple[str, ...]
    progress: Progress
    resume: Snapshot | None = None
    if_diverged: str = DIVERGED_MEND
    batchwise: BatchPrograms | None = None

    @property
    def seed(self) -> int:
        """The seed."""
        return self.plan.seed

    @property
    def seconds_before(self) -> float:
        """How long the part of the training took that is not done again."""
        if self.resume is None:
            return 0.0
        return sum(epoch.seconds for epoch in self.resume.epochs) + self.resume.seconds


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training that is ready to start.

    Args:
        recipe: as the run records it.
        data: what the run records of its data.
        dataset: the dataset; None for plain arrays.
        train: the training images and labels.
        validation: the validation images and labels; None without any.
        seeds: what is trained with each seed; at least one.
        source: gives the programs that train; called for several seeds, and where `whole` is None.
        traced: gives the same programs, traced in this process; called for several seeds.
        whole: the programs that train a single seed, where an earlier call has compiled them.
        views: how many views of each image predicting averages over; the kept weights are then validated so too.
        answered: the validation images as the program that predicts takes them, where that differs.
        begins: called when all is compiled, with the trainer and the state of a seed, and how many train side by side.
        folder: where it is kept.
        progress: is called for all seeds together.
        started: the `time.perf_counter()` at which the user's call began.
        model_file: the Python file that the model came from; None where it came from none.
    """

    recipe: Mapping[str, Any]
    data: DataRecord
    dataset: Dataset | None
    train: Data
    validation: Data | None
    seeds: Sequence[SeedJob]
    source: Callable[[], ProgramSource]
    traced: Callable[[], TracedPrograms]
    whole: Programs | None = None
    views: int = 1
    answered: np.ndarray[Any, Any] | None = None
    begins: Callable[[Trainer, State, int], None] = lambda *_: None
    folder: RunFolder
    progress: Progress
    started: float
    model_file: RecordedFile | None = None

    def run(self) -> Path | RunContents:
        """Compiles, trains, and writes the run.

        Returns:
            The run's folder; what it would hold, where the run stays in memory.

        Raises:
            Interrupted, DivergedError, InputError, StorageError: as `RunFolder.keep` says.
        """
        for note in dict.fromkeys(note for seed in self.seeds for note in seed.notes):
            _log.warning(note)
        self.progress.stage("compiling")
        return self._run_alone() if len(self.seeds) == 1 else self._run_together()

    def after(self, training: Training) -> None:
        """Called with the training of a single seed when the run is written."""

    def _run_alone(self) -> Path | RunContents:
        """One seed, on all devices."""
        (seed,) = self.seeds
        programs = self.whole or Programs(self.source().on(Sharing.available()))
        trainer = self._trainer(seed, programs, *self._examples())
        request = None
        if jax.process_count() > 1:
            from fittingroom.engine.hosts import AgreedStop

            request = AgreedStop(programs)
        # The folder is there before the long compilation of a large model, so that it can be seen.
        with self._in_memory() if self.folder.why_no_folder else self._begin() as unfinished:
            trainer.compile(seed.state)
            self.begins(trainer, seed.state, 1)
            ready = time.perf_counter()
            save = None if unfinished is None else self.folder.saver(unfinished, seed.seed)
            with nullcontext() if request is None else request.listening():
                training = trainer.train(seed.state, request, seed.resume, save)
            train_seconds = time.perf_counter() - ready + seed.seconds_before
            compile_seconds = programs.compile_seconds + (seed.batchwise.compile_seconds if seed.batchwise else 0.0)
            self._validate(trainer, programs, training)
            seconds = Seconds(ready - self.started - compile_seconds, compile_seconds, train_seconds)
            kept = self._kept(unfinished, [training], [seconds], seconds)
        programs.forget()
        self.after(training)
        return kept

    def _run_together(self) -> Path | RunContents:
        """Several seeds, as many at once as the devices take."""
        request = StopRequest()
        examples: dict[jax.Device, tuple[Examples | Batches, Examples | Batches | None]] = {}

        def trainer(number: int, lane: Lane) -> Trainer:
            return self._trainer(self.seeds[number], lane.programs, *examples[lane.device])

        def compile_lane(lane: Lane) -> None:
            with jax.default_device(lane.device):
                examples[lane.device] = self._examples()
                trainer(0, lane).compile(jax.device_put(self.seeds[0].state, lane.device))

        with self._begin() as unfinished:
            lanes = Lane.compiled(len(self.seeds), self.source(), self.traced, compile_lane, request)
            if not any(callback.watches_batches for callback in self.seeds[0].callbacks):
                first, machine = self.seeds[0], (self.folder.environment(1).processor, self.recipe)
                images = {device: each[0] for device, each in examples.items()}
                lanes = faster_lanes(lanes, first.state, images, first.plan, len(self.seeds), machine)
            ready, compiling = time.perf_counter(), sum(lane.programs.compile_seconds for lane in lanes)
            if lanes[0].seats == 1:
                self.begins(trainer(0, lanes[0]), jax.device_put(self.seeds[0].state, lanes[0].device), len(lanes))
            starts = [
                StartingPoint(one.state, one.resume, self.folder.saver(unfinished, one.seed)) for one in self.seeds
            ]
            trainings = train_seeds(lanes, trainer, starts, request)
            before = max(one.seconds_before for one in self.seeds)
            seconds = Seconds(ready - self.started - compiling, compiling, before + time.perf_counter() - ready)
            for number, training in enumerate(trainings):
                # Each was trained where there was room; predictions are made on one device.
                training.state = jax.device_put(training.state, lanes[0].device)
                self._validate(trainer(number, lanes[0]), lanes[0].programs, training)
            # The time of a seed is that of its epochs: the clock would count the others' too.
            own = [replace(seconds, train=sum(epoch.seconds for epoch in one.epochs)) for one in trainings]
            return self._kept(unfinished, trainings, own, seconds)

    @contextmanager
    def _begin(self) -> Iterator[UnfinishedRun]:
        """The folder, locked, and what is told in it while training lasts."""
        blueprint = self.seeds[0].blueprint
        seeds = tuple(one.seed for one in self.seeds)
        with self.folder.begin(self.recipe, self.data, blueprint.to_json(), seeds, self.model_file) as unfinished:
            self._live.open(
                unfinished.path, self.validation.class_indices if isinstance(self.validation, Arrays) else None
            )
            self._live.tell("stage", text="compiling")
            self._tell_begin(unfinished.path)
            try:
                yield unfinished
            except BaseException as error:
                self._live.close(error)
                raise
            self._live.close(None)

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        """In place of `_begin`, where the run has no folder."""
        self._tell_begin(None)
        yield

    def _tell_begin(self, path: Path | None) -> None:
        """Tells whoever logs the training elsewhere, with the epochs that a stopped part of it finished."""
        if self.folder.begun is not None:
            earlier = {one.seed: () if one.resume is None else one.resume.epochs for one in self.seeds}
            self.folder.begun(path, self.recipe, self.data, earlier)

    @cached_property
    def _live(self) -> LiveStream:
        """What tells those who watch; silent where the run has no folder."""
        live = LiveStream([one.seed for one in self.seeds])
        for note in dict.fromkeys(note for seed in self.seeds for note in seed.notes):
            live.tell("note", text=note)
        return live

    def _examples(self) -> tuple[Examples | Batches, Examples | Batches | None]:
        """The training and validation images, as they lie on a device."""
        return self.train.examples(), None if self.validation is None else self.validation.examples()

    def _trainer(
        self, seed: SeedJob, programs: Programs, train: Examples | Batches, validation: Examples | Batches | None
    ) -> Trainer:
        progress = seed.progress
        if self.folder.why_no_folder is None:
            progress = ProgressOfBoth(progress, self._live.seed(seed.seed))
        return Trainer(programs, seed.plan, train, validation, seed.callbacks, progress, seed.batchwise)

    def _validate(self, trainer: Trainer, programs: Programs, training: Training) -> None:
        """Finds what the kept weights make of the validation images."""
        trainer.validate(training)
        # Whoever interrupts a training waits for no more than must be.
        several_views = self.views > 1 and training.epochs and training.status != "interrupted"
        if several_views and isinstance(self.validation, Arrays):
            images, labels = self.validation.images, self.validation.class_indices
            images = images if self.answered is None else self.answered
            training.validation, training.views = programs.validate(training.state, images, labels), self.views

    def _kept(
        self, unfinished: UnfinishedRun | None, trainings: Sequence[Training], own: Sequence[Seconds], seconds: Seconds
    ) -> Path | RunContents:
        """Writes what came of the training, or raises what became of it.

        Args:
            unfinished: the run's folder; None for a run in memory.
            trainings: what each seed left behind.
            own: times of each seed.
            seconds: times of all together, by the clock.
        """
        for training in trainings:
            if not training.epochs and training.status == "finished":
                raise InputError(
                    f"A callback, such as BackupAndRestore, starts after the last of {self.recipe['epochs']} epochs: "
                    "none is left to train. Give more epochs."
                )
        contents = [
            self._contents(seed, training, times)
            for seed, training, times in zip(self.seeds, trainings, own, strict=True)
            if training.epochs
        ]
        return self.folder.keep(unfinished, contents, trainings, seconds, self.seeds[0].if_diverged)

    @cached_property
    def _images(self) -> RunImages | None:
        """The images that the run keeps; None for plain arrays."""
        return None if self.dataset is None else RunImages.of(self.dataset)

    def _contents(self, seed: SeedJob, training: Training, seconds: Seconds) -> RunContents:
        """What is kept of a seed, with what only training could tell: an iterable's images are counted by then."""
        notes = RunFolder.notes_after(training)
        for note in notes:
            _log.warning(note)
        validation = self.validation if isinstance(self.validation, Arrays) else None
        counts, trained = dict(self.data.counts), training.epochs[-1].images
        if isinstance(self.train, Batches):
            counts["train"] = trained
        if training.validation is not None and training.validation.labels is not None:
            labels = training.validation.labels
            counts["validation"] = len(labels)
            validation = Arrays(labels, labels)  # its labels are all that a run records of it
        kept = _kept_outcomes(validation, training)
        logs = training.epochs[-1].logs
        record = RunRecord(
            created=now(),
            status=training.status,
            reason=training.reason,
            recipe=self.recipe,
            data=replace(self.data, counts=counts),
            seed=seed.seed,
            epochs=len(training.epochs),
            environment=self.folder.environment(training.devices),
            seconds=seconds,
            train=PartResult(logs["loss"], logs.get("accuracy"), trained),
            validation=_validation_result(kept, training),
            notes=(*seed.notes, *notes),
            model_file=self.model_file,
        )
        return RunContents(
            record=record,
            history=History((epoch.epoch, epoch.logs) for epoch in training.epochs),
            weights=seed.blueprint.weights(training.state),
            model=seed.blueprint.to_json(),
            outcomes=_outcomes(kept, training),
            files=() if validation is None else validation.files,
            images=self._images,
        )


def data_record(dataset: Dataset | None, train: Data, validation: Data | None) -> DataRecord:
    """What a run records of its data. Plain arrays have no name, and no sealed test set."""
    first = train.first if isinstance(train, Batches) else train
    held_out = validation if isinstance(validation, Arrays) else None
    counts = {"train": len(first), "validation": 0 if held_out is None else len(held_out)}
    if dataset is not None:
        return replace(DataRecord.of(dataset), counts={**counts, "test": len(dataset.test)})
    record = DataRecord(
        name="arrays",
        fingerprint="",
        test_fingerprint="",
        classes=max(first.class_names, () if held_out is None else held_out.class_names, key=len),
        image_shape=first.images.shape[1:],
        scale=first.scale or 1.0,
        counts={**counts, "test": 0},
        load=None,
        values=first.values if first.scale is None else None,
    )
    if isinstance(train, Arrays):
        return record
    names = first.class_names if first.form.signed else tuple(str(number) for number in range(train.classes))
    return replace(record, name="batches", classes=names)


def _kept_outcomes(validation: Arrays | None, training: Training) -> KeptOutcomes | None:
    """What the kept weights make of the validation images; None without any."""
    if validation is None or training.validation is None:
        return None
    arrays = {name: np.asarray(array) for name, array in training.validation.outcomes._asdict().items()}
    return KeptOutcomes.of(arrays, validation.class_indices, training.kept_epoch, training.views)


def _validation_result(kept: KeptOutcomes | None, training: Training) -> PartResult | None:
    """The numbers of the kept weights on the validation images: what everybody says of this training."""
    if kept is None or training.validation is None:
        return None
    found = PartResult.held_out(kept.mean_loss, int(kept.right.sum()), len(kept.labels))
    compiled = training.validation.logs["loss"]
    same = math.isclose(compiled, kept.mean_loss, rel_tol=_SAME_LOSS, abs_tol=1e-6)
    return found if same or not math.isfinite(compiled) else replace(found, compiled_loss=compiled)


def _outcomes(kept: KeptOutcomes | None, training: Training) -> Outcomes | None:
    rows = [epoch.outcomes for epoch in training.epochs if epoch.outcomes is not None]
    if kept is None or not rows:
        return None
    return Outcomes.of(
        loss=np.stack([np.asarray(row.loss) for row in rows]),
        predicted=np.stack([np.asarray(row.predicted) for row in rows]),
        probability=np.stack([np.asarray(row.probability) for row in rows]),
        labels=kept.labels,
        epoch=[epoch.epoch for epoch in training.epochs if epoch.outcomes is not None],
        log_probabilities=np.stack([np.asarray(row.log_probabilities) for row in rows]),
        kept=kept,
    )
