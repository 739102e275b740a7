"""Keras on its JAX backend, or an error that says how to get there."""

from __future__ import annotations

from fittingroom.errors import InputError

_MEND = (
    "Import fittingroom before keras, or set the environment variable KERAS_BACKEND=jax, and start Python again "
    "(a notebook: restart its kernel)."
)


def require_jax_backend() -> None:
    """Makes sure that Keras can be imported and runs on JAX.

    Raises:
        InputError: another backend is active, or the one that is configured is not installed.
    """
    try:
        import keras
    except ModuleNotFoundError as error:
        raise InputError(
            f"Keras cannot start: its configured backend needs the package {error.name!r}, which is not installed. "
            f"Fitting Room trains on JAX. {_MEND}"
        ) from error
    active = keras.config.backend()
    if active != "jax":
        raise InputError(f"Keras runs on its {active} backend, and Fitting Room trains on JAX. {_MEND}")
