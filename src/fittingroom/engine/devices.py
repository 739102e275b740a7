"""The devices: JAX started with what the engine needs, and batches that several devices share.

Devices share the batches of one seed where a step is long enough to gain. They may belong to several processes, which
then run the same program (`engine/hosts.py`). They are laid out as a mesh of one axis. The state and the examples lie
whole on each of them; within a step, each computes its share of the batch, and XLA adds up the sums over the batch:
gradients, metrics, the moments of batch normalisation. So the result is that of one device but for the rounding of
sums.
"""

from __future__ import annotations

import functools
import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import fittingroom
from fittingroom.data.cache import cache_dir
from fittingroom.engine.epoch import Examples, StepFunctions
from fittingroom.errors import InputError

_MEND = (
    "Import fittingroom before keras, or set the environment variable KERAS_BACKEND=jax, then restart Python (in a "
    "notebook, its kernel)."
)


def require_jax_backend() -> None:
    """Imports Keras, and makes sure that it runs on JAX.

    Raises:
        InputError: another backend is active, or the one that is configured is not installed.
    """
    try:
        import keras
    except ModuleNotFoundError as error:
        raise InputError(
            f"Keras is configured for a backend whose package {error.name!r} is not installed. Fitting Room trains on "
            f"JAX. {_MEND}"
        ) from error
    active = keras.config.backend()
    if active != "jax":
        raise InputError(f"Keras runs on its {active} backend, but Fitting Room trains on JAX. {_MEND}")


# Under a smaller limit (`ulimit -v`), XLA and LLVM end the process without a word.
_LEAST_ADDRESSES = 2**30  # bytes


def prepare_jax() -> None:
    """Makes sure that JAX can run programs here, and turns on its persistent compile cache.

    Raises:
        InputError: JAX ran before this process was forked, finds no device, or is set to compile nothing.
        MemoryError: JAX has too little address space.
    """
    _check_not_forked()
    _start_jax()


def _check_not_forked() -> None:
    """Raises InputError in a process that was forked after JAX had run: there, its programs would never end."""
    if fittingroom.jax_ran_before_fork:
        raise InputError(
            "This process was forked after JAX had run, and JAX's threads do not survive a fork: training would hang. "
            "Start processes with multiprocessing.get_context('spawn'), or train several seeds or recipes in one call: "
            "fr.train(..., seeds=5), fr.experiment(...)."
        )


@functools.cache
def _start_jax() -> None:
    """Starts JAX's devices, and sets JAX's compile cache to our cache folder unless the user has chosen another.

    JAX would warn about a folder that cannot be written at every program, so that is left out. By default JAX keeps
    only programs that take a second to compile; ours take less, and are needed in every process.
    """
    _check_address_space()
    import jax

    if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
        raise InputError("JAX_DISABLE_JIT is set, but Fitting Room trains with compiled programs. Unset it.")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # an assertion, where a platform was asked for that has no device
        chosen = jax.config.jax_platforms  # type: ignore[attr-defined]
        reason = f": {error}" if str(error) else ""
        if chosen:
            raise InputError(
                f"JAX_PLATFORMS={chosen}, but JAX finds no such device here{reason}. Unset it, or set it to cpu."
            ) from error
        named = os.environ.get("JAX_PLATFORM_NAME")
        way = f" JAX_PLATFORM_NAME={named} is set. Unset it, or set it to cpu." if named else ""
        raise InputError(f"JAX finds no device to run on{reason}.{way}".replace("..", ".")) from error
    folder = cache_dir() / "compiled"
    if jax.config.jax_compilation_cache_dir is None and _is_writable(folder):  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _check_address_space() -> None:
    """Raises MemoryError where the limit of address space is too low for JAX."""
    try:
        found = re.search(r"^Max address space +(\d+) ", Path("/proc/self/limits").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return
    if found is not None and int(found[1]) < _LEAST_ADDRESSES:
        raise MemoryError(
            f"ulimit -v allows {int(found[1]) / 2**20:,.0f} MB of address space, but JAX needs at least "
            f"{_LEAST_ADDRESSES >> 20:,} MB"
        )


def _is_writable(folder: Path) -> bool:
    """Whether files can be written in a folder, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def platform_and_threads() -> tuple[str, int | None]:
    """The platform that trains (cpu, gpu), and how many threads an arithmetic operation uses on a CPU.

    That is 1 as we set it up, and None where XLA_FLAGS say otherwise.
    """
    import jax

    single = "--xla_cpu_multi_thread_eigen=false" in os.environ.get("XLA_FLAGS", "")
    return jax.devices()[0].platform, 1 if single else None


BATCH = "batch"

# What sharing a step costs each device, in multiply-adds that it could have done meanwhile: to meet, and for each
# weight, to add up its gradient and update it on every device. Measured by `python -m benchmarks.sharing`.
COST_OF_MEETING, COST_PER_WEIGHT = 20_000_000, 400


@dataclass(frozen=True)
class Sharing:
    """Devices that share the batches of a program: the first ones of each process, as a mesh of one axis.

    Args:
        devices: how many, as many of each process; 1 for no sharing.
    """

    devices: int

    @staticmethod
    def available() -> int:
        """How many may share a batch: all CPU devices of each process; one accelerator, until more are measured."""
        each = jax.local_device_count() if jax.default_backend() == "cpu" else 1
        return int(each * jax.process_count())

    @classmethod
    def of(cls, work: int, weights: int, batch_size: int, available: int) -> Sharing:
        """As many devices as get equal parts of a batch, each with more work than sharing costs.

        The answer depends on shapes alone, never on a clock, so that results can be repeated to the bit.

        Args:
            work: multiply-adds of a step, from `work_per_step`.
            weights: how many numbers are trained.
            batch_size: images in a step.
            available: the most devices to use.
        """
        return cls(_sharing_devices(work, weights, batch_size, available))

    @property
    def everywhere(self) -> NamedSharding:
        """The sharding of arrays that lie whole on each of the devices."""
        if jax.process_count() == 1 or self.devices == 1:
            chosen = jax.local_devices()[: self.devices]
        else:
            each = self.devices // jax.process_count()
            chosen = [one for process in range(jax.process_count()) for one in jax.local_devices(process)[:each]]
        return NamedSharding(Mesh(np.array(chosen), (BATCH,)), PartitionSpec())

    def steps(self, steps: StepFunctions) -> StepFunctions:
        """The same steps, the batch shared; where it has no equal parts, each device computes all of it."""
        mesh = self.everywhere.mesh

        def shared(batch: Any) -> Any:
            if jax.tree.leaves(batch)[0].shape[0] % self.devices:
                return batch
            return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(BATCH)))

        return replace(
            steps,
            train_step=lambda state, batch: steps.train_step(state, shared(batch)),
            test_step=lambda state, batch: steps.test_step(state, shared(batch)),
            forward=lambda state, images: steps.forward(state, shared(images)),
        )

    def jitted(self, function: Callable[..., Any]) -> Any:
        """A function for `jax.jit`'s ways to compile, whose arguments and results lie whole on each of the devices."""
        whole = self.everywhere
        return jax.jit(function) if self.devices == 1 else jax.jit(function, in_shardings=whole, out_shardings=whole)

    def compiled(self, jitted: Any, arguments: tuple[Any, ...], *, by_onednn: bool = False) -> Callable[..., Any]:
        """The program of a jitted function for arguments of these shapes, called with arrays on the first device."""
        lowered = jitted.lower(*(arguments if self.devices == 1 else Sharing.shapes_of(arguments)))
        with not_kept() if by_onednn else nullcontext():
            program: Callable[..., Any] = lowered.compile(_compiler_options())
        return program if self.devices == 1 else _SharedProgram(program, self)

    @staticmethod
    def shapes_of(arguments: Any) -> Any:
        """The arguments as shapes and types alone, which lie on no device."""
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arguments)


def _compiler_options() -> dict[str, Any]:
    """What XLA is told beyond its defaults, for our programs alone.

    By itself it holds back to vectors of 256 bits, which costs a tenth of a step where the processor has 512. Others
    are not affected.
    """
    own = "xla_cpu_prefer_vector_width" in os.environ.get("XLA_FLAGS", "")
    return {} if own or jax.default_backend() != "cpu" else {"xla_cpu_prefer_vector_width": 512}


def _sharing_devices(work: int, weights: int, batch_size: int, available: int) -> int:
    """How many devices share a batch, from the multiply-adds of one step."""
    cost = COST_OF_MEETING + COST_PER_WEIGHT * weights
    processes = jax.process_count()
    equal = (count for count in range(2, available + 1) if batch_size % count == 0 and count % processes == 0)
    return max((count for count in equal if work // count >= cost), default=1)


_CACHE_SETTING = "jax_persistent_cache_min_compile_time_secs"
_not_keeping = threading.Lock()


@contextmanager
def not_kept() -> Iterator[None]:
    """Within the context, JAX writes no program into its cache: it would take oneDNN's call for another, and fail."""
    with _not_keeping:
        seconds = getattr(jax.config, _CACHE_SETTING)
        jax.config.update(_CACHE_SETTING, 1e9)
        try:
            yield
        finally:
            jax.config.update(_CACHE_SETTING, seconds)


class _SharedProgram:
    """A compiled program whose batches several devices share. Its arguments and results lie on the first of them.

    Args:
        compiled: takes and returns arrays that lie on every device.
        sharing: the devices.
    """

    def __init__(self, compiled: Callable[..., Any], sharing: Sharing) -> None:
        self.devices = sharing.devices
        self._compiled = compiled
        self._sharding = sharing.everywhere
        # Images are the same object from call to call, so that their copies on the other devices are kept.
        self._copied: dict[int, tuple[Any, Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The program's results, as arrays on the first device, where they lie already."""
        copies = [
            self._copies(number, argument) if isinstance(argument, Examples) else self._copy(argument)
            for number, argument in enumerate(arguments)
        ]
        return jax.tree.map(lambda array: array.addressable_shards[0].data, self._compiled(*copies))

    def _copy(self, argument: Any) -> Any:
        if jax.process_count() == 1:
            return jax.device_put(argument, self._sharding)
        # Each process puts its own copy on its own devices; `device_put` would first compare those of all processes.
        local = self._sharding.addressable_devices
        return jax.tree.map(
            lambda leaf: jax.make_array_from_single_device_arrays(
                np.shape(leaf), self._sharding, [jax.device_put(leaf, device) for device in local]
            ),
            argument,
        )

    def _copies(self, number: int, argument: Any) -> Any:
        original, copies = self._copied.get(number, (None, None))
        if original is not argument:
            one_memory = jax.process_count() == 1 and jax.default_backend() == "cpu"
            copies = jax.tree.map(self._in_one_memory, argument) if one_memory else self._copy(argument)
            self._copied[number] = argument, copies
        return copies

    def _in_one_memory(self, leaf: jax.Array) -> jax.Array:
        """An array that lies whole on each device of a CPU: all of them read the same memory."""
        here = np.asarray(leaf)
        parts = [jax.device_put(here, device) for device in self._sharding.mesh.devices.flat]
        return jax.make_array_from_single_device_arrays(leaf.shape, self._sharding, parts)

    def forget(self) -> None:
        """Lets go of images that an earlier call was given."""
        self._copied.clear()


def work_per_step(jaxpr: Any, *, convolutions_alone: bool = False) -> int:
    """Multiply-adds of matrix products and convolutions in one step: in the longest loop body of a traced program."""
    counted = {_CONVOLUTION} if convolutions_alone else {_CONVOLUTION, _PRODUCT}

    def within(jaxpr: Any) -> int:
        return sum(
            (_own_work(equation) if equation.primitive.name in counted else 0) + sum(map(within, _inner(equation)))
            for equation in jaxpr.eqns
        )

    loops = [within(body) for equation in jaxpr.eqns if _is_loop(equation) for body in _inner(equation)]
    others = [body for equation in jaxpr.eqns if not _is_loop(equation) for body in _inner(equation)]
    inner = [work_per_step(body, convolutions_alone=convolutions_alone) for body in others]
    return max((*loops, *inner), default=0)


_PRODUCT, _CONVOLUTION = "dot_general", "conv_general_dilated"


def _own_work(equation: Any) -> int:
    if equation.primitive.name == _PRODUCT:
        (contracted, _), _ = equation.params["dimension_numbers"]
        inputs = equation.invars[0].aval.shape
        return _numbers(equation.outvars[0]) * math.prod(int(inputs[axis]) for axis in contracted)
    kernel = tuple(map(int, equation.invars[1].aval.shape))
    features: int = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return _numbers(equation.outvars[0]) * math.prod(kernel) // features


def _numbers(variable: Any) -> int:
    return math.prod(map(int, variable.aval.shape))


def _is_loop(equation: Any) -> bool:
    return equation.primitive.name in ("while", "scan")


def _inner(equation: Any) -> Iterator[Any]:
    """The programs inside an operation: bodies of loops, branches, calls."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            jaxpr = getattr(part, "jaxpr", part)
            if hasattr(jaxpr, "eqns"):
                yield jaxpr
