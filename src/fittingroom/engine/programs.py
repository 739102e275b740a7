"""The compiled programs of one model: traced for the sizes they meet, compiled once, the compile time kept apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from fittingroom.engine.devices import Sharing, work_per_step
from fittingroom.engine.epoch import Examples, ImageOutcomes, Logs, StepFunctions
from fittingroom.engine.snapshots import ValidationResult
from fittingroom.engine.state import State

Order = np.ndarray[Any, np.dtype[np.int32]]
# A step is the training program too, and takes over the memory of the state that it is given. A group is that program
# as well, and notes the numbers after each step.
ProgramName = Literal["train", "step", "group", "evaluate", "predict"]

# One call of the training program takes about this long: Ctrl-C and the progress line wait no longer than that.
SECONDS_PER_CALL = 0.25
# Large enough that a batch keeps one core busy, small enough that a convolutional network's activations fit in memory.
EVALUATION_BATCH = 500


class ProgramSource(Protocol):
    """Where programs come from: traced from a Keras model, or read from a file."""

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        ...

    def on(self, devices: int) -> ProgramSource:
        """The same programs, in which up to so many devices share a batch."""
        ...


class TracedPrograms:
    """Programs traced from the step functions of a model.

    Args:
        steps: what the model does with one batch.
        batch_size: images in a training step.
        scale: what stored images are divided by, or None.
        evaluation_batch: images in a step of evaluation.
        devices: the most devices that may share a batch; `Sharing.of` says how many do.
    """

    def __init__(
        self,
        steps: StepFunctions,
        batch_size: int,
        scale: float | None,
        *,
        evaluation_batch: int = EVALUATION_BATCH,
        devices: int = 1,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.scale = scale
        self.evaluation_batch = evaluation_batch
        self.devices = devices

    def on(self, devices: int) -> TracedPrograms:
        """The same programs, in which up to so many devices share a batch."""
        return TracedPrograms(
            self.steps, self.batch_size, self.scale, evaluation_batch=self.evaluation_batch, devices=devices
        )

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        function, sharing, by_onednn = self.jitted(name, arguments)
        return sharing.compiled(function, arguments, by_onednn=by_onednn)

    def jitted(self, name: ProgramName, arguments: tuple[Any, ...]) -> tuple[Any, Sharing, bool]:
        """The function `name` for `jax.jit`'s ways to compile, who shares its batches, and whether oneDNN convolves."""
        # Nothing is donated but by single steps: the state before a call must outlive it, since a first NaN among its
        # steps is found by running them again, and Ctrl-C must leave a model with weights.
        given_up = (0,) if name == "step" else ()
        alone = jax.jit(self.program(name, arguments), donate_argnums=given_up)
        if name == "predict" or (self.devices == 1 and name == "evaluate"):
            return alone, Sharing(1), False
        jaxpr = alone.trace(*Sharing.shapes_of(arguments)).jaxpr.jaxpr
        sharing = self._sharing(name, work_per_step(jaxpr), arguments)
        steps = arguments[1].images.shape[0] / self.batch_size
        by_onednn = name != "evaluate" and _by_onednn(int(steps * work_per_step(jaxpr, convolutions_alone=True)))
        if sharing.devices > 1:
            shared = self._rewritten(name, arguments, sharing.steps(self.steps), sharing.everywhere.mesh, by_onednn)
            return sharing.jitted(shared), sharing, by_onednn
        if by_onednn:
            alone = jax.jit(self._rewritten(name, arguments, self.steps, None, by_onednn), donate_argnums=given_up)
        return alone, sharing, by_onednn

    def program(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The pure function `name` for one device; `arguments` are what it will be called with."""
        return self._rewritten(name, arguments, self.steps)

    def _sharing(self, name: ProgramName, work: int, arguments: tuple[Any, ...]) -> Sharing:
        if self.devices == 1:
            return Sharing(1)
        batch_size = self.batch_size
        if name == "evaluate":
            batch_size = min(self.evaluation_batch, arguments[1].images.shape[0])
        weights = sum(math.prod(leaf.shape) for leaf in arguments[0].trainable)
        return Sharing.of(work, weights, batch_size, self.devices)

    def _rewritten(
        self,
        name: ProgramName,
        arguments: tuple[Any, ...],
        steps: StepFunctions,
        mesh: Any = None,
        by_onednn: bool = False,
    ) -> Callable[..., Any]:
        function = self._function(name, arguments, steps)

        def rewritten(*arguments: Any) -> Any:
            # Runs while JAX traces, so that the program holds our convolutions.
            from fittingroom.engine.rewriting import rewritten_for_cpu

            with rewritten_for_cpu(mesh, by_onednn=by_onednn):
                return function(*arguments)

        return rewritten

    def _function(self, name: ProgramName, arguments: tuple[Any, ...], steps: StepFunctions) -> Callable[..., Any]:
        if name == "predict":
            return steps.predict_program(self.scale)
        count = arguments[1].images.shape[0]
        if name in {"train", "step", "group"}:
            return steps.train_program(count, self.batch_size, self.scale, noting=name == "group")
        return steps.evaluate_program(count, self.evaluation_batch, self.scale)


# What an epoch must take, in multiply-adds of convolutions, for oneDNN to be worth it: a program that calls it is
# compiled anew in each process (decision 79).
_LEAST_FOR_ONEDNN = 100_000_000_000


def _by_onednn(work: int) -> bool:
    """Whether oneDNN convolves in a training with so many multiply-adds of convolutions in an epoch."""
    # Several hosts must run the same program, and one of them may lack oneDNN.
    if work < _LEAST_FOR_ONEDNN or jax.default_backend() != "cpu" or jax.process_count() > 1:
        return False
    from fittingroom.engine.onednn import types_computed

    return bool(types_computed())


class Programs:
    """Calls the programs of a source, compiling each once for the shapes it meets.

    Devices share the batches of evaluation only where they share those of training. Elsewhere seeds train side by side,
    a core each, and one that evaluated on all cores would hold up the others.

    Args:
        source: where the programs come from.
    """

    def __init__(self, source: ProgramSource) -> None:
        self._source = source
        self._compiled: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._stepping: tuple[tuple[int, ...], Callable[..., Any], Any] | None = None
        self.compile_seconds = 0.0
        self.steps_per_call = 1  # the trainer raises it to what takes about a quarter of a second
        self.keeps_pace = False  # whether it does not, since several processes must call the same programs

    @property
    def compilations(self) -> int:
        """How many programs have been compiled so far."""
        return len(self._compiled)

    @property
    def devices(self) -> int:
        """How many devices share a batch of training; 1 until that is compiled."""
        training = (program for key, program in self._compiled.items() if key[0] in {"train", "step", "group"})
        return max((getattr(program, "devices", 1) for program in training), default=1)

    def learn_pace(self, steps: int, seconds: float) -> None:
        """Sets how many steps the next call runs: at most eight times as many, since the first calls are slow."""
        if steps >= self.steps_per_call and not self.keeps_pace:  # the rest of an epoch says little
            wanted = int(steps * SECONDS_PER_CALL / max(seconds, 1e-6))
            self.steps_per_call = max(1, min(wanted, 8 * steps))

    def train(self, state: State, examples: Examples, order: Order, start: int, stop: int) -> tuple[State, Logs]:
        """Runs steps `start` to `stop` of an epoch; returns at once, before the device is done."""
        result: tuple[State, Logs] = self._call("train", state, examples, order, np.int32(start), np.int32(stop))
        return result

    def step(self, state: State, examples: Examples, order: Order, start: int, stop: int) -> tuple[State, Logs]:
        """What `train` does; the state that it is given is gone afterwards, which makes single steps faster."""
        arguments = (state, examples, order, np.int32(start), np.int32(stop))
        # Looking up a program compares the shapes of all arguments, which would take as long as a small step. Within an
        # epoch the arrays are the same objects, and the shapes of a state change only with the sizes of its groups.
        same = (id(examples), id(order), *map(len, state))
        if self._stepping is None or self._stepping[0] != same:
            self._stepping = same, self._executable("step", arguments), (examples, order)
        result: tuple[State, Logs] = self._stepping[1](*arguments)
        return result

    def group(self, state: State, examples: Examples, order: Order, start: int, stop: int) -> tuple[State, Logs, Logs]:
        """What `train` does for at most `MOST_STEPS_GROUPED` steps, and the logs after each of them."""
        result: tuple[State, Logs, Logs] = self._call("group", state, examples, order, np.int32(start), np.int32(stop))
        return result

    def forget(self) -> None:
        """Lets go of the images that were trained on, where the programs are kept for another call."""
        self._stepping = None
        for program in self._compiled.values():
            if hasattr(program, "forget"):
                program.forget()

    def evaluate(self, state: State, examples: Examples) -> tuple[Logs, ImageOutcomes]:
        """The metrics over all examples, and the outcome of each."""
        result: tuple[Logs, ImageOutcomes] = self._call("evaluate", state.weights, examples)
        return result

    def validate(self, state: State, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> ValidationResult:
        """Accuracy, loss and outcomes of images `(n, ...)` with class indices `(n,)`, by the answers of `predict`.

        They differ from `evaluate` where a recipe averages its answers over several views of an image.
        """
        logs = self.log_probabilities(state, images)
        true_class = logs[np.arange(len(labels)), labels]
        predicted = logs.argmax(axis=1).astype(np.int32)
        means = {"accuracy": float((predicted == labels).mean()), "loss": float(-true_class.mean())}
        kept = ImageOutcomes.kept_probabilities(jnp.asarray(logs))
        outcomes = ImageOutcomes(*map(jnp.asarray, (-true_class, predicted, np.exp(true_class), kept)))
        return ValidationResult(means, outcomes, None)

    def log_probabilities(self, state: State, images: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logarithms of the class probabilities, float32 `(images, classes)`.

        Images go through in batches padded to a power of two, so that few shapes are ever compiled.
        """
        at_once = self._fixed_batch or int(getattr(self._source, "evaluation_batch", EVALUATION_BATCH))
        parts = [
            self._predict_batch(state, images[start : start + at_once]) for start in range(0, len(images), at_once)
        ]
        return np.concatenate(parts)

    @property
    def _fixed_batch(self) -> int | None:
        steps = getattr(self._source, "steps", None)
        return None if steps is None else steps.fixed_batch

    def _predict_batch(self, state: State, images: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        size = self._fixed_batch or 1 << (len(images) - 1).bit_length()
        padded = np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])
        return np.asarray(self._call("predict", state.weights, padded))[: len(images)]

    def prepare_train(
        self, state: State, examples: Examples, order: Order, name: Literal["train", "step", "group"] = "train"
    ) -> None:
        """Compiles the training program, or that of single steps or groups, before the clock of training starts."""
        self._executable(name, (state, examples, order, np.int32(0), np.int32(0)))

    def prepare_evaluate(self, state: State, examples: Examples) -> None:
        """Compiles the evaluation program before the clock of training starts."""
        self._executable("evaluate", (state.weights, examples))

    def _call(self, name: ProgramName, *arguments: Any) -> Any:
        return self._executable(name, arguments)(*arguments)

    def _executable(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        leaves, structure = jax.tree.flatten(arguments)
        key = (name, structure, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._compiled:
            started = time.perf_counter()
            # See the class: evaluation is shared only where training is.
            source = self._source.on(1) if name == "evaluate" and self.devices == 1 else self._source
            self._compiled[key] = source.compile(name, arguments)
            self.compile_seconds += time.perf_counter() - started
        return self._compiled[key]


def numbers(logs: Logs) -> dict[str, float]:
    """Logs as Python floats; this waits for the device."""
    return {name: float(np.asarray(value)) for name, value in logs.items()}


class PendingCalls:
    """Calls of programs that have begun, and whose logs nobody has looked at: steps, logs, those after each step."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.calls: list[tuple[int, int, Logs, Logs | None]] = []
        self.steps = 0

    def add(self, start: int, stop: int, logs: Logs, noted: Logs | None) -> None:
        """Takes the logs of a call, which may still run."""
        self.calls.append((start, stop, logs, noted))
        self.steps += stop - start

    def older(self) -> PendingCalls:
        """Takes out all but the newest call, which may still run while these are looked at."""
        older, newest = PendingCalls(), self.calls.pop()
        older.began, older.calls, older.steps = self.began, self.calls, self.steps - (newest[1] - newest[0])
        self.__init__()  # type: ignore[misc]
        self.add(*newest)
        return older

    def first_bad(self) -> tuple[int, int] | None:
        """The first and the last step of the first call, or part of one, after which the loss is not finite.

        This waits for all.
        """
        for start, stop, logs, noted in self.calls:
            losses = np.asarray([logs["loss"]] if noted is None else noted["loss"])
            bad = np.flatnonzero(~np.isfinite(losses[: stop - start]))
            if bad.size:
                return (start, stop) if noted is None else (start + int(bad[0]), start + int(bad[0]) + 1)
        return None
