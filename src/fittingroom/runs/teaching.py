"""What the folder of a run that was taught holds besides: its base run, and what its record says of the teaching."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from fittingroom.atomic import storage_errors
from fittingroom.runs.json_files import check_plain, number, optional, share, text, whole

BASE_NAME = "base"
"""The folder of the base run, in that of the taught one."""

_COPIED = ("run.json", "history.csv", "outcomes.npz", "validation_files.json", "weights.safetensors", "model.json")
_FITTED = ("judgement.npz", "correction.npz", "drift.npz", "replicas.json")


def read_teaching(stored: Any) -> dict[str, Any]:
    """What a run was taught, from plain JSON; raises whatever damaged facts make it raise."""
    teaching = dict(stored.items())
    check_plain(teaching)
    for one in (teaching["base"]["name"], teaching["validated_by"], *teaching["sentences"]):
        text(one)
    for one in teaching["per_class"]:
        text(one["class"])
        optional(text, one["known"])
        for count in ("photos", "of_the_run", "checked", "right"):
            whole(one[count])
    whole(teaching["of_the_run"])
    for point in (*teaching["curve"], *([teaching["forecast"]] if teaching["forecast"] else [])):
        low, high = point["interval"]
        for value in (point["accuracy"], low, high):
            share(value)
        number(point["photos_per_class"])
    return teaching


def copy_base(base: Path, to: Path) -> None:
    """Puts the files of a run into the new one, as links where that can be: its weights, and what reads photos for it.

    Raises:
        StorageError: that cannot be done.
    """
    with storage_errors(to):
        to.mkdir()
        for entry in sorted(os.scandir(base), key=lambda entry: entry.name):
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if name == BASE_NAME or name.startswith("seed-"):
                    copy_base(Path(entry.path), to / name)
            elif name in (*_COPIED, *_FITTED) or (name.startswith("images-") and name.endswith(".npz")):
                _place(Path(entry.path), to / name)


def _place(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another file system, or one without links
        shutil.copy2(file, to)
