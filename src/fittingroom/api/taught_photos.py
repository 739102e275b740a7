"""The photos that a run is taught by: read from a folder, their classes matched with the run's, and what is wrong said.

Where the run has a backbone, its own validation images stand for its classes, those without photos too: what it knew is
then not forgotten, and what was learned from photos alone is told from it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fittingroom.api.taught_model import AskedRun
from fittingroom.data.corrections import folder_name
from fittingroom.data.dataset import Part
from fittingroom.data.decode import all_pictures
from fittingroom.data.folder import PictureFolder
from fittingroom.data.resizing import Resizing
from fittingroom.errors import InputError, RunError
from fittingroom.runs.images import RunImages
from fittingroom.runs.layout import read_layout
from fittingroom.runs.record import RunRecord
from fittingroom.text import amount, word_list

_ASPECT = "crop"  # measured in docs/measurements.md
_CLOSE = 0.85  # of 1: how alike two names are that may mean the same class
_MOST_SHOWN = 5


@dataclass(frozen=True, eq=False)
class TaughtPhotos:
    """Labelled photos, and images of the run that is taught.

    Args:
        root: the folder of the photos.
        part: both: the photos first, then the images of the run.
        own: which of them are photos, `(n,)`.
        known: for each class, which of the run's classes it is; None for a new one.
        resizing: how pictures become images.
        notes: what was left out or taken for what.
    """

    root: Path
    part: Part
    own: npt.NDArray[np.bool_]
    known: tuple[int | None, ...]
    resizing: Resizing
    notes: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, base: AskedRun, size: int) -> TaughtPhotos:
        """The photos of a folder, as a run with a backbone of this input size takes them.

        Args:
            root: one folder for each class.
            base: the run that is taught.
            size: height and width of an image.

        Raises:
            DataError: the folder has no pictures in classes, or a picture cannot be read.
            InputError: the photos cannot teach this run; the message says why.
        """
        data = record_of(base).data
        folder = PictureFolder.scan(root)
        if "test" in folder.files:
            raise InputError(
                f"{root} has a test part, and teaching uses every photo. Name the part to learn from, {root}/train; "
                f"afterwards `fittingroom evaluate RUN --on {root}` scores the new run on the test part."
            )
        if Path(data.name.partition(":")[2]) == folder.root.resolve() and data.name.startswith("folder:"):
            raise InputError(
                f"{base.path} was trained on the photos in {root}, so they teach it nothing. Name a folder with photos "
                "that it has not seen."
            )
        stands = _has_backbone(base) and data.image_shape == (size, size, 3)
        resizing = Resizing(data.aspect if stands else _ASPECT, "rgb")
        photos, notes = all_pictures(root, size, size, resizing)
        names, known, said = _matched(photos.classes, data.classes)
        # How they were resized is no choice here.
        notes = (*(note for note in notes if "--image-size" not in note), *said)
        images = _stand_ins(base) if stands else None
        if images is not None:
            names, known, photos_of_run = _with_those_of(images, names, known, data.classes)
            part = _joined(photos, photos_of_run, names)
        else:
            part = Part(photos.images, photos.labels, names, files=photos.files)
            notes = (*notes, *_left_out(known, data.classes))
        if len(names) < 2:
            raise InputError(
                f"{root} has one class, {names[0]}, and nothing to tell it from. Add a folder with photos of another."
            )
        _check_apart(part, len(photos))
        own = np.arange(len(part)) < len(photos)
        return cls(root, part, own, known, resizing, notes)


def _has_backbone(run: AskedRun) -> bool:
    return record_of(run).recipe.get("backbone") is not None


def _stand_ins(base: AskedRun) -> Part | None:
    """The validation images that a run keeps; None where it keeps none. It has not been trained on them."""
    record = record_of(base)
    kept = RunImages.read(next(iter(read_layout(base.path).folders.values())), record.data.classes, record.data.scale)
    return None if kept is None else kept.validation


def _key(name: str) -> str:
    """What a name is compared by: case, punctuation and blanks do not count."""
    return re.sub(r"[^\w]+|_", " ", folder_name(name).casefold()).strip()


def _matched(
    names: Sequence[str], known: Sequence[str]
) -> tuple[tuple[str, ...], tuple[int | None, ...], tuple[str, ...]]:
    """The names of the classes, the run's own where it knows them; which of its classes each is; and what to say.

    Raises:
        InputError: two names mean one class.
    """
    keys = [_key(name) for name in known]
    found: dict[str, str] = {}
    places: list[int | None] = []
    notes = []
    for name in names:
        exact = [place for place, other in enumerate(known) if other == name]
        alike = exact or [place for place, key in enumerate(keys) if key == _key(name)]
        place = alike[0] if len(alike) == 1 else None
        final = name if place is None else known[place]
        before = found.setdefault(final if place is not None else _key(name), name)
        if before != name:
            raise InputError(
                f"The folders {before!r} and {name!r} name one class. Put their photos into one folder, or rename one."
            )
        places.append(place)
        if place is not None and final != name:
            notes.append(f"The folder {name!r} is taken for the run's class {final!r}.")
        close = None if place is not None else _close(_key(name), keys)
        if close is not None:
            notes.append(
                f"{name!r} is taken for a new class. If it is the run's {known[close]!r}, name the folder "
                f"{folder_name(known[close])!r}."
            )
    final_names = tuple(name if place is None else known[place] for name, place in zip(names, places, strict=True))
    return final_names, tuple(places), tuple(notes)


def _close(name: str, keys: Sequence[str]) -> int | None:
    """The place of a name that may mean the same: one is the beginning of the other, or they differ by a letter."""
    beginning = [place for place, key in enumerate(keys) if key.startswith(f"{name} ") or name.startswith(f"{key} ")]
    close = difflib.get_close_matches(name, keys, 1, _CLOSE)
    return keys.index(close[0]) if close else beginning[0] if len(beginning) == 1 else None


def _with_those_of(
    images: Part, names: tuple[str, ...], known: tuple[int | None, ...], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[int | None, ...], Part]:
    """The classes with those of the run behind them that have images, and these images in the new numbers."""
    here = [int(label) for label in np.unique(images.labels)]
    more = [label for label in here if label not in known]
    names, known = (*names, *(classes[label] for label in more)), (*known, *more)
    numbers = np.array([known.index(label) if label in known else -1 for label in range(len(classes))], np.int32)
    return names, known, Part(images.images, numbers[images.labels], names)


def _joined(photos: Part, others: Part, names: tuple[str, ...]) -> Part:
    files = (*photos.files, *(f"validation image {number} of the run" for number in range(1, len(others) + 1)))
    images = np.concatenate([photos.images, np.asarray(others.images)])
    return Part(images, np.concatenate([photos.labels, others.labels]), names, files=files)


def _left_out(known: Sequence[int | None], classes: Sequence[str]) -> tuple[str, ...]:
    """Which classes of the run are lost, since nothing shows them as photos."""
    lost = [name for place, name in enumerate(classes) if place not in known]
    if not lost:
        return ()
    return (
        f"The new run does not know {word_list(lost, most=10)}: there are no photos of "
        f"{'it' if len(lost) == 1 else 'them'}. Add some to keep {'it' if len(lost) == 1 else 'them'}.",
    )


def _check_apart(part: Part, photos: int) -> None:
    """Raises InputError where the same picture is in two classes."""
    first: dict[bytes, int] = {}
    for place in range(photos):
        digest = hashlib.blake2b(np.ascontiguousarray(part.images[place]).tobytes(), digest_size=16).digest()
        other = first.setdefault(digest, place)
        if part.labels[other] != part.labels[place]:
            raise InputError(
                f"{part.files[other]} and {part.files[place]} are the same picture in two classes. Remove one of them."
            )


def alike_in_two_classes(part: Part, pairs: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What to say of photos that look the same and are in different classes."""
    if not pairs:
        return ()
    shown = word_list(
        (f"{part.files[one]} and {part.files[other]}" for one, other in pairs[:_MOST_SHOWN]), most=_MOST_SHOWN
    )
    return (
        f"{amount(len(pairs), 'pair')} of photos look nearly the same and are in different classes: {shown}. "
        "Is one in the wrong folder?",
    )


def record_of(run: AskedRun) -> RunRecord:
    """What is recorded of the first seed of a run."""
    return next(iter(read_layout(run.path).records().values()))


def check_base(run: AskedRun) -> bool:
    """Whether a run can be asked about photos, so that its answers stand beside the features.

    Raises:
        RunError: its model is made by code that is not in its folder.
    """
    record = record_of(run)
    if record.model_file is not None:
        raise RunError(
            f"{run.path} has its model from the file {record.model_file.path}, which a taught run would have to run "
            "again for each answer. Teach a run of a named recipe."
        )
    return record.data.load is not None
