"""`accelerate`: the `model.fit` of plain Keras, unchanged, on the engine of `fit`."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.api.fit import fit
from fittingroom.engine.devices import require_jax_backend
from fittingroom.errors import InputError, LabelRangeError

if TYPE_CHECKING:
    import keras

_log = logging.getLogger("fittingroom")

# What a refusal says to users of `fit`; here Keras's own fit is what happens anyway.
_GO_TO_KERAS = re.compile(
    r"(,? or|;)? ?[^.;:]*\b(?:with|by|use|to) model\.fit\b\.?|Or train it with model\.fit\.", re.I
)
_MOST_PEEKED = 2  # batches of an iterator that are looked at before training begins


class Acceleration:
    """While it is on, `keras.Model.fit` trains on the engine; a `with` block turns it off at its end.

    Args:
        out: as `accelerate` has it.
    """

    _active: Acceleration | None = None

    def __init__(self, out: bool | None) -> None:
        self._out = out
        self._said: set[str] = set()
        self._keras_fit: Callable[..., Any] | None = None

    def __enter__(self) -> Acceleration:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "on" if self._keras_fit is not None else "off"
        return f"<keras.Model.fit on Fitting Room's engine: {state}>"

    def _start(self) -> None:
        """Replaces `keras.Model.fit`; an acceleration that is on already ends."""
        import keras

        if Acceleration._active is not None:
            Acceleration._active.stop()
        original = keras.Model.fit

        # Keras's own signature, so that tools which inspect it (KerasTuner, scikit-learn's wrappers) see no difference.
        @functools.wraps(original)
        def accelerated(self_: keras.Model, *args: Any, **kwargs: Any) -> Any:
            return self._fit(self_, *args, **kwargs)

        self._keras_fit = original
        keras.Model.fit = accelerated
        Acceleration._active = self

    def stop(self) -> None:
        """Gives Keras its own `fit` back."""
        import keras

        if Acceleration._active is self:
            del keras.Model.fit  # Keras's trainer, which Model inherits from, has the original
            Acceleration._active = None
        self._keras_fit = None

    @classmethod
    def stop_active(cls) -> None:
        """Ends the acceleration that is on, if one is."""
        if cls._active is not None:
            cls._active.stop()

    def _fit(  # noqa: PLR0913, PLR0917 - the arguments are those of keras.Model.fit
        self,
        model: keras.Model,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        given = {
            "batch_size": batch_size,
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": callbacks,
            "validation_split": validation_split,
            "shuffle": shuffle,
            "class_weight": class_weight,
            "sample_weight": sample_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": validation_freq,
        }
        keras_fit = self._keras_fit
        assert keras_fit is not None
        if not model.compiled:
            return keras_fit(model, x, y, validation_data=validation_data, **given)  # says that compile is missing
        images, held_out = _Kept(x), _Kept(validation_data)
        before = model.history if hasattr(model, "history") else None
        try:
            # As Keras does, the order of the images follows NumPy's generator, which keras.utils.set_random_seed seeds.
            seed = int(np.random.randint(2**31 - 1))  # noqa: NPY002 - Keras's own source of it
            return fit(model, images.first(), y, validation_data=held_out.first(), seed=seed, out=self._out, **given)
        except LabelRangeError:
            raise  # Keras on JAX would train silently on labels that no output stands for
        except InputError as refusal:
            if _has_begun(model, before):
                raise  # a later batch of an iterable, or a callback
            reason = refusal
        if hasattr(x, "fit_arguments"):
            if x.is_endless and steps_per_epoch is None:
                raise reason  # Keras would never come back
            given["shuffle"] = False  # a dataset of fittingroom.tf has its own order
        self._say(reason)
        try:
            return keras_fit(model, images.again(), y, validation_data=held_out.again(), **given)
        except Exception as error:
            if not _has_begun(model, before):
                error.add_note(f"Fitting Room: {reason}")
            raise

    def _say(self, refusal: InputError) -> None:
        """Says once for each reason that Keras trains."""
        reason = " ".join(_GO_TO_KERAS.sub("", str(refusal)).split())
        if reason not in self._said:
            self._said.add(reason)
            _log.warning("Keras's own fit trains this model, not Fitting Room's engine. %s", reason)


class _Kept:
    """Data of a user's, of which an iterator keeps the batches that a refused training has looked at."""

    def __init__(self, given: Any) -> None:
        self._given = given
        # Keras's older generators of pictures have `__next__` too, but are PyDatasets, which can be read again.
        once = hasattr(given, "__next__") and not hasattr(given, "__getitem__")
        self._rest: Iterator[Any] | None = given if once else None
        self._taken: list[Any] = []

    def first(self) -> Any:
        """The data for the engine."""
        return self._given if self._rest is None else self._remembering(self._rest)

    def _remembering(self, rest: Iterator[Any]) -> Iterator[Any]:
        for batch in rest:
            if len(self._taken) < _MOST_PEEKED:
                self._taken.append(batch)
            yield batch

    def again(self) -> Any:
        """The same data from the beginning; a generator, since Keras takes no other iterator."""
        return self._given if self._rest is None else self._from_the_beginning(self._rest)

    def _from_the_beginning(self, rest: Iterator[Any]) -> Iterator[Any]:
        yield from self._taken
        yield from rest


def _has_begun(model: keras.Model, before: Any) -> bool:
    """Whether training has begun since `model.history` was `before`: then its new History knows of epochs."""
    history = getattr(model, "history", None)
    return history is not None and history is not before and hasattr(history, "epoch")


def accelerate(on: bool = True, *, out: bool | None = None) -> Acceleration:
    """Lets `model.fit` of plain Keras train on Fitting Room's engine, without a change in the code that calls it.

    Every `keras.Model.fit` afterwards goes to `fittingroom.fit`, and what it returns is Keras's `History` and a run:
    `model.fit(...).explain()`. What the engine does not train (regression, several outputs, a `train_step` of the
    model's own) goes to Keras's own `fit`; a message says so, once for each reason. If Keras then fails too, its error
    has our reason as a note. Labels that no output stands for, which Keras on JAX would train on silently, are an
    error. docs/keras-parity.md lists what differs.

    Args:
        on: False gives Keras its own `fit` back.
        out: False keeps each run in memory; None writes a folder for each, as `fittingroom.fit` does.

    Returns:
        What a `with` statement takes, to accelerate only a block: `with fr.accelerate(): model.fit(x, y)`.

    Raises:
        InputError: Keras runs on another backend than JAX.
    """
    if out not in (None, False):
        raise InputError(f"out={out!r}; expected None for a folder for each run, or False for none.")
    require_jax_backend()
    acceleration = Acceleration(out)
    if on:
        acceleration._start()
    else:
        Acceleration.stop_active()
    return acceleration
