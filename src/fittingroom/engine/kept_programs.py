"""Compiled programs that stay with a user's model, so that the next call of `fit` neither traces nor compiles.

Keras keeps its train function until `compile` is called again. Here the programs are kept under all that decided them
and can be seen from the model: its layers, optimizer, loss and metrics with their attributes. So a dropout rate, a
schedule or a `trainable` that changed between two calls counts in the second, where Keras would not see most of them.
What no attribute shows (a global variable that `call` reads) is as old as in Keras: it counts after `compile`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from fittingroom.engine.keras_steps import step_functions
from fittingroom.engine.programs import BatchPrograms, Programs, TracedPrograms

# Programs for so many kinds of calls stay with a model; the one that was used least recently goes first.
MOST_KEPT = 8
_ATTRIBUTE = "_fittingroom_programs"  # of the model, so that they live as long as it does
# What changes between two calls without deciding a program. All others do, or are taken to.
_NO_MATTER = frozenset({
    _ATTRIBUTE,
    "_callbacks_state",
    "_called",
    "_eval_epoch_iterator",
    "_exclude_from_weight_decay_cache",
    "_get_jax_state",
    "_inbound_nodes",
    "_initial_epoch",
    "_jax_state",
    "_jax_state_synced",
    "_loss_ids",
    "_losses",
    "_losses_override",
    "_outbound_nodes",
    "_predict_epoch_iterator",
    "history",
    "predict_function",
    "stop_training",
    "test_function",
    "train_function",
})  # fmt: skip
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class KeptPrograms:
    """The programs of one kind of call: for a model as it is, sizes of batches, and shapes of data.

    Attributes:
        whole: for arrays.
        batchwise: for single batches.
    """

    def __init__(self, model: keras.Model, traced: TracedPrograms, devices: int, objects: list[Any]) -> None:
        self.whole = Programs(traced.on(devices))
        self.batchwise = BatchPrograms(step_functions(model), traced.scale)
        self._names: tuple[str, ...] | None = None
        self._objects = objects  # held, so that no other object can take over an identity that is part of the key

    def logged_names(self, find: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """The names of the numbers that each epoch has, found once: that traces the metrics."""
        if self._names is None:
            self._names = find()
        return self._names


def programs_of(model: keras.Model, traced: TracedPrograms, devices: int, shapes: tuple[Any, ...]) -> KeptPrograms:
    """The programs that an earlier call left with the model, if nothing that decides them has changed; else new ones.

    Args:
        model: built and compiled.
        traced: the source of new ones.
        devices: the most that may share a batch.
        shapes: shapes and types of all data of the call.
    """
    objects: list[Any] = []
    sizes = (traced.batch_size, traced.scale, traced.evaluation_batch, devices)
    key = (sizes, shapes, tuple(_decisive([_surroundings(), model], objects, {})))
    kept = _kept_with(model)
    if key not in kept:
        kept[key] = KeptPrograms(model, traced, devices, objects)
    kept.move_to_end(key)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    found = kept[key]
    found.whole.compile_seconds = found.batchwise.compile_seconds = 0.0
    return found


def _kept_with(model: keras.Model) -> OrderedDict[Any, KeptPrograms]:
    """The model's own programs: in its dictionary, since Keras would take an attribute for a part of the model."""
    owner, kept = vars(model).get(_ATTRIBUTE, (None, None))
    if owner != id(model):  # a copy of a model has the dictionary's entries too
        kept = OrderedDict()
        vars(model)[_ATTRIBUTE] = (id(model), kept)
    return kept  # type: ignore[no-any-return]


def _surroundings() -> tuple[Any, ...]:
    """Settings of Keras that a program holds from when it was traced."""
    config = keras.config
    return config.floatx(), config.epsilon(), config.image_data_format(), keras.distribution.distribution()


def _decisive(value: Any, objects: list[Any], seen: dict[int, int]) -> Iterator[Any]:
    """All that can be read from a part of a model and may decide its program, flat; other objects by identity.

    Args:
        value: the part.
        objects: takes those whose identity stands in the result.
        seen: identities of the parts that were read -> their numbers.
    """
    kind = type(value)
    if kind in _PLAIN:
        yield kind
        yield value
    elif isinstance(value, list | tuple | dict | set):
        yield kind
        yield len(value)
        for item in _items(value):
            yield from _decisive(item, objects, seen)
    elif isinstance(value, np.generic):
        yield kind
        yield value.tobytes()
    elif id(value) in seen:
        yield seen[id(value)]
    else:
        seen[id(value)] = len(seen)
        objects.append(value)
        yield id(value)
        if isinstance(value, keras.Variable):
            yield value.trainable
        elif isinstance(value, _parts()):
            yield kind
            for name, attribute in vars(value).items():
                if name not in _NO_MATTER:
                    yield name
                    yield from _decisive(attribute, objects, seen)


def _items(container: Any) -> Iterator[Any]:
    if isinstance(container, dict):
        for item in container.items():
            yield from item
    else:
        yield from container


def _parts() -> tuple[type, ...]:
    """What a model consists of and can be changed from outside."""
    return (
        keras.Operation,  # layers and models too
        keras.Loss,
        keras.Metric,
        keras.Optimizer,
        keras.optimizers.schedules.LearningRateSchedule,
        keras.regularizers.Regularizer,
        keras.constraints.Constraint,
        keras.DTypePolicy,
    )
