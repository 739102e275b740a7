"""A user's own model: the setting `FILE.py:FUNCTION`, and calling that function.

Only what the user has just named is run: nothing here reads a path from a stored run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fittingroom.errors import ModelError, RecipeError


@dataclass(frozen=True)
class ModelFile:
    """A function in a Python file that takes no arguments and returns a Keras model."""

    path: Path
    function: str

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

    def call(self) -> Any:
        """What the function returns. The file's own folder is on the import path meanwhile, as for a script.

        Raises:
            RecipeError: the file cannot be read, or has no such function.
            ModelError: the file or the function failed.
        """
        self._read()
        with self._failures("the file"), _import_path(self.path.absolute().parent):
            module = self._load()
            function = getattr(module, self.function, None)
        if not callable(function):
            found = ", ".join(_functions_of(module)) or "none"
            raise RecipeError(f"{self.path} has no function {self.function!r}. Functions in it: {found}.")
        with self._failures(f"{self.function}()"), _import_path(self.path.absolute().parent):
            return function()

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise RecipeError(f"the model file {self.path} cannot be read: {error.strerror}.") from error

    def _load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"fittingroom_user_{self.path.stem}", self.path)
        if spec is None or spec.loader is None:
            raise RecipeError(f"the model file {self.path} is not a Python file.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
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


def parse_model_setting(text: str) -> ModelFile:
    """Reads `FILE.py:FUNCTION`. The file is not opened.

    Raises:
        RecipeError: the text has another form.
    """
    file, _, function = text.rpartition(":")
    if not (file.endswith(".py") and function.isidentifier() and text.isprintable()):
        raise RecipeError(
            f"model = {text!r}: expected FILE.py:FUNCTION, for example mymodel.py:build, where build() returns a Keras "
            "model."
        )
    return ModelFile(Path(file), function)


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
