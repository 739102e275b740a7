"""`TaughtClasses`: the photos that somebody gives classes, by which a run is taught; and the process that teaches it.

The photos are a folder of class folders beside the runs, `.studio/teaching/RUN/`, as `fittingroom teach` takes it. So
they outlive the studio, and the same can be done from a terminal.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file, storage_errors, write_bytes
from fittingroom.data.corrections import folder_name
from fittingroom.data.pictures import Picture
from fittingroom.errors import InputError, RunError

MOST_PHOTOS = 2_000
"""Photos of one class; a camera gives a few hundred in a minute."""

_PLACE = ".studio/teaching"
_NAMES, _TAUGHT = ".classes.json", ".taught.json"  # hidden, so that they are not taken for pictures
_MOST_CLASSES = 100
_LONGEST_NAME = 80  # letters
_EDGE = 1_024  # pixels of the longest edge of a photo that is kept: four times what a backbone sees
_SMALL = 112  # pixels of a small picture's edges
_KEPT = re.compile(r"[0-9a-f]{16}\.jpg")
_PARTS = frozenset({"train", "training", "test", "testing", "validation", "val", "valid", "validate"})
_LONGEST = 3_600.0  # seconds of a process
_MOST_SHOWN = 2_000  # letters of what it said
_TURN = 0.2
_ERROR = re.compile(r"^fittingroom: error: ", re.MULTILINE)


@dataclass(frozen=True)
class TaughtClasses:
    """The classes that one run is taught, each a folder of photos.

    Args:
        folder: of all of them; made with the first.
        known: the classes of the run.
    """

    folder: Path
    known: tuple[str, ...]

    @classmethod
    def of(cls, runs: Path, run: str, known: tuple[str, ...]) -> TaughtClasses:
        """Those of a run, in the folder of runs."""
        return cls(runs / _PLACE / run, known)

    def names(self) -> list[str]:
        """The classes, in the order in which they were added."""
        try:
            stored = json.loads(read_file(self.folder / _NAMES, 2**20))
        except (OSError, ValueError, RecursionError):
            return []
        return [name for name in stored if isinstance(name, str)][:_MOST_CLASSES] if isinstance(stored, list) else []

    def photos(self, name: str) -> list[str]:
        """The files of a class's photos, the newest first."""
        try:
            files = [file for file in self._folder_of(name).iterdir() if _KEPT.fullmatch(file.name)]
            return [file.name for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)]
        except OSError:
            return []

    def add(self, name: str) -> str:
        """Adds a class without photos, and gives its name as it is kept.

        Raises:
            InputError: it has a name that no class can have, or one that cannot be told from another's.
            StorageError: it cannot be kept.
        """
        name = self._checked(name, self.names())
        self._keep([*self.names(), name])
        return name

    def rename(self, name: str, other: str) -> str:
        """Gives a class another name, and its photos with it.

        Raises:
            InputError: as for `add`, or there is no such class.
            StorageError: it cannot be kept.
        """
        names = self._with(name)
        other = self._checked(other, [one for one in names if one != name])
        before, after = self._folder_of(name), self._folder_of(other)
        with storage_errors(after):
            if before.is_dir() and before != after:
                before.rename(after)
        self._keep([other if one == name else one for one in names])
        return other

    def remove(self, name: str) -> None:
        """Takes a class away, with its photos.

        Raises:
            InputError: there is no such class.
            StorageError: it cannot be deleted.
        """
        names = self._with(name)
        folder = self._folder_of(name)
        with storage_errors(folder):
            if folder.is_dir():
                shutil.rmtree(folder)
        self._keep([one for one in names if one != name])

    def put(self, name: str, content: bytes) -> str:
        """Adds a photo to a class, upright and no larger than is of use; the name of its file.

        Raises:
            InputError: there is no such class, it is full, or this is not a picture.
            StorageError: it cannot be written.
        """
        self._with(name)
        if len(self.photos(name)) >= MOST_PHOTOS:
            raise InputError(f"{name} has {MOST_PHOTOS:,} photos, which is more than enough. Remove some.")
        with Picture.quiet():
            image = Picture.read(io.BytesIO(content), Path("the photo"), at_least=_EDGE).image
        image.thumbnail((_EDGE, _EDGE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=92)
        file = f"{hashlib.blake2b(stream.getvalue(), digest_size=8).hexdigest()}.jpg"
        folder = self._folder_of(name)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / file, stream.getvalue(), durable=False)
        return file

    def take_away(self, name: str, file: str) -> None:
        """Removes a photo from a class; nothing happens where it is gone already.

        Raises:
            InputError: there is no such class.
            StorageError: it cannot be deleted.
        """
        self._with(name)
        path = self._photo(name, file)
        with storage_errors(path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()  # a class without photos is not taught yet

    def small(self, name: str, file: str) -> bytes:
        """A photo as a small JPEG.

        Raises:
            InputError: there is no such class or photo.
        """
        self._with(name)
        with Picture.quiet():
            image = Picture.open(self._photo(name, file), at_least=2 * _SMALL).image
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        stream = io.BytesIO()
        image.resize((_SMALL, _SMALL), box=(left, top, left + edge, top + edge), reducing_gap=2.0).save(stream, "JPEG")
        return stream.getvalue()

    @property
    def taught(self) -> str | None:
        """The name of the run that these photos have taught last; None where there is none."""
        try:
            stored = json.loads(read_file(self.folder / _TAUGHT, 2**16))
            return str(stored["run"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep_taught(self, run: str) -> None:
        """Keeps the name of the run that these photos have taught.

        Raises:
            StorageError: it cannot be kept.
        """
        write_bytes(self.folder / _TAUGHT, json.dumps({"run": run}).encode())

    def _with(self, name: str) -> list[str]:
        """All classes, of which this must be one."""
        names = self.names()
        if name not in names:
            raise InputError(f"There is no class {name[:_LONGEST_NAME]!r} here. It may have been renamed meanwhile.")
        return names

    def _keep(self, names: list[str]) -> None:
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / _NAMES, json.dumps(names, ensure_ascii=False).encode())

    def _checked(self, name: str, others: list[str]) -> str:
        """A name for a class: that of a class of the run, or else of a folder, which can be told from the others."""
        name = " ".join(name.split())
        if not name or not any(letter.isalnum() for letter in name):
            raise InputError("A class needs a name, such as the word for what its photos show.")
        if len(name) > _LONGEST_NAME:
            raise InputError(f"The name has {len(name)} letters; at most {_LONGEST_NAME} are taken. Shorten it.")
        folders = {folder_name(other).casefold(): other for other in others}
        folder = folder_name(name).casefold()
        if folder in folders:
            raise InputError(
                f"There is a class {folders[folder]!r} already. Add the photos to it, or choose another name."
            )
        if folder in _PARTS:
            raise InputError(f"{name!r} is the name of a part of a dataset. Choose another name for the class.")
        if len(others) >= _MOST_CLASSES:
            raise InputError(f"There are {_MOST_CLASSES} classes, and more cannot be shown here.")
        return next((one for one in self.known if folder_name(one).casefold() == folder), folder_name(name))

    def _folder_of(self, name: str) -> Path:
        return self.folder / folder_name(name)

    def _photo(self, name: str, file: str) -> Path:
        if not _KEPT.fullmatch(file):
            raise InputError("There is no such photo.")
        return self._folder_of(name) / file


def teach(
    run: Path, classes: TaughtClasses, progressed: Callable[[int, int], None], closed: threading.Event
) -> dict[str, Any]:
    """Teaches a run by `fittingroom teach`, in a process of its own, and keeps the name of the new run.

    Args:
        run: the folder of the run.
        classes: the photos.
        progressed: called with the seconds that it has taken, and 0 for how many it takes.
        closed: ends the process when it is set.

    Returns:
        What the command printed: the facts of the new run.

    Raises:
        RunError: it failed; the message is the command's own sentence.
    """
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "fittingroom", "teach", str(run), str(classes.folder), "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=_TURN)
                break
            except subprocess.TimeoutExpired:
                seconds = round(time.monotonic() - began)
                progressed(seconds, 0)
                if seconds > _LONGEST or closed.is_set():
                    process.kill()
    if process.returncode:
        *_, last = [None, *_ERROR.finditer(errors)]
        said = "Teaching was ended before it was done." if process.returncode < 0 else errors.strip()[-_MOST_SHOWN:]
        raise RunError(errors[last.end() :].strip() if last else said)
    try:
        facts: dict[str, Any] = json.loads(output)
        classes.keep_taught(Path(str(facts["path"])).name)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError("Teaching ended without a run. Try it again.") from error
    return facts
