"""Python code of a lab, run as it stands: what it made, what it printed, and the error that it ended with."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fittingroom.engine.devices import require_jax_backend
from fittingroom.errors import FittingRoomError, Interrupted, StorageError
from fittingroom.experiments.executor import give_back_free_memory
from fittingroom.runs.place import is_run, is_unfinished

CODE_NAME = "code.py"  # in the folder of a piece of code: what was run
PRINTED_NAME = "printed.txt"
_LONGEST_PRINTED = 10_000  # characters


def run_code(name: str, code: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], str | None, str]:
    """Runs code that has `fr`, `keras` and what it is given.

    Args:
        name: the name of its arm.
        code: the text of the program.
        given: name -> value.

    Returns:
        The names that it has at its end, the message of the error that it ended with (None for none), and what it
        printed.

    Raises:
        StorageError: something cannot be written.
        Interrupted: Ctrl-C or SIGTERM.
    """
    require_jax_backend()
    import keras

    import fittingroom

    names = {"__name__": "__lab__", "fr": fittingroom, "keras": keras, **given}
    printed, message = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"<code of {name}>", "exec"), names)
    except (Interrupted, StorageError):
        raise
    except FittingRoomError as error:
        message = str(error)
    except Exception as error:  # what a learner's code may raise is anything
        message = f"{type(error).__name__}: {error}"
    return names, message, printed.getvalue()[:_LONGEST_PRINTED]


def forget() -> None:
    """Lets go of the models that code made, which Keras and JAX hold on to, with their compiled programs."""
    import jax
    import keras

    keras.utils.clear_session()
    jax.clear_caches()
    give_back_free_memory()


def is_whole(out: Path) -> bool:
    """Whether a folder has a run that has ended."""
    return is_run(out) and not is_unfinished(out)
