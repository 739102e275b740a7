"""`fit`: the user's own Keras model, with the arguments of `keras.Model.fit`."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.data.dataset import Dataset
from fittingroom.engine.batches import Batches
from fittingroom.engine.devices import require_jax_backend
from fittingroom.errors import InputError, StorageError
from fittingroom.progress import progress_for
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.images import RunImages
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.unfinished import UnfinishedRun
from fittingroom.training.arguments import chosen_seeds, joined_hosts, whole_number
from fittingroom.training.fit_arguments import FitArguments
from fittingroom.training.job import Data
from fittingroom.training.keras_job import ModelTraining
from fittingroom.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from fittingroom.api.fitted import FittedRun

_SAMPLED_IMAGES = 1000
_log = logging.getLogger("fittingroom")


def fit(  # noqa: PLR0913, PLR0917 - the arguments are those of keras.Model.fit, so that its users can change one word
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | str | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Iterable[int] = 1,
    *,
    batch_hooks_every: int | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    stop: str | Sequence[str] = (),
    checkpoint_every: int = 1,
    resume: str | Path | None = None,
    out: str | Path | bool | None = None,
    log: str | Sequence[str] | None = None,
) -> FittedRun:
    """Trains a Keras model, compiled or not, and keeps the run; afterwards the model has the trained weights.

    Every argument up to `validation_freq` means what it means in `keras.Model.fit`; docs/keras-parity.md shows how that
    is known, and what is refused.

    Args:
        model: any Keras image classifier with one input and one output that JAX can trace. Activations that are
            functions of TensorFlow's, such as `tf.nn.relu`, are replaced by Keras's own of the same name.
        x: a dataset from `fittingroom.load` or of Hugging Face's, a part of one, images `(n, ...)` as an array, or an
            iterable of batches `(images, labels)` or `(images, labels, sample_weight)`: a `keras.utils.PyDataset`, a
            `tf.data.Dataset`, a PyTorch `DataLoader`, a generator. Batches of an iterable are taken a little ahead of
            their steps; each epoch iterates it again, so that its own shuffle and augmentation count.
        y: labels, where `x` is an array: class numbers `(n,)`, or one-hot `(n, classes)`.
        batch_size: images per step; 32 by default. Iterables have their own.
        epochs: the epoch to train to; counted from 0, `initial_epoch` included, as in Keras.
        verbose: 0 for silence, 1 for a progress bar on a terminal and lines elsewhere, 2 for a line for each epoch;
            "auto" for a bar on a terminal, lines in a notebook, and silence elsewhere.
        callbacks: Keras callbacks, unchanged.
        validation_split: the last share of the arrays to validate on.
        validation_data: `(x, y)` or `(x, y, sample_weight)`, or an iterable of such batches; a dataset brings its own.
        shuffle: whether each epoch has an order of its own. Of the iterables, only a `PyDataset` is shuffled, by batch.
        class_weight: class number -> weight of its images in the loss; or "balanced", which gives every class the same
            total weight, as scikit-learn does.
        sample_weight: weight of each image in the loss, `(n,)`.
        initial_epoch: the number of the first epoch.
        steps_per_epoch: batches in an epoch; the next epoch continues where it ended. Needed for generators, unless
            there is one epoch.
        validation_steps: validate on so many batches only, the first ones.
        validation_batch_size: images per step of validation; `batch_size` by default. It matters only for losses and
            metrics that depend on the batch.
        validation_freq: validate after every so many epochs, or after those in a list, counted from 1. The run's
            outcomes have a row for each validated epoch.
        batch_hooks_every: after how many batches callbacks that watch batches are called; in between, the compiled
            program runs them at once. By default the `steps_per_execution` that the model was compiled with: 1.
        seed: of the shuffle. (The initial weights are the model's own.)
        seeds: in place of `seed`, several: how many (5 means 0 to 4), or which. For each, the model is made once more
            and its weights are drawn again; the given one stays as it is. As many train at once as there are cores (or
            devices), each with callbacks of its own, exactly as it would alone.
        stop: conditions such as `"loss<0.4"` or `"val_loss rises 3"`, on any number that the history will have.
        checkpoint_every: epochs between checkpoints. (Each waits until training has taken twenty times as long as
            writing it takes. Ctrl-C, SIGTERM and errors write one at once.)
        resume: the folder, or the name, of a training that was stopped, or `latest`; it continues there as if it
            had never stopped. All other arguments must be those of its beginning: the same model, data and callbacks.
        out: the run's own folder; None for the next free one in the runs folder. With False the run stays in memory:
            history, `predict`, `explain` and `report` work as ever, and what lasts says that it needs a folder. None
            means the same, with a note, where the runs folder cannot be written, and with `FITTINGROOM_RUNS_DIR=none`.
        log: where the training is logged besides: `tensorboard`, `mlflow`, `wandb`, `csv` or `jsonl`, as for
            `fittingroom.train`.

    Returns:
        The run, its folder written. It is Keras's `History` too: `run.history["loss"]`, `run.epoch`, `run.params` and
        `run.model` (this model) are what they are there.

    Raises:
        InputError: something given is wrong, found before training; a `ModelError` where it is the model, a `DataError`
            where it is the data (in an iterable, when its batch comes).
        StorageError: the run's folder cannot be written, found before training where it can be known.
        DivergedError: the loss became NaN or infinite (with `seeds`: for every seed).
        Interrupted: Ctrl-C or SIGTERM; the finished epochs are kept, and `resume` continues.
    """
    started = time.perf_counter()
    if resume is not None and out is not None:
        raise InputError("resume= continues in the stopped run's own folder, so out= cannot be given too. Remove out=.")
    place, why_no_folder = _place(out, alone=seeds is None and resume is None)
    every = whole_number("checkpoint_every", checkpoint_every, lowest=1)
    require_jax_backend()
    import keras

    from fittingroom.api.fitted import FittedRun, UnsavedRun
    from fittingroom.api.logged import training_log
    from fittingroom.api.run import Run
    from fittingroom.engine.foreign_activations import take_by_name
    from fittingroom.engine.keras_callbacks import KerasCallbacks
    from fittingroom.engine.losses import LossFacts
    from fittingroom.engine.model_checks import ModelChecks
    from fittingroom.engine.user_model import copy_for_seed

    ModelChecks(model).require_classifier()
    take_by_name(model)
    stop = [stop] if isinstance(stop, str) else list(stop)
    x = _loaded(x, validation_split, validation_data)
    chosen = (whole_number("seed", seed, lowest=0),) if seeds is None else chosen_seeds(seeds)
    arguments = FitArguments(
        x=x,
        y=y,
        batch_size=batch_size,
        epochs=epochs,
        validation_split=0.0 if isinstance(x, Dataset) and x.name.startswith("hf:") else validation_split,
        validation_data=validation_data,
        shuffle=shuffle,
        class_weight=class_weight,
        sample_weight=sample_weight,
        initial_epoch=initial_epoch,
        steps_per_epoch=steps_per_epoch,
        validation_steps=validation_steps,
        validation_batch_size=validation_batch_size,
        validation_freq=validation_freq,
        batch_hooks_every=(model.steps_per_execution or 1) if batch_hooks_every is None else batch_hooks_every,
        steps_per_execution=model.steps_per_execution or 1,
        seed=seed,
        stop=stop,
        label_form=LossFacts.label_form(model),
    )
    data = arguments.checked()
    listed = callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks
    watchers = KerasCallbacks.checked(keras.tree.flatten(listed or ()))
    if any(isinstance(one, keras.callbacks.TensorBoard) for one in watchers):
        from fittingroom.api.logged import write_keras_logs

        write_keras_logs(watchers)
    logged = None if log is None else training_log(log, Run)
    with (
        logged or nullcontext(),
        nullcontext() if resume is None else UnfinishedRun.find(resume) as stopped,
        logged.beside(progress_for(verbose)) if logged else progress_for(verbose) as progress,
    ):
        training = ModelTraining(
            model=model,
            data=replace(data, plan=replace(data.plan, checkpoint_every=every)),
            dataset=x if isinstance(x, Dataset) else None,
            recipe={"name": model.name, "epochs": data.plan.epochs, "batch_size": data.plan.batch_size, "stop": stop},
            rule=StopRule(stop, validation=data.validation is not None, own=True),
            callbacks=watchers,
            verbose=verbose,
        )
        folder = RunFolder(
            place,
            every,
            own_model=True,
            sample="" if why_no_folder else _sample(x, data.train),
            stopped=stopped,
            why_no_folder=why_no_folder,
            begun=None if logged is None else logged.begun,
        )
        if seeds is None:
            job = training.job(folder, progress, started)
        else:
            job = training.job_of_copies(partial(copy_for_seed, model), chosen, folder, progress, started)
        kept = job.run()
        about = {"dataset": training.dataset, "model": model, "params": training.callback_params}
        run: FittedRun
        if isinstance(kept, Path):
            run = FittedRun(kept, trained=seeds is None, **about)
            if training.dataset is not None and RunImages.are_too_many(training.dataset):
                run.predictor.fit()  # now, while all validation images are at hand
        else:
            run = UnsavedRun(kept, str(why_no_folder), **about)
            if logged is not None:
                logged.in_memory = kept
    if logged is not None:
        run.logs = logged.places
    return run


def _loaded(x: Any, validation_split: float, validation_data: Any) -> Any:
    """A dataset where x is one of Hugging Face's, with `validation_split` of it held out; anything else as it is.

    Raises:
        DataError: it is not a dataset of images and labels.
        InputError: the validation data are another one, which would have columns and classes of its own.
    """
    from fittingroom.data.load import is_hugging_face, load

    if is_hugging_face(validation_data):
        raise InputError(
            f"validation_data is a {type(validation_data).__name__} of Hugging Face's. Give both splits as one: "
            "fit(model, datasets.DatasetDict(train=..., validation=...))."
        )
    if not is_hugging_face(x):
        return x
    return load(x, validation=validation_split or (0 if validation_data is not None else None))


def _place(out: str | Path | bool | None, *, alone: bool) -> tuple[Path | None, str | None]:
    """The run's own folder, or None for the next free one; and why there is none, where it stays in memory.

    Args:
        out: as `fit` has it; an empty text is a slip, and not the current folder.
        alone: whether it is one training from its beginning, which can do without.

    Raises:
        InputError: it is True, several trainings shall do without a folder, or several processes are joined.
        RunError, StorageError: as `check_writable` says.
    """
    if (hosts := joined_hosts()) is not None:
        raise InputError(
            f"fit trains in one process, and JAX has joined {hosts.count}. Put the model into a file and share its "
            "training with `fittingroom train --model FILE.py:FUNCTION --coordinator HOST:PORT`."
        )
    if out is True or out == "":
        raise InputError(f"out={out!r}; expected a folder, None for the next free one, or False for none.")
    if out is False or (out is None and alone and not RunsFolder.is_wanted_by_fit()):
        if not alone:
            raise InputError("out=False is for a single training from its beginning. Remove it, or seeds= and resume=.")
        return None, "fit was called with out=False" if out is False else "FITTINGROOM_RUNS_DIR is none"
    place = None if out is None else Path(out)
    try:
        RunsFolder().check_writable(place)
    except StorageError as error:
        if place is not None or not alone:
            raise
        _log.warning("The run stays in memory: %s Pass out=False where no folder is wanted.", error)
        return None, f"fit {error}"
    return place, None


def _sample(x: Any, train: Data) -> str:
    """A hash that tells other arrays from these, mostly; a dataset has a fingerprint, and an iterable has nothing."""
    if isinstance(x, Dataset) or isinstance(train, Batches):
        return ""
    digest = hashlib.sha256(np.ascontiguousarray(train.labels).tobytes())
    for image in train.images[:: max(1, len(train) // _SAMPLED_IMAGES)]:
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
