"""Running the Python file again that the model of a stored run came from: only when told to, and only if unchanged."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from fittingroom.errors import InputError, RunError
from fittingroom.recipes.modelfile import ModelFile, parse_model_setting

_log = logging.getLogger("fittingroom")


@dataclass(frozen=True)
class RecordedFile:
    """The model file of a run as it was when the run was trained.

    Args:
        path: of the file, absolute.
        function: the name of the function in it that gives the model.
        sha256: of the file's bytes. Files that it imports are not covered.
    """

    path: str
    function: str
    sha256: str


def recorded_file(file: ModelFile) -> RecordedFile | None:
    """What a run records of its model file; None where it cannot be read any more."""
    try:
        return RecordedFile(str(file.path.absolute()), file.function, file.contents_sha256())
    except InputError:
        return None


def file_to_run(setting: str | None, recorded: RecordedFile | None, *, trust: bool) -> ModelFile | None:
    """The file with the model of a stored recipe, to be run again; None where the recipe names none.

    Args:
        setting: the recipe's `model`.
        recorded: what the run says about the file.
        trust: whether the user has said that it may be run.

    Raises:
        RunError: as `trusted_file` says, or the run does not say what was in the file.
    """
    if setting is None:
        return None
    if recorded is None:
        raise RunError(
            f"The run's model is code in {setting}, but the run does not record what was in that file, so it is not "
            "run again. Train anew."
        )
    return trusted_file(recorded, trust=trust)


def trusted_file(recorded: RecordedFile, *, trust: bool) -> ModelFile:
    """The model file of a stored run, to be run again; what it is goes to the log first.

    Args:
        recorded: what the run says about it.
        trust: whether the user has said that it may be run.

    Returns:
        The file, which refuses to run anything but the recorded contents.

    Raises:
        RunError: it may not be run, cannot be read, or has changed. Nothing of it was run.
    """
    path = Path(recorded.path)
    what = f"code in {recorded.path} (function {recorded.function}, SHA-256 {recorded.sha256})"
    if not trust:
        raise RunError(
            f"The run's model is {what}, and nothing of it was run. If you know this file, --trust runs it again (in "
            "Python: trust=True); or give the model itself: fittingroom.open_run(path, model=model)."
        )
    try:
        parse_model_setting(f"{recorded.path}:{recorded.function}")
        file = ModelFile(path, recorded.function, recorded.sha256)
        found = file.contents_sha256()
    except InputError as error:
        raise RunError(f"The run's model is {what}, which cannot be run again: {error}") from error
    if not path.is_absolute():
        raise RunError(f"The run's model is {what}. This path is not absolute, so the record is damaged.")
    if found != recorded.sha256:
        raise RunError(
            f"The run's model is {what}, but this file's SHA-256 is {found} now, and nothing of it was run. Bring the "
            "old file back, or train again."
        )
    _log.warning("Running %s again, because it is trusted.", what)
    return file
