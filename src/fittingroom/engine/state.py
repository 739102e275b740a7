"""The only crossing between Keras variables and JAX arrays.

A `State` is everything that changes while a model trains. Keras keeps it in variables that are updated in place; the
compiled programs take it as an argument and give back a new one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import jax
    import keras

Values: TypeAlias = "tuple[jax.Array | np.ndarray[Any, Any], ...]"


class State(NamedTuple):
    """Everything that changes while a model trains, in Keras's four groups and in Keras's order."""

    trainable: Values
    non_trainable: Values  # batch statistics, and the seeds of dropout and augmentation
    optimizer: Values
    metrics: Values  # running sums of the current epoch

    @classmethod
    def of(cls, model: keras.Model) -> State:
        """The current values of the variables of a built, compiled model. No copy is made."""
        return cls(*(tuple(cls.values_of(group)) for group in _groups(model)))

    @staticmethod
    def values_of(variables: Iterable[Any]) -> list[Any]:
        """The current values of Keras variables, as JAX arrays. No copy is made."""
        return [variable.value for variable in variables]

    @staticmethod
    def weight_shapes(model: keras.Model) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        """The shapes of the trainable and the non-trainable variables of a built model."""
        groups = (model.trainable_variables, model.non_trainable_variables)
        trainable, non_trainable = (tuple(tuple(variable.shape) for variable in group) for group in groups)
        return trainable, non_trainable

    @property
    def weights(self) -> State:
        """The part that decides what a model answers: without optimizer and metrics."""
        return self._replace(optimizer=(), metrics=())

    @property
    def is_alive(self) -> bool:
        """Whether no step has taken over the memory of this state."""
        import jax  # here and below, since answers are computed without it

        return not any(isinstance(value, jax.Array) and value.is_deleted() for group in self for value in group)

    def is_same_as(self, other: State) -> bool:
        """Whether both hold the very same arrays, which never change; equal copies do not count."""
        groups = zip(self, other, strict=True)
        return all(len(mine) == len(others) and all(map(operator.is_, mine, others)) for mine, others in groups)

    def copied(self) -> State:
        """The same values in memory of their own, on the same device."""
        import jax

        copy: State = jax.device_put(self, may_alias=False)
        return copy

    def write_to(self, model: keras.Model) -> None:
        """Makes the variables of `model` hold copies of these values.

        Copies, because Keras's own fit and evaluate, which a callback may call, give the memory of the variables away.
        """
        for group, values in zip(_groups(model), self.copied(), strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    def write_weights_to(self, model: keras.Model) -> None:
        """Makes the weights of `model` those of this state, and leaves its optimizer and metrics alone."""
        variables = (*model.trainable_variables, *model.non_trainable_variables)
        for variable, value in zip(variables, (*self.trainable, *self.non_trainable), strict=True):
            variable.assign(value)

    @property
    def is_finite(self) -> bool:
        """Whether no trainable weight is NaN or infinite."""
        return all(bool(np.isfinite(np.asarray(value)).all()) for value in self.trainable)

    def has_weights_of(self, other: State) -> bool:
        """Whether the weights of both are the very same arrays, as far as `is_same_as` goes."""
        return other is self or self.weights.is_same_as(other.weights)


def _groups(model: keras.Model) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


class Variables:
    """The variables of a model, looked up once: with callbacks that watch batches, they change at every step."""

    def __init__(self, model: keras.Model) -> None:
        self._optimizer = model.optimizer
        self._variables = [variable for group in _groups(model) for variable in group]
        self._model_trains = model.trainable
        # The variable with the learning rate, which no step of Keras's own changes; None where there is none such.
        makers = type(model).train_step, type(model.optimizer)
        rate = getattr(model.optimizer, "_learning_rate", None)
        known = all(maker.__module__.startswith("keras.") for maker in makers)
        self.learning_rate = next((one for one in self._variables if one is rate), None) if known else None
        self._trainable = [variable.trainable for variable in self._variables]

    def are_those_of(self, model: keras.Model) -> bool:
        """Whether they still are the model's, in the same groups: it was neither compiled nor frozen since."""
        return (
            model.optimizer is self._optimizer
            and model.trainable == self._model_trains
            and [variable.trainable for variable in self._variables] == self._trainable
        )

    @property
    def all(self) -> list[Any]:
        """The variables, in the order of a state."""
        return self._variables

    @property
    def nbytes(self) -> int:
        """How much memory their values take."""
        return sum(variable._value.nbytes for variable in self._variables)

    def are_of_optimizer(self, model: keras.Model) -> bool:
        """The part of `are_those_of` that the variables cannot tell themselves, and that takes no time."""
        return model.optimizer is self._optimizer and model.trainable == self._model_trains

    def show(self, state: State) -> bool:
        """Makes the variables hold the very arrays of a state, without a copy. False if they cannot."""
        import jax

        values = [value for group in state for value in group]
        if len(values) != len(self._variables) or not all(isinstance(value, jax.Array) for value in values):
            return False
        for variable, value in zip(self._variables, values, strict=True):
            if variable._value is not value:  # not `assign`, which takes 20 µs to check each array
                variable._value = value
        return True

    def hold(self, state: State) -> bool:
        """Whether the variables hold the very arrays of a state."""
        values = (value for group in state for value in group)
        return all(variable._value is value for variable, value in zip(self._variables, values, strict=True))
