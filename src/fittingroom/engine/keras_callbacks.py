"""A user's Keras callbacks as one callback of the engine: checked before training, and called as `model.fit` would."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fittingroom.engine.callbacks import Callback, LastingCallbacks, Numbers
from fittingroom.engine.hidden_variables import HiddenVariables
from fittingroom.engine.state import State, Variables
from fittingroom.errors import InputError
from fittingroom.text import word_list

if TYPE_CHECKING:
    import keras

# A group of steps needs the state before it. Copying a larger one takes longer than a call of the program.
MOST_BYTES_OF_STATE = 16 * 2**20


class KerasCallbacks(Callback):
    """Calls Keras callbacks as `model.fit` would: `self.model` has the current weights, and changes to it count.

    Args:
        model: the model that is trained.
        callbacks: the user's.
        params: what Keras's callbacks find in their `params`: verbose, epochs, steps.

    Raises:
        InputError: a callback needs a package that is not installed, or watches a number that there is not.
    """

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
            raise _missing_package(error, callbacks) from error
        _check_monitors(callbacks)
        self._lasting = LastingCallbacks([*callbacks, model.history])
        self._unwatched = not callbacks  # nobody looks at the model before training ends, so it need not be written
        self.watching = tuple(type(callback).__name__ for callback in callbacks if _watches_batches(callback))
        self.watches_batches = bool(self.watching)
        self.watches_batch_begins = any(_overrides(callback, _BATCH_BEGINS) for callback in callbacks)
        self.watching_tests = tuple(
            type(callback).__name__
            for callback in callbacks
            if not _counts_alone(callback) and _overrides(callback, _TEST_EVENTS)
        )
        self.watches_test_batches = bool(self.watching_tests)
        self.ends_quietly_on_nan = any(isinstance(callback, keras.callbacks.TerminateOnNaN) for callback in callbacks)
        self._held: tuple[State, State] | None = None  # a state, and the model's own copy of it
        self._shown_variables: Variables | None = None
        self._hidden: HiddenVariables | None = None

    @staticmethod
    def checked(given: Sequence[Any]) -> tuple[keras.callbacks.Callback, ...]:
        """The callbacks that `fit` was given.

        Raises:
            InputError: one of them is a class, a function, or something else.
        """
        import keras

        for callback in given:
            if isinstance(callback, keras.callbacks.Callback):
                continue
            if isinstance(callback, type) and issubclass(callback, keras.callbacks.Callback):
                name = callback.__name__
                raise InputError(f"The callback {name} is a class; expected an instance of it: {name}().")
            if callable(callback):
                name = getattr(callback, "__name__", type(callback).__name__)
                raise InputError(
                    f"The callback {name} is a function; expected an instance of keras.callbacks.Callback, such as "
                    f"keras.callbacks.LambdaCallback(on_epoch_end={'...' if name == '<lambda>' else name})."
                )
            raise InputError(
                f"callbacks holds a {type(callback).__name__}; expected instances of keras.callbacks.Callback, such as "
                "keras.callbacks.EarlyStopping()."
            )
        return tuple(given)

    @staticmethod
    def copies(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[keras.callbacks.Callback, ...]:
        """Copies of the callbacks for one of several seeds.

        Raises:
            InputError: one cannot be copied, or writes to a file that all seeds would share.
        """
        import keras

        of_one_path = ("BackupAndRestore", "CSVLogger", "ModelCheckpoint", "TensorBoard")
        writers = tuple(getattr(keras.callbacks, name) for name in of_one_path)
        for callback in callbacks:
            if isinstance(callback, writers):
                raise InputError(
                    f"The callback {type(callback).__name__} writes to one path, so all seeds would overwrite "
                    "each other's files. Leave it out (the run's folder keeps every seed), or train one seed after "
                    "the other."
                )
        try:
            return tuple(copy.deepcopy(callback) for callback in callbacks)
        except Exception as error:  # whatever a user's own object may raise
            raise InputError(
                f"Each seed needs its own copy of the callbacks, and these cannot be copied: {error}. Remove "
                "open files and the like from them, or train one seed after the other."
            ) from error

    def notes(self, every: int, *, validation: bool) -> tuple[str, ...]:
        """What the user should know of the time that the callbacks cost.

        Args:
            every: after how many batches they are called.
            validation: whether there is validation.
        """
        notes = []
        if self.watching and every == 1 and self.for_groups() is None:
            notes.append(
                f"{word_list(self.watching)} {'watches' if len(self.watching) == 1 else 'watch'} every batch, so the "
                "compiled program stops after each one, and a "
                "small model takes up to twice as long. fit(..., batch_hooks_every=100) calls it after every 100th."
            )
        if self.watching_tests and validation:
            notes.append(
                f"{word_list(self.watching_tests)} {'watches' if len(self.watching_tests) == 1 else 'watch'} the "
                "batches of validation, so the compiled program stops "
                "after each one, and validation takes several times as long."
            )
        return tuple(notes)

    def _remember(self, epoch: int, logs: Mapping[str, Any]) -> None:
        del epoch
        self._shown = {name: float(value) for name, value in logs.items() if isinstance(value, float | int)}

    def _sync(self, state: State, event: str, *arguments: Any) -> State:
        """Calls the callbacks with the state in the model; returns the very same state if they leave it alone."""
        if self._unwatched:
            getattr(self._callbacks, event)(*arguments)
            return state
        return self._through_model(state, lambda: getattr(self._callbacks, event)(*arguments))

    def shows(self, state: State) -> bool:
        """Whether the model holds a copy of this state."""
        return bool(self._held and self._held[0] is state and State.of(self._model).is_same_as(self._held[1]))

    def _through_model(self, state: State, change: Callable[[], object]) -> State:
        self._shown_variables = None  # callbacks may compile, freeze or unfreeze
        if not self.shows(state):
            state.write_to(self._model)
            self._held = state, State.of(self._model)
        change()
        if self.shows(state):
            return state
        after = State.of(self._model)
        self._held = None  # the trainer gets the model's own arrays; the next event must see a copy of them
        return after

    def _sync_batch(self, state: State, event: str, *arguments: Any) -> State:
        """As `_sync`, between two batches. There the model holds the state's own arrays, since nobody else needs them.

        A copy for every batch took longer than the batch. Keras's evaluate, which a callback may call, gives away what
        the model holds; then the model holds other arrays afterwards, and training continues from those.
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
            return State.of(self._model)
        return state if self._shown_variables.hold(state) else State.of(self._model)

    def for_groups(self) -> KerasCallbacks | None:
        """Itself, where the model is small and its variables can tell when somebody looks at them."""
        variables = Variables(self._model)
        return self if HiddenVariables.can_hide(variables) and variables.nbytes <= MOST_BYTES_OF_STATE else None

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Within the context, `unseen_batch` calls them without a state to see; nobody else looks at the model."""
        if self._shown_variables is None:
            self._shown_variables = Variables(self._model)
        self._held, self._hidden = None, HiddenVariables(self._shown_variables)
        try:
            yield
        finally:
            self._hidden.reveal()
            self._hidden = None

    def unseen_batch(self, event: str, step: int, logs: Numbers, find: Callable[[], State]) -> State | None:
        """Calls them for a batch. If none looks at the model, it returns None; else the state as they left it.

        Args:
            event: the name of Keras's method.
            step: the batch's number in the epoch.
            logs: its numbers.
            find: gives the state that they would see, when one of them looks, and where one raises.
        """
        hidden, variables, model = self._hidden, self._shown_variables, self._model
        assert hidden is not None
        assert variables is not None
        hidden.hide(find)
        try:
            for callback in self._callbacks.callbacks:
                getattr(callback, event)(step, logs)
        except BaseException:
            hidden.look()  # the model is left as the callback would have seen it
            raise
        if hidden.is_hidden and variables.are_of_optimizer(model):
            return None
        shown = hidden.look()
        if not variables.are_those_of(model):
            self._shown_variables = None
            return State.of(model)
        return shown if variables.hold(shown) else State.of(model)

    def show(self, state: State) -> None:
        """Makes the model hold the state's own arrays, which nobody else needs."""
        if self._shown_variables is None or not self._shown_variables.show(state):
            state.write_to(self._model)

    def initial_epoch(self) -> int | None:
        """The epoch where `BackupAndRestore` found that training was cut off."""
        epoch: int | None = self._model._initial_epoch
        return epoch

    def train_begin(self, state: State) -> State:
        """Keras's `on_train_begin`."""
        self._model.stop_training = False
        return self._sync(state, "on_train_begin")

    def memory(self) -> Any:
        """What each callback remembers, and what `model.history` shows."""
        return {"callbacks": self._lasting.remembered(), "stop_training": bool(self._model.stop_training)}

    def resume(self, state: State, memory: Any) -> State:
        """Keras's `on_train_begin`; then the callbacks get back what they remembered."""
        self._lasting.continue_files()
        self.train_begin(state)
        self._lasting.recall(memory["callbacks"])
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
        """Keras's `on_epoch_end`. Numbers that callbacks add to the logs (a learning rate) are kept, as in Keras."""
        state = self._sync(state, "on_epoch_end", epoch, logs)
        logs |= self._shown
        return state

    def train_end(self, state: State, logs: Numbers) -> State:
        """Keras's `on_train_end`, after averaged weights, if the optimizer has them, have replaced the weights."""
        return self._sync(self.cut_off(state), "on_train_end", dict(logs))

    def cut_off(self, state: State) -> State:
        """The state after the optimizer's averaged weights, if it keeps them, have replaced the weights."""
        optimizer, weights = self._model.optimizer, self._model.trainable_weights
        return self._through_model(state, lambda: optimizer.finalize_variable_values(weights))

    def left(self, state: State) -> None:
        """Leaves the model with the steps that were done, as Keras does after Ctrl-C."""
        self.cut_off(state)

    def failed(self, state: State) -> State:
        """Leaves the model as it is, unless it was never written, or its memory went to the step that failed."""
        if self._unwatched or not State.of(self._model).is_alive:
            state.write_to(self._model)
        return state

    def stop_reason(self) -> str | None:
        """Why training should end: a callback has set `self.model.stop_training`."""
        if not self._model.stop_training:
            return None
        return f"a callback set stop_training ({self._names})"


_BATCH_BEGINS = ("on_batch_begin", "on_train_batch_begin")
_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_TEST_EVENTS = ("on_test_batch_begin", "on_test_batch_end")


def _watches_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback does something at one of Keras's batch events."""
    import keras

    if isinstance(callback, keras.callbacks.TerminateOnNaN):
        return False  # the trainer itself stops on the first non-finite loss
    if isinstance(callback, (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)):
        return bool(callback.save_freq != "epoch")
    return not _counts_alone(callback) and _overrides(callback, _BATCH_EVENTS)


def _counts_alone(callback: keras.callbacks.Callback) -> bool:
    """Whether this is Keras's `TensorBoard`, and does nothing at a batch but count it: it writes after epochs."""
    import keras

    if type(callback) is not keras.callbacks.TensorBoard:
        return False
    return callback.update_freq == "epoch" and not callback.write_steps_per_second and not callback._should_trace


def _overrides(callback: keras.callbacks.Callback, events: Sequence[str]) -> bool:
    # Keras marks its own empty methods with `_is_default`.
    return any(not getattr(getattr(callback, event), "_is_default", False) for event in events)


def _missing_package(error: ImportError, callbacks: Sequence[keras.callbacks.Callback]) -> InputError:
    """The error for a callback of Keras's that needs a package which is not installed."""
    names = ", ".join(type(callback).__name__ for callback in callbacks)
    package = f"the package {error.name}" if error.name else "a package"
    return InputError(
        f"The callbacks ({names}) need {package}, which is not installed: {error}. Install it, or leave the callback "
        "out: the numbers of each epoch are in the run's folder and on the page of run.report()."
    )


def _check_monitors(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Refuses callbacks that watch a number which the model does not have.

    Keras finds that out after the first epoch, when it looks up whether small or large is better.

    Args:
        callbacks: with their built model.

    Raises:
        InputError: the model has no metric of this name, and the callback's `mode` is not given.
    """
    from keras.src.callbacks.monitor_callback import MonitorCallback  # Keras does not export it

    for callback in callbacks:
        if not isinstance(callback, MonitorCallback) or callback.monitor_op is not None:
            continue
        try:
            copy.copy(callback)._set_monitor_op()
        except ValueError as error:
            names = _metric_names(callback.model)
            near = difflib.get_close_matches(callback.monitor, names, n=1, cutoff=0.5)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(
                f"{type(callback).__name__} watches {callback.monitor!r}, but the model has {word_list(names)}.{meant} "
                "For a number that another callback adds to the logs, give mode='min' or 'max'."
            ) from error


def _metric_names(model: keras.Model) -> list[str]:
    names = ["loss"]
    for metric in model.metrics:
        names += [part.name for part in getattr(metric, "metrics", (metric,)) if part.name not in names]
    return [*names, *(f"val_{name}" for name in names)]
