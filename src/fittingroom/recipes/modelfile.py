"""A user's own model: the setting `FILE.py:FUNCTION`, and calling that function.

A file that the user has just named is run. One that a stored run names is run again only if the user says so, and only
if its contents are those of the training.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from fittingroom.atomic import read_file
from fittingroom.errors import InputError, ModelError, RecipeError, RunError

_LARGEST = 16 * 2**20  # bytes

_log = logging.getLogger("fittingroom")


@dataclass(frozen=True)
class ModelFile:
    """A function in a Python file that takes no arguments and returns a Keras model.

    Args:
        path: the file.
        function: the function's name.
        sha256: the only contents that `call` runs, as `contents_sha256` gives it; None for whatever the file holds.
    """

    path: Path
    function: str
    sha256: str | None = None

    @classmethod
    def of(cls, setting: str) -> ModelFile:
        """The file and the function that `FILE.py:FUNCTION` names. The file is not opened.

        Raises:
            RecipeError: the setting has another form.
        """
        file, _, function = setting.rpartition(":")
        if not (file.endswith(".py") and function.isidentifier() and setting.isprintable()):
            raise RecipeError(
                f"model = {setting!r}: expected FILE.py:FUNCTION, for example mymodel.py:build, where build() returns "
                "a Keras model."
            )
        return cls(Path(file), function)

    def beside(self, folder: Path) -> ModelFile:
        """The same with a relative path counted from a folder."""
        return replace(self, path=folder / self.path)

    @property
    def text(self) -> str:
        """The setting as it is written, `FILE.py:FUNCTION`."""
        return f"{self.path}:{self.function}"

    def digest(self) -> str:
        """SHA-256 of the file and the function's name. Files that this one imports are not covered.

        Raises:
            RecipeError: the file cannot be read.
        """
        return hashlib.sha256(self._read() + b"\0" + self.function.encode()).hexdigest()

    def contents_sha256(self) -> str:
        """SHA-256 of the file alone. Files that this one imports are not covered.

        Raises:
            RecipeError: the file cannot be read.
        """
        return hashlib.sha256(self._read()).hexdigest()

    def recorded(self) -> RecordedFile | None:
        """What a run records of the file; None where it can no longer be read."""
        try:
            return RecordedFile(str(self.path.absolute()), self.function, self.contents_sha256())
        except InputError:
            return None

    def call(self) -> Any:
        """What the function returns. While it runs, the file's own folder is on the import path, as for a script.

        Raises:
            RecipeError: the file cannot be read, has no such function, or other contents than `sha256` says.
            ModelError: the file or the function failed.
        """
        content = self._read()
        found = hashlib.sha256(content).hexdigest()
        if self.sha256 not in {None, found}:
            raise RecipeError(
                f"{self.path} has changed: its SHA-256 is {found}, and was {self.sha256}. Nothing of it was run."
            )
        with self._failures("the file"), _import_path(self.path.absolute().parent):
            module = self._load(content)
            function = getattr(module, self.function, None)
        if not callable(function):
            found = ", ".join(_functions_of(module)) or "none"
            raise RecipeError(f"{self.path} has no function {self.function!r}. Functions in it: {found}.")
        with self._failures(f"{self.function}()"), _import_path(self.path.absolute().parent):
            return function()

    def _read(self) -> bytes:
        try:
            return read_file(self.path, _LARGEST)
        except OSError as error:
            raise RecipeError(f"the model file {self.path} cannot be read: {error.strerror}.") from error

    def _load(self, content: bytes) -> ModuleType:
        """The module that these contents make."""
        # Not by importlib, which would run a stale `__pycache__` in place of the contents whose hash was checked.
        module = ModuleType(f"fittingroom_user_{self.path.stem}")
        module.__file__ = str(self.path)
        sys.modules[module.__name__] = module
        exec(compile(content, str(self.path), "exec"), module.__dict__)
        return module

    @contextmanager
    def _failures(self, part: str) -> Iterator[None]:
        try:
            yield
        except RecipeError:
            raise
        except ModuleNotFoundError as error:
            hint = ""
            if (error.name or "").split(".")[0] == "tensorflow":
                hint = (
                    " Fitting Room trains Keras models on JAX: write `import keras` in place of `from tensorflow ...`."
                )
            raise ModelError(f"{self.path}: {part} failed: {error}.{hint}") from error
        except Exception as error:
            raise ModelError(f"{self.path}: {part} failed: {type(error).__name__}: {error}") from error


def _functions_of(module: ModuleType) -> list[str]:
    """Names of the functions that the module itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]


@contextmanager
def _import_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


@dataclass(frozen=True)
class RecordedFile:
    """The model file of a run as it was when the run was trained.

    Args:
        path: the path of the file, absolute.
        function: the name of the function in it that gives the model.
        sha256: SHA-256 of the file's bytes. Files that it imports are not covered.
    """

    path: str
    function: str
    sha256: str

    @staticmethod
    def to_run(setting: str | None, recorded: RecordedFile | None, *, trust: bool) -> ModelFile | None:
        """The file with the model of a stored recipe, to be run again; None where the recipe names none.

        Args:
            setting: the recipe's `model`.
            recorded: the file as the run's record describes it.
            trust: whether the user says that it may be run.

        Raises:
            RunError: as for `trusted`, or the run does not record what was in the file.
        """
        if setting is None:
            return None
        if recorded is None:
            raise RunError(
                f"The run's model is code in {setting}, but the run does not record what was in that file, so it is "
                "not run again. Train again with fittingroom.train."
            )
        return recorded.trusted(trust=trust)

    def trusted(self, *, trust: bool) -> ModelFile:
        """The file, to be run again; which one it is goes to the log first.

        Args:
            trust: whether the user says that it may be run.

        Returns:
            The file, which refuses to run anything but the recorded contents.

        Raises:
            RunError: the file is not trusted, cannot be read, or has changed. Nothing of it was run.
        """
        path = Path(self.path)
        what = f"code in {self.path} (function {self.function}, SHA-256 {self.sha256})"
        if not trust:
            raise RunError(
                f"The run's model is {what}, and nothing of it was run. If you know this file, --trust runs it again "
                "(in Python: trust=True); or give the model itself: fittingroom.open_run(path, model=model)."
            )
        try:
            ModelFile.of(f"{self.path}:{self.function}")
            file = ModelFile(path, self.function, self.sha256)
            found = file.contents_sha256()
        except InputError as error:
            raise RunError(f"The run's model is {what}, which cannot be run again: {error}") from error
        if not path.is_absolute():
            raise RunError(f"The run's model is {what}. This path is not absolute, so the record is damaged.")
        if found != self.sha256:
            raise RunError(
                f"The run's model is {what}, but this file's SHA-256 is {found} now, and nothing of it was run. Bring "
                "the old file back, or train again."
            )
        _log.warning("Running %s again, because it is trusted.", what)
        return file
