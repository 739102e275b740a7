"""The Python of a lab: run as it stands; what it trained, or the error that came instead, is kept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
from pathlib import Path

from fittingroom.data.dataset import Dataset
from fittingroom.engine.backend import require_jax_backend
from fittingroom.errors import FittingRoomError, Interrupted, RecipeError, StorageError
from fittingroom.experiments.memory import give_back_free_memory
from fittingroom.files import storage_errors, write_bytes
from fittingroom.labs.arms import Arm, runs_in
from fittingroom.labs.description import LabCode
from fittingroom.runs.place import RECORD_NAME, REPLICAS_NAME, has_begun

PRINTED_NAME = "printed.txt"
_LONGEST_PRINTED = 10_000


def run_code(code: LabCode, dataset: Dataset, folder: Path) -> Arm:
    """The arm that a piece of code makes. What it has trained before is not trained again.

    The code has `fr`, `keras`, the dataset as `data` and a free folder as `out`; it gives the latter to `fr.fit` or
    `fr.train`, and calls what comes back `run`.

    Args:
        code: it.
        dataset: its data.
        folder: of the lab's pieces of code.

    Raises:
        RecipeError: the code makes no `run` in `out`.
        StorageError: something cannot be written.
        Interrupted: Ctrl-C or SIGTERM.
    """
    place = folder / hashlib.sha256(f"{dataset.fingerprint}\n{code.code}".encode()).hexdigest()[:12]
    out, printed = place / "run", place / PRINTED_NAME
    if not (_is_whole(out) and printed.is_file()):
        shutil.rmtree(place, ignore_errors=True)
        with storage_errors(place):
            place.mkdir(parents=True)
        try:
            error, text = _executed(code, dataset, out)
        finally:
            _forget()
        if error is not None:
            return Arm(code.name, dataset.name, error=error, code=code.code, printed=text)
        write_bytes(printed, text.encode())
    return Arm(code.name, dataset.name, runs_in(out), code=code.code, printed=printed.read_text(encoding="utf-8"))


def _forget() -> None:
    """Lets go of the models that the code made, which Keras and JAX hold on to, with their compiled programs."""
    import jax
    import keras

    keras.utils.clear_session()
    jax.clear_caches()
    give_back_free_memory()


def _is_whole(out: Path) -> bool:
    return any((out / name).is_file() for name in (RECORD_NAME, REPLICAS_NAME)) and not has_begun(out)


def _executed(code: LabCode, dataset: Dataset, out: Path) -> tuple[str | None, str]:
    """The message of the error that the code ended with, None for none; and what it printed."""
    require_jax_backend()
    import keras

    import fittingroom

    names = {"__name__": "__lab__", "fr": fittingroom, "keras": keras, "data": dataset, "out": out}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code.code, f"<code of {code.name}>", "exec"), names)
    except (Interrupted, StorageError):
        raise
    except FittingRoomError as error:
        return str(error), printed.getvalue()[:_LONGEST_PRINTED]
    except Exception as error:  # what a learner's code may raise is anything
        return f"{type(error).__name__}: {error}", printed.getvalue()[:_LONGEST_PRINTED]
    if not _is_whole(out):
        raise RecipeError(
            f"the code of {code.name!r} has trained nothing in the folder `out`. Expected, for example, "
            "run = fr.fit(model, data, epochs=5, out=out)."
        )
    return None, printed.getvalue()[:_LONGEST_PRINTED]
