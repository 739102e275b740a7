"""Whoever may watch, change or stop training: the stop conditions of a recipe, and Keras's callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fittingroom.engine.callback_memory import check_monitors, continue_files, recall, remembered, without_its_package
from fittingroom.engine.state import State, Variables, is_alive, read_state, same_values, write_state

if TYPE_CHECKING:
    import keras

    from fittingroom.recipes.stop import StopRule

Numbers = dict[str, float]


def last_of_group(done: int, every: int) -> int:
    """The number of the last batch in the group to which batch `done`, counted from 1, belongs; as Keras counts it.

    At the end of an epoch a group may have fewer batches, and Keras gives the number that its last one would have.
    """
    return (done - 1) // every * every + every - 1


class Hook:
    """Does nothing at every event; a hook overrides the events that it cares about.

    Events between epochs and batches take the state and give it back, changed or not.
    """

    watches_batches: bool = False
    watches_batch_begins: bool = True  # of these; else only their ends
    watches_test_batches: bool = False
    ends_quietly_on_nan: bool = False  # whether training ends without an error when the loss is no number

    def initial_epoch(self) -> int | None:
        """Where training goes on, once it has begun; None for where its plan says."""
        return None

    def train_begin(self, state: State) -> State:
        """Before the first epoch."""
        return state

    def epoch_begin(self, state: State, epoch: int) -> State:
        """Before an epoch, counted from 0."""
        del epoch
        return state

    def batch_begin(self, state: State, step: int) -> State:
        """Before a batch, counted from 0 in its epoch, or before every k-th where the plan says so."""
        del step
        return state

    def batch_end(self, state: State, step: int, logs: Numbers) -> State:
        """After a batch, or the last of k; `logs` are the running means since the epoch began."""
        del step, logs
        return state

    def test_begin(self, state: State) -> State:
        """Before validation."""
        return state

    def test_batch_begin(self, step: int) -> None:
        """Before a batch of validation, where the hook watches them."""

    def test_batch_end(self, step: int, logs: Numbers) -> None:
        """After a batch of validation; `logs` are the running means since validation began."""

    def test_end(self, state: State, logs: Numbers) -> State:
        """After validation."""
        del logs
        return state

    def epoch_end(self, state: State, epoch: int, logs: Numbers) -> State:
        """After an epoch and its validation."""
        del epoch, logs
        return state

    def train_end(self, state: State, logs: Numbers) -> State:
        """After the last epoch, also when training was stopped."""
        del logs
        return state

    def memory(self) -> Any:
        """What the hook remembers between epochs: plain data and arrays, a copy of its own."""
        return None

    def resume(self, state: State, memory: Any) -> State:
        """In place of `train_begin` in a training that goes on where another one stopped.

        Args:
            state: of the model, there.
            memory: what `memory` gave there.
        """
        del memory
        return state

    def cut_off(self, state: State) -> State:
        """After Ctrl-C or a loss that is no number, instead of `train_end`; the state is the one that is kept."""
        return state

    def left(self, state: State) -> None:
        """After Ctrl-C within an epoch: the state after the steps that are done, which is not the one that is kept."""

    def failed(self, state: State) -> State:
        """After an error that ends training; the state is that after the last finished epoch."""
        return state

    def stop_reason(self) -> str | None:
        """Why training should end now, or None."""
        return None


class StopHook(Hook):
    """Stops training when one of a recipe's stop conditions holds."""

    def __init__(self, rule: StopRule) -> None:
        self._rule = rule
        self._reason: str | None = None

    def epoch_end(self, state: State, epoch: int, logs: Numbers) -> State:
        """Shows the epoch's numbers to the rule, which keeps count."""
        del epoch
        self._reason = self._rule.update(logs)
        return state

    def memory(self) -> Any:
        """What the rule has counted."""
        return self._rule.state()

    def resume(self, state: State, memory: Any) -> State:
        """Goes on counting."""
        self._rule.restore(memory)
        return state

    def stop_reason(self) -> str | None:
        """The conditions that hold, or None."""
        return self._reason


class KerasHook(Hook):
    """Calls Keras callbacks as `model.fit` would: `self.model` holds the current weights, and changes to it count."""

    def __init__(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], params: dict[str, Any]
    ) -> None:
        import keras

        self._model = model
        self._names = ", ".join(type(callback).__name__ for callback in callbacks)
        self._shown: Numbers = {}  # the last epoch's numbers, as the last of the callbacks saw them
        last = keras.callbacks.LambdaCallback(on_epoch_end=self._remember)
        try:
            self._callbacks = keras.callbacks.CallbackList([*callbacks, last], add_history=True, model=model, **params)
        except ImportError as error:
            raise without_its_package(error, callbacks) from error
        check_monitors(callbacks)
        # What lasts from epoch to epoch: that of the user's callbacks, and `model.history`.
        self._lasting = [*callbacks, model.history]
        self._unwatched = not callbacks  # nobody looks at the model before training ends
        self.watching = tuple(type(callback).__name__ for callback in callbacks if _watches_batches(callback))
        self.watches_batches = bool(self.watching)
        self.watches_batch_begins = any(_overrides(callback, _BATCH_BEGINS) for callback in callbacks)
        self.watching_tests = tuple(
            type(callback).__name__ for callback in callbacks if _overrides(callback, _TEST_EVENTS)
        )
        self.watches_test_batches = bool(self.watching_tests)
        self.ends_quietly_on_nan = any(isinstance(callback, keras.callbacks.TerminateOnNaN) for callback in callbacks)
        self._held: tuple[State, State] | None = None  # a state, and the model's own copy of it
        self._shown_variables: Variables | None = None

    def notes(self, every: int, *, validation: bool) -> tuple[str, ...]:
        """What the callbacks cost, in words.

        Args:
            every: after how many batches they are called.
            validation: whether there is validation.
        """
        notes = []
        if self.watching and every == 1:
            notes.append(
                f"{', '.join(self.watching)} watches every batch, so the compiled program is left after each one: "
                "a small model takes up to twice as long as with callbacks that only watch epochs. "
                "fit(..., batch_hooks_every=100) calls it after every 100th."
            )
        if self.watching_tests and validation:
            notes.append(
                f"{', '.join(self.watching_tests)} watches the batches of validation, so the compiled program is left "
                "after each one: validation takes several times as long."
            )
        return tuple(notes)

    def _remember(self, epoch: int, logs: Mapping[str, Any]) -> None:
        del epoch
        self._shown = {name: float(value) for name, value in logs.items() if isinstance(value, float | int)}

    def _sync(self, state: State, event: str, *arguments: Any) -> State:
        """Calls the callbacks with the state in the model; gives back the very same state if they leave it alone."""
        if self._unwatched:
            getattr(self._callbacks, event)(*arguments)
            return state
        return self._through_model(state, lambda: getattr(self._callbacks, event)(*arguments))

    def shows(self, state: State) -> bool:
        """Whether the model holds a copy of this state."""
        return bool(self._held and self._held[0] is state and same_values(read_state(self._model), self._held[1]))

    def _through_model(self, state: State, change: Callable[[], object]) -> State:
        self._shown_variables = None  # callbacks may compile, freeze or unfreeze
        if not self.shows(state):
            write_state(self._model, state)
            self._held = state, read_state(self._model)
        change()
        if self.shows(state):
            return state
        after = read_state(self._model)
        self._held = None  # the trainer gets the model's own arrays; the next event must see a copy of them
        return after

    def _sync_batch(self, state: State, event: str, *arguments: Any) -> State:
        """As `_sync`, between two batches: there the model may hold the state's own arrays, since nobody else does.

        (A copy for every batch took longer than the batch. Keras's evaluate, which a callback may call, gives away what
        the model holds; then the model holds other arrays afterwards, and these are the state from there on.)
        """
        if self._held and self._held[0] is state:  # a copy: the state may be that of the epoch before, which is kept
            return self._sync(state, event, *arguments)
        if self._shown_variables is None:
            self._shown_variables = Variables(self._model)
        self._held = None
        if not self._shown_variables.show(state):
            return self._sync(state, event, *arguments)
        # Keras's CallbackList would fetch the numbers, whether or not a callback looks at them.
        for callback in self._callbacks.callbacks:
            getattr(callback, event)(*arguments)
        if not self._shown_variables.are_those_of(self._model):
            self._shown_variables = None
            return read_state(self._model)
        return state if self._shown_variables.hold(state) else read_state(self._model)

    def initial_epoch(self) -> int | None:
        """Where `BackupAndRestore` found that training was cut off."""
        found: int | None = self._model._initial_epoch
        return found

    def train_begin(self, state: State) -> State:
        """Keras's `on_train_begin`."""
        self._model.stop_training = False
        return self._sync(state, "on_train_begin")

    def memory(self) -> Any:
        """What each callback remembers, and what `model.history` shows."""
        return {"callbacks": remembered(self._lasting), "stop_training": bool(self._model.stop_training)}

    def resume(self, state: State, memory: Any) -> State:
        """Keras's `on_train_begin`, after which the callbacks know again what they knew."""
        continue_files(self._lasting)
        self.train_begin(state)
        recall(self._lasting, memory["callbacks"])
        self._model.stop_training = memory["stop_training"]
        return state

    def epoch_begin(self, state: State, epoch: int) -> State:
        """Keras's `on_epoch_begin`."""
        return self._sync(state, "on_epoch_begin", epoch)

    def batch_begin(self, state: State, step: int) -> State:
        """Keras's `on_train_batch_begin`."""
        return self._sync_batch(state, "on_train_batch_begin", step, {})

    def batch_end(self, state: State, step: int, logs: Numbers) -> State:
        """Keras's `on_train_batch_end`."""
        return self._sync_batch(state, "on_train_batch_end", step, logs)

    def test_begin(self, state: State) -> State:
        """Keras's `on_test_begin`."""
        return self._sync(state, "on_test_begin")

    def test_batch_begin(self, step: int) -> None:
        """Keras's `on_test_batch_begin`; weights that a callback changes there are not taken over."""
        self._callbacks.on_test_batch_begin(step)

    def test_batch_end(self, step: int, logs: Numbers) -> None:
        """Keras's `on_test_batch_end`."""
        self._callbacks.on_test_batch_end(step, dict(logs))

    def test_end(self, state: State, logs: Numbers) -> State:
        """Keras's `on_test_end`."""
        return self._sync(state, "on_test_end", dict(logs))

    def epoch_end(self, state: State, epoch: int, logs: Numbers) -> State:
        """Keras's `on_epoch_end`. What callbacks add to the numbers (a learning rate, say) is kept, as in Keras."""
        state = self._sync(state, "on_epoch_end", epoch, logs)
        logs |= self._shown
        return state

    def train_end(self, state: State, logs: Numbers) -> State:
        """Keras's `on_train_end`, after averaged weights (if the optimizer keeps them) have taken their place."""
        return self._sync(self.cut_off(state), "on_train_end", dict(logs))

    def cut_off(self, state: State) -> State:
        """The state after the optimizer's averaged weights, if it keeps them, have taken the place of the weights."""
        optimizer, weights = self._model.optimizer, self._model.trainable_weights
        return self._through_model(state, lambda: optimizer.finalize_variable_values(weights))

    def left(self, state: State) -> None:
        """Leaves the model with the steps that were done, as Keras does."""
        self.cut_off(state)

    def failed(self, state: State) -> State:
        """Leaves the model as it is, unless its memory went to the step that failed, or it was not shown the state."""
        if self._unwatched or not is_alive(read_state(self._model)):
            write_state(self._model, state)
        return state

    def stop_reason(self) -> str | None:
        """A callback has set `self.model.stop_training`."""
        if not self._model.stop_training:
            return None
        return f"a callback set stop_training ({self._names})"


_BATCH_BEGINS = ("on_batch_begin", "on_train_batch_begin")
_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_TEST_EVENTS = ("on_test_batch_begin", "on_test_batch_end")


def _watches_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback overrides one of Keras's batch events and would do something there."""
    import keras

    if isinstance(callback, keras.callbacks.TerminateOnNaN):
        return False  # the trainer itself stops on the first loss that is no number
    if isinstance(callback, (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)):
        return bool(callback.save_freq != "epoch")
    return _overrides(callback, _BATCH_EVENTS)


def _overrides(callback: keras.callbacks.Callback, events: Sequence[str]) -> bool:
    # Keras marks its own empty methods, so that an override can be told.
    return any(not getattr(getattr(callback, event), "_is_default", False) for event in events)
