"""What training keeps and makes of a user's own Keras model: its compiled programs, and copies of it for other seeds.

Programs stay with the model, so that the next call of `fit` neither traces nor compiles. Keras keeps its train function
until `compile` is called again. Here the programs are kept under all that decided them and can be seen from the model:
its layers, optimizer, loss and metrics with their attributes. So a dropout rate, a schedule or a `trainable` that
changed between two calls counts in the second, where Keras would not see most of them. What no attribute shows (a
global variable that `call` reads) stays as old as in Keras: it counts after `compile`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import keras
import numpy as np

from fittingroom.engine.batch_steps import BatchPrograms
from fittingroom.engine.keras_steps import KerasSteps
from fittingroom.engine.programs import Programs, TracedPrograms
from fittingroom.errors import ModelError

# How many kinds of calls a model keeps programs for; the least recently used goes first.
MOST_KEPT = 8
_ATTRIBUTE = "_fittingroom_programs"  # of the model, so that they live as long as it does
# Attributes that change between two calls and decide no program. All others are taken to decide one.
_NO_MATTER = frozenset({
    _ATTRIBUTE, "_callbacks_state", "_called", "_eval_epoch_iterator", "_exclude_from_weight_decay_cache",
    "_get_jax_state", "_inbound_nodes", "_initial_epoch", "_jax_state", "_jax_state_synced", "_loss_ids",
    "_losses", "_losses_override", "_outbound_nodes", "_predict_epoch_iterator", "history", "predict_function",
    "stop_training", "test_function", "train_function",
})  # fmt: skip
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class ModelPrograms:
    """The programs for one kind of call of `fit`: a model as it is, sizes of batches, and shapes of data.

    Args:
        model: built and compiled.
        traced: the source of its programs.
        devices: the most that may share a batch.
        objects: whose identities are part of the key. They are held here, so that no other object can take one over.

    Attributes:
        whole: what arrays go through.
        batchwise: what single batches go through.
    """

    def __init__(self, model: keras.Model, traced: TracedPrograms, devices: int, objects: list[Any]) -> None:
        self.whole = Programs(traced.on(devices))
        self.batchwise = BatchPrograms(KerasSteps(model).functions(), traced.scale)
        self._names: tuple[str, ...] | None = None
        self._objects = objects

    @classmethod
    def of(cls, model: keras.Model, traced: TracedPrograms, devices: int, shapes: tuple[Any, ...]) -> ModelPrograms:
        """The programs that an earlier call left with the model, if all that decides them is as it was; else new ones.

        Args:
            model: built and compiled.
            traced: the source of new ones.
            devices: the most that may share a batch.
            shapes: the shapes and types of all data of the call.
        """
        objects: list[Any] = []
        sizes = (traced.batch_size, traced.scale, traced.evaluation_batch, devices)
        key = (sizes, shapes, tuple(_decisive([_surroundings(), model], objects, {})))
        kept = _kept_with(model)
        if key not in kept:
            kept[key] = cls(model, traced, devices, objects)
        kept.move_to_end(key)
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        found = kept[key]
        found.whole.compile_seconds = found.batchwise.compile_seconds = 0.0
        return found

    def logged_names(self, find: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """The names of the numbers that each epoch has. `find` traces the metrics, so it is called once."""
        if self._names is None:
            self._names = find()
        return self._names


def _kept_with(model: keras.Model) -> OrderedDict[Any, ModelPrograms]:
    """The programs that the model keeps, in its dictionary: Keras would track an attribute as a part of the model."""
    owner, kept = vars(model).get(_ATTRIBUTE, (None, None))
    if owner != id(model):  # a copied model has the entries of the original
        kept = OrderedDict()
        vars(model)[_ATTRIBUTE] = (id(model), kept)
    return kept  # type: ignore[no-any-return]


def _surroundings() -> tuple[Any, ...]:
    """Global settings of Keras, which a program holds from when it was traced."""
    config = keras.config
    return config.floatx(), config.epsilon(), config.image_data_format(), keras.distribution.distribution()


def _decisive(value: Any, objects: list[Any], seen: dict[int, int]) -> Iterator[Any]:
    """A flat list of all that may decide a model's programs: attributes by value, unknown objects by identity.

    Args:
        value: the model, or a part of it.
        objects: receives the objects whose identities are in the result.
        seen: identity -> number of the parts that were read, since parts refer to each other.
    """
    kind = type(value)
    if kind in _PLAIN:
        yield kind
        yield value
    elif isinstance(value, list | tuple | dict | set):
        yield kind
        yield len(value)
        for item in chain.from_iterable(value.items()) if isinstance(value, dict) else value:
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


def _parts() -> tuple[type, ...]:
    """The kinds of objects that a model consists of, whose attributes a user may change."""
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


def copy_for_seed(model: keras.Model, seed: int) -> keras.Model:
    """A copy of a model with the weights of another seed; where the model is compiled, the copy is too.

    Weights come from the model's own initializers; those with a seed of their own draw the same in every copy.

    Raises:
        ModelError: Keras cannot copy the model.
    """
    keras.utils.set_random_seed(seed)
    try:
        clone = _cloned(model)
        if model.compiled:
            clone.compile(**_compile_arguments(model))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            f"Keras cannot copy {type(model).__name__} for another seed: "
            f"{' '.join(str(error).partition('Example:')[0].split())} Or train one seed after the other: for seed in "
            "range(5): keras.utils.set_random_seed(seed); fit(make_model(), seed=seed)."
        ) from error
    return clone


def _cloned(model: keras.Model) -> keras.Model:
    # Keras would copy the settings of `compile` by name, and does not find a user's own functions that way.
    compiled, model.compiled = model.compiled, False
    try:
        return keras.models.clone_model(model)
    finally:
        model.compiled = compiled


def _compile_arguments(model: keras.Model) -> dict[str, Any]:
    """The arguments that `model.compile` got; the optimizer and the metrics, which have variables, as fresh copies."""
    arguments = dict(model._compile_config.config)
    arguments["optimizer"] = type(model.optimizer).from_config(model.optimizer.get_config())
    for name in ("metrics", "weighted_metrics"):
        arguments[name] = keras.tree.map_structure(_fresh_metric, arguments.get(name))
    return arguments


def _fresh_metric(metric: Any) -> Any:
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric
