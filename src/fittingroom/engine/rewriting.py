"""JAX's convolution and pooling replaced by the engine's while a program is traced for a CPU."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax.interpreters.ad import JVPTracer
from jax.sharding import AbstractMesh, Mesh

from fittingroom.engine.convolution import BY_ONEDNN, ORIGINAL, SHARED_BY, convolve
from fittingroom.engine.pooling import pool

_lock = threading.Lock()
_tracing: list[int] = []  # the threads within `rewritten_for_cpu`, as often as they have entered it
_originals = ORIGINAL, jax.lax.reduce_window


@contextmanager
def rewritten_for_cpu(mesh: Mesh | AbstractMesh | None = None, *, by_onednn: bool = False) -> Iterator[None]:
    """Within the context, what this thread traces on a CPU has the engine's 2-D convolutions and pooling.

    Args:
        mesh: the devices that share each batch; None for one.
        by_onednn: whether oneDNN may compute convolutions. JAX cannot keep such a program for another process.

    A layer of the user's may call JAX's functions too, in any of the ways that their signatures allow. Calls that are
    not covered, and those of other threads, get the originals. On a GPU nothing is changed.
    """
    # Keras's layers call these two functions by their names in `jax.lax`, and neither Keras nor JAX has a way to give a
    # convolution another gradient. Without this, a gradient takes up to 65 times as long (decision 6 in
    # docs/decisions.md). The names are ours only while a program is traced; a compiled program needs neither.
    if jax.default_backend() != "cpu":
        yield
        return
    me = threading.get_ident()
    with _lock:
        _tracing.append(me)
        jax.lax.conv_general_dilated, jax.lax.reduce_window = _replacements()
    shared, allowed = SHARED_BY.set(mesh), BY_ONEDNN.set(by_onednn)
    try:
        yield
    finally:
        BY_ONEDNN.reset(allowed)
        SHARED_BY.reset(shared)
        with _lock:
            _tracing.remove(me)
            if not _tracing:
                jax.lax.conv_general_dilated, jax.lax.reduce_window = _originals


@functools.cache
def _replacements() -> tuple[Callable[..., Any], Callable[..., Any]]:
    return _or_else(convolve, _originals[0]), _or_else(pool, _originals[1])


def _or_else(ours: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    def call(*arguments: Any, **options: Any) -> Any:
        result = None
        if threading.get_ident() in _tracing:
            given = signature.bind(*arguments, **options).arguments
            # Our gradients are rules for going backwards only, so forward-mode differentiation needs JAX's own.
            if not any(isinstance(value, JVPTracer) for value in given.values()):
                defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
                result = ours(**{name: value for name, value in given.items() if value is not defaults[name]})
        return original(*arguments, **options) if result is None else result

    return call
