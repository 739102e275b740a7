"""Puts the engine's convolutions and pooling in the place of JAX's while a program is traced for a CPU."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax.interpreters.ad import JVPTracer

from fittingroom.engine.convolution import convolve
from fittingroom.engine.pooling import pool

_lock = threading.Lock()
_tracing: list[int] = []  # the threads that rewrite just now; one stands here more than once when it nests
_originals = jax.lax.conv_general_dilated, jax.lax.reduce_window


@contextmanager
def rewritten_for_cpu() -> Iterator[None]:
    """While it lasts, what this thread traces on a CPU has the engine's 2-D convolutions and pooling.

    Keras calls `jax.lax.conv_general_dilated` and `jax.lax.reduce_window`, so these two names are replaced until the
    last thread is done. A layer of the user's may call them too, in any of the ways that JAX's signature allows. Calls
    that are not covered, and those of other threads, go to the originals. On a GPU nothing is changed.
    """
    if jax.default_backend() != "cpu":
        yield
        return
    me = threading.get_ident()
    with _lock:
        _tracing.append(me)
        jax.lax.conv_general_dilated, jax.lax.reduce_window = _CONVOLUTION, _POOLING
    try:
        yield
    finally:
        with _lock:
            _tracing.remove(me)
            if not _tracing:
                jax.lax.conv_general_dilated, jax.lax.reduce_window = _originals


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


_CONVOLUTION, _POOLING = _or_else(convolve, _originals[0]), _or_else(pool, _originals[1])
