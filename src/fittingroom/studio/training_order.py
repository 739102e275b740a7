"""What a page orders to be trained: checked as the command checks it, and written as the command and as Python.

Data may be uploaded for it: ZIP archives of class folders, unpacked into the place of the studio.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from fittingroom.atomic import absolute, storage_errors
from fittingroom.data.archive import unpack
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.find import form_of
from fittingroom.errors import InputError, RecipeError, UnknownNameError
from fittingroom.recipes.controls import CONTROLS, as_text
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import Setting
from fittingroom.recipes.stop import StopRule
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATASET, _RECIPE = "fashion-mnist", "course"  # what the command takes where nothing is named
_KEYS = frozenset(control.key for control in CONTROLS)
_MOST_SEEDS = 1_000


@dataclass(frozen=True)
class TrainingOrder:
    """Dataset, recipe with changed settings, seeds and stop conditions.

    Args:
        dataset: a name of the catalogue, or the path of a folder, an NPZ or a CSV file.
        recipe: a named one.
        settings: key -> value as `--set` reads it, of those that are changed.
        seeds: how many.
        stop: conditions besides the recipe's own.

    Raises:
        InputError: something makes no sense; the message is the command's.
    """

    dataset: str = _DATASET
    recipe: str = _RECIPE
    settings: Mapping[str, str] = field(default_factory=dict)
    seeds: int = 1
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.recipe not in NAMED:
            raise UnknownNameError("recipe", self.recipe, NAMED)
        if not 1 <= self.seeds <= _MOST_SEEDS:
            raise InputError(f"seeds = {self.seeds}: expected 1 to {_MOST_SEEDS:,}.")
        for key in self.settings:
            if key not in _KEYS:
                raise Setting.unknown(key)

    @classmethod
    def read(cls, body: Any) -> TrainingOrder:
        """The order in a request.

        Raises:
            InputError: it is of another form.
        """
        if not isinstance(body, Mapping):
            raise InputError("Expected an object with dataset, recipe, settings, seeds and stop.")
        settings, stop, seeds = body.get("settings", {}), body.get("stop", []), body.get("seeds", 1)
        texts = [body.get("dataset", _DATASET), body.get("recipe", _RECIPE)]
        if not isinstance(settings, Mapping) or not isinstance(stop, list) or type(seeds) is not int:
            raise InputError("Expected settings as an object, stop as a list, and seeds as a whole number.")
        texts += [*settings, *settings.values(), *stop]
        if not all(isinstance(text, str) and len(text) <= 2000 and text.isprintable() for text in texts):
            raise InputError("Expected names, settings and conditions as printable texts.")
        return cls(texts[0], texts[1], dict(settings), seeds, tuple(stop))

    @cached_property
    def own(self) -> Recipe:
        """The recipe as it is named."""
        return NAMED[self.recipe].recipe

    @cached_property
    def changed(self) -> Recipe:
        """The recipe as it is trained.

        Raises:
            InputError: a setting or a condition makes no sense.
        """
        recipe = self.own.with_settings(f"{key}={value}" for key, value in self.settings.items())
        return recipe.changed(stop=(*recipe.stop, *self._stops))

    @property
    def _stops(self) -> tuple[str, ...]:
        return tuple(StopRule.parse(text).text for text in self.stop)

    def problems(self) -> dict[str, str]:
        """What is wrong, each with its sentence, by the key of the setting, or `stop`, or `dataset`."""
        return dict(self._problems())

    def _problems(self) -> Iterator[tuple[str, str]]:
        try:
            self.place  # noqa: B018 - checked by looking
        except InputError as error:
            yield "dataset", str(error)
        wrong = False
        for key, value in self.settings.items():
            try:
                Setting.parse(f"{key}={value}")
            except InputError as error:
                wrong = True
                yield key, str(error)
        try:
            self._stops  # noqa: B018
        except InputError as error:
            wrong = True
            yield "stop", str(error)
        if not wrong:
            try:
                self.changed  # noqa: B018
            except RecipeError as error:  # two settings that do not go together; the message begins with one of them
                key = str(error).partition(" = ")[0]
                yield key if key in _KEYS else "recipe", str(error)

    @cached_property
    def place(self) -> str:
        """The dataset as the command gets it: a name, or a path from the root.

        Raises:
            InputError: there is nothing there that could be a dataset.
        """
        if self.dataset in CATALOGUE:
            return self.dataset
        if "/" not in self.dataset and "\\" not in self.dataset and not Path(self.dataset).exists():
            raise UnknownNameError("dataset", self.dataset, [*CATALOGUE, "the path of a folder"])
        path = absolute(self.dataset)
        form_of(path)
        return str(path)

    def arguments(self) -> list[str]:
        """The command line after `fittingroom`, with no more in it than is needed."""
        found = ["train"]
        if self.place != _DATASET:
            found.append(self.place)
        if self.recipe != _RECIPE:
            found += ["--recipe", self.recipe]
        settings = {key: value for key, value in self._differences() if key != "epochs"}
        if settings:
            found += ["--set", *(f"{key}={value}" for key, value in settings.items())]
        if self.changed.epochs != self.own.epochs:
            found += ["--epochs", str(self.changed.epochs)]
        if self.seeds > 1:
            found += ["--seeds", str(self.seeds)]
        if self._stops:
            found += ["--stop", *self._stops]
        return found

    def _differences(self) -> Iterator[tuple[str, str]]:
        for key in self.settings:
            value = getattr(self.changed, key)
            if value != getattr(self.own, key):
                yield key, as_text(value)

    def command(self) -> str:
        """The same as one types it."""
        return shlex.join(["fittingroom", *self.arguments()])

    def python(self) -> list[str]:
        """The same in Python."""
        arguments = [repr(self.place), repr(self.recipe)]
        arguments += [f"{key}={getattr(self.changed, key)!r}" for key, _ in self._differences()]
        if self.seeds > 1:
            arguments.append(f"seeds={self.seeds}")
        if self._stops:
            arguments.append(f"stop={list(self.changed.stop)!r}")
        plain = arguments == [repr(_DATASET), repr(_RECIPE)]
        return ["import fittingroom as fr", f"run = fr.train({'' if plain else ', '.join(arguments)})"]

    def size(self) -> tuple[int, Sequence[int], int] | None:
        """Training images, shape of an image, and number of classes, where they are known without loading."""
        entry = CATALOGUE.get(self.dataset)
        if entry is None:
            return None
        images = entry.train_size
        return images - min(5000, images // 5), entry.image_shape, len(entry.classes)


_PLACE = ".studio/data"
_LARGEST = 2 * 2**30


def uploaded_datasets(runs: Path) -> list[dict[str, str]]:
    """The datasets that were uploaded, by name: `name` and `place`, the path of each."""
    try:
        names = sorted(entry.name for entry in os.scandir(runs / _PLACE) if entry.is_dir())
    except OSError:
        return []
    return [{"name": name, "place": str((runs / _PLACE / name).absolute())} for name in names if name[:1] != "."]


async def receive_dataset(studio: Studio, chunks: AsyncIterator[bytes], called: str) -> dict[str, Any]:
    """Takes an archive as it arrives, and unpacks it.

    Args:
        studio: whose folder it goes into.
        chunks: of the archive.
        called: its name.

    Returns:
        `name` and `place` of the dataset, and `notes` about what was left out.

    Raises:
        RefusedError: 413, it is too large.
        DataError: it is not an archive of class folders, or a hostile one.
        StorageError: the disk is full.
    """
    parent = studio.folder / _PLACE
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
    archive = parent / f".{secrets.token_hex(6)}.zip"
    try:
        with storage_errors(archive):
            size = 0
            with archive.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > _LARGEST:
                        raise RefusedError(
                            413,
                            "too_large",
                            f"The archive is larger than {_LARGEST // 2**30} GiB. Give its folder's path.",
                        )
                    file.write(chunk)
        return await run_in_threadpool(_unpacked, archive, parent, called[:200])
    finally:
        archive.unlink(missing_ok=True)


def _unpacked(archive: Path, parent: Path, called: str) -> dict[str, Any]:
    stem = re.sub(r"[^\w.+-]+", "-", Path(called).stem).strip("-.")[:60] or "upload"
    folder = next(path for number in range(1, 10_000) if not (path := parent / f"{stem}-{number}").exists())
    found = unpack(archive, folder, called=called)
    place = folder
    # Many archives hold one folder, which has the classes.
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and any(path.is_dir() for path in inside[0].iterdir()):
        place = inside[0]
    form_of(place)
    return {"name": folder.name, "place": str(place.absolute()), "notes": list(found.notes)}
