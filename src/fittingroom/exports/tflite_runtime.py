"""LiteRT, which runs TFLite files: for their answers as a phone does, and for the range of every value."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.errors import InputError

Array = np.ndarray[Any, Any]

_BATCH_BYTES = 1 << 20
"""What a batch may take, of images, or of all values between where these are looked at; one image may take more."""


def _interpreter_package() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise InputError(
            "A TFLite file is checked by LiteRT, which is not installed: pip install 'fittingroom[export]'"
        ) from error
    return interpreter


def answer_of(content: bytes, output: str = "probabilities") -> Callable[[Array], Array]:
    """What gives an output of a TFLite file for images, on one core.

    Raises:
        InputError: LiteRT is not installed, or cannot run the file.
    """
    package = _interpreter_package()
    try:
        with _quiet():
            interpreter = package.Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"LiteRT cannot run the TFLite file: {error}") from error

    def answers(images: Array) -> Array:
        batches = _batches(images, images.nbytes // max(len(images), 1))
        return np.concatenate([runner(images=batch)[output] for batch in batches])

    return answers


_QUIET = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without LiteRT's greeting: it is written to the process's standard error, and no setting turns it off."""
    with _QUIET:
        try:
            kept = os.dup(2)
        except OSError:  # a process without standard error
            yield
            return
        try:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _batches(images: Array, bytes_per_image: int) -> Iterator[Array]:
    size = max(1, min(256, _BATCH_BYTES // max(bytes_per_image, 1)))
    for start in range(0, len(images), size):
        yield images[start : start + size]


@dataclass(eq=False)
class Observed:
    """What images show of a value: its least and its largest number, and the mean of each channel, its last axis."""

    low: float = np.inf
    high: float = -np.inf
    means: Array | float = 0.0
    _count: int = 0

    def add(self, numbers: Array) -> None:
        """Looks at the value of further images."""
        rows = numbers.reshape(-1, numbers.shape[-1])
        self.low, self.high = min(self.low, float(rows.min())), max(self.high, float(rows.max()))
        self._count += len(rows)
        self.means = self.means + (rows.mean(axis=0, dtype=np.float64) - self.means) * (len(rows) / self._count)


def observed(content: bytes, images: Array) -> dict[int, Observed]:
    """What images show of each float32 value of a TFLite file, by the place of its tensor.

    Raises:
        InputError: LiteRT is not installed.
    """
    package = _interpreter_package()
    interpreter = package.Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=package.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    place = interpreter.get_input_details()[0]["index"]
    details = interpreter.get_tensor_details()
    values = [tensor["index"] for tensor in details if tensor["dtype"] == np.float32 and tensor["index"] != place]
    size = sum(4 * int(np.prod(tensor["shape"])) for tensor in details)
    seen: dict[int, Observed] = defaultdict(Observed)
    count = 0
    for batch in _batches(images, size):
        if len(batch) != count:
            count = len(batch)
            interpreter.resize_tensor_input(place, batch.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(place, batch)
        interpreter.invoke()
        for value in values:
            numbers = interpreter.get_tensor(value)
            if numbers.size:
                seen[value].add(np.atleast_1d(numbers))
        if batch.dtype == np.float32:
            seen[place].add(batch)
    return seen
