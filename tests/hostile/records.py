"""Hostile `run.json`, `history.csv`, `outcomes.npz`, `judgement.npz` and `correction.npz`."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.runs.layout import SeedFiles
from tests.hostile.arrays import npy as array_bytes
from tests.hostile.arrays import packed_zip
from tests.hostile.case import (
    Case,
    Json,
    Place,
    deflated,
    evil_module,
    header_of,
    npy_header,
    objects_npy,
    pickled,
)

BRACKETS = b"[" * 100_000
DIGITS = b"1" * 5_000_000


def copied(name: str, place: Place) -> Path:
    """A copy of an honest run, in the case's own folder."""
    shutil.copytree(place.honest / name, place.folder, dirs_exist_ok=True)
    return place.folder


def replaced(run: str, file: str, change: Callable[[bytes], bytes]) -> Callable[[Place], None]:
    """Writes an honest run with one file changed."""

    def build(place: Place) -> None:
        folder = copied(run, place)
        path = (folder if run in {"seeds", "stopped"} else SeedFiles(folder).folder) / file
        path.write_bytes(change(path.read_bytes()))

    return build


def changed_json(run: str, file: str, change: Callable[[Json], object]) -> Callable[[Place], None]:
    """Writes an honest run with one JSON file changed."""

    def changed(content: bytes) -> bytes:
        stored = json.loads(content)
        change(stored)
        return json.dumps(stored).encode()

    return replaced(run, file, changed)


def record(run: str = "recipe", /, **values: Any) -> Callable[[Place], None]:
    """An honest run whose record has these values; `data__name` is the name in `data`."""

    def change(stored: Json) -> None:
        for key, value in values.items():
            *outer, last = key.split("__")
            part = stored
            for name in outer:
                part = part[name]
            part[last] = value

    return changed_json(run, "run.json", change)


def linked(file: str, target: str) -> Callable[[Place], None]:
    """Writes an honest run, one file of which is a link."""

    def build(place: Place) -> None:
        path = SeedFiles(copied("recipe", place)).folder / file
        path.unlink()
        path.symlink_to(target)

    return build


def pipes(place: Place) -> None:
    """An honest record, and pipes in place of everything else: whoever opens one waits for ever."""
    run = SeedFiles(copied("recipe", place)).folder
    for name in ("history.csv", "model.json", "outcomes.npz", "weights.safetensors"):
        (run / name).unlink()
        os.mkfifo(run / name)


def outcomes(members: Callable[[Place], dict[str, bytes]]) -> Callable[[Place], None]:
    def build(place: Place) -> None:
        with zipfile.ZipFile(SeedFiles(copied("recipe", place)).folder / "outcomes.npz", "w") as archive:
            for name, content in members(place).items():
                archive.writestr(f"{name}.npy", content)

    return build


def bomb_of_outcomes(place: Place) -> None:
    """Half a gigabyte of zeros in each array."""
    start = npy_header(header_of("<f4", (1, 2**27)))
    member = deflated(start, 512), len(start) + 2**29
    names = ("loss", "probability", "predicted", "labels")
    content = packed_zip({f"{name}.npy": member for name in names})
    (SeedFiles(copied("recipe", place)).folder / "outcomes.npz").write_bytes(content)


def fitted(kind: str, honest: Mapping[str, bytes]) -> Callable[[Place], None]:
    """Writes an honest run with a judgement or a correction of its weights that has these arrays."""

    def build(place: Place) -> None:
        from fittingroom.answers.stored import JUDGEMENT, LABEL_SHIFT, FittedFile, digest_of

        files: dict[str, FittedFile[Any]] = {"judgement": JUDGEMENT, "correction": LABEL_SHIFT}
        file = files[kind]
        start = {
            "format": array_bytes(np.array(file.format)),
            "weights": array_bytes(np.frombuffer(digest_of([copied("recipe", place)]), np.uint8)),
        }
        with zipfile.ZipFile(place.folder / file.name, "w") as archive:
            for name, content in {**start, **honest}.items():
                archive.writestr(f"{name}.npy", content)

    return build


def judgement(**members: bytes) -> Callable[[Place], None]:
    """Writes an honest run with a judgement, in which these arrays are other bytes."""
    return fitted(
        "judgement",
        {
            "temperature": array_bytes(np.array(1)),
            "scores": array_bytes(np.arange(20, dtype=np.float32)),
            "outlines": array_bytes(np.zeros((20, 588), np.uint8)),
            "classes": array_bytes(np.arange(20, dtype=np.int32) // 2),
            "apart": array_bytes(np.arange(20, dtype=np.float32)),
            "doubts": array_bytes(np.arange(20, dtype=np.float32)),
            "threshold": array_bytes(np.array(0.5)),
            **members,
        },
    )


def correction(**members: bytes) -> Callable[[Place], None]:
    """Writes an honest run with a correction of its answers to photos, in which these arrays are other bytes."""
    honest = {
        "sharpness": array_bytes(np.array(1.0)),
        "shifts": array_bytes(np.zeros(10)),
        "scores": array_bytes(np.arange(20, dtype=np.float32)),
    }
    return fitted("correction", {**honest, **members})


def bomb_of_judgement(place: Place) -> None:
    """Half a gigabyte of zeros in each array that may be large."""
    from fittingroom.answers.stored import JUDGEMENT

    start = npy_header(header_of("|u1", (2**20, 512)))
    member = deflated(start, 512), len(start) + 2**29
    number = array_bytes(np.array(JUDGEMENT.format))
    packed = zlib.compressobj(9, wbits=-15)
    small = packed.compress(number) + packed.flush(), len(number)
    names = ("weights", "scores", "outlines", "classes", "apart", "doubts")
    content = packed_zip({"format.npy": small, **{f"{name}.npy": member for name in names}})
    (copied("recipe", place) / "judgement.npz").write_bytes(content)


def with_trusted_code(place: Place) -> None:
    """A run that says it came from a Python file, which it brings along."""
    path = evil_module(place.folder, place.canary)
    record(recipe__model=f"{path}:build", model_file={"path": str(path), "function": "build", "sha256": "0" * 64})(
        place
    )


def undescribed_code(place: Place) -> None:
    """The same, and no description: only running the file would give the model."""
    with_trusted_code(place)
    stored = json.loads((SeedFiles(place.folder).folder / "model.json").read_text())
    stored["description"] = {"format": 1, "keras": None, "reason": "it is code"}
    (SeedFiles(place.folder).folder / "model.json").write_text(json.dumps(stored))


def terminal_tricks(stored: Json) -> None:
    """Texts that would clear the screen, move the cursor or set the window's title."""
    trick = "\x1b[2J\x1b]0;evil\x07\x9b2J\r\u202e"
    stored["notes"] = [trick]
    stored["reason"], stored["status"] = trick, "stopped"
    stored["data"]["name"] = trick
    stored["environment"]["processor"] = trick


def seeds(**values: Any) -> Callable[[Place], None]:
    return changed_json("seeds", "run.json", lambda stored: stored.update(values))


_JUDGEMENT = r"judgement\.npz is damaged.*Delete "
_CORRECTION = r"correction\.npz is damaged.*Delete "
_RECORD = r"run\.json (is damaged|has|is larger)|is damaged and cannot be read"
_HISTORY = r"history\.csv"
_OUTCOMES = r"outcomes\.npz is damaged"

CASES: dict[str, Case] = {
    "record of brackets": Case("run", replaced("recipe", "run.json", lambda _: BRACKETS), _RECORD),
    "record with a number of 5,000,000 digits": Case(
        "run", replaced("recipe", "run.json", lambda text: text.replace(b'"seed": 0', b'"seed": ' + DIGITS)), _RECORD
    ),
    "record with NaN and Infinity": Case(
        "run", record(seed=float("inf"), epochs=float("nan"), data__scale=float("nan")), _RECORD
    ),
    "record with a key twice": Case(
        "run",
        replaced("recipe", "run.json", lambda text: text.replace(b'"seed": 0', b'"seed": 0, "seed": []')),
        _RECORD,
    ),
    "record of 100 MB": Case("run", replaced("recipe", "run.json", lambda text: text + b" " * 10**8), r"run\.json"),
    "record of a million lists": Case(
        "run", replaced("recipe", "run.json", lambda text: b'{"a": [' + b"[]," * 5_000_000 + b"[]]}"), r"run\.json"
    ),
    "record of a huge image": Case("run", record("own", data__image_shape=[10**9, 10**9, 3]), _RECORD),
    "record of a negative image": Case("run", record("own", data__image_shape=[-8, "8"]), _RECORD),
    "record of classes that are no texts": Case("run", record(data__classes=[["a"], {"b": 1}, 3]), _RECORD),
    "record of classes with NUL and escapes": Case("run", record(data__classes=["a\x00", "\x1b[2J"] * 5), _RECORD),
    "record of too few classes": Case("run", record(data__classes=[]), r"."),
    "record with tricks for terminals": Case("run", changed_json("recipe", "run.json", terminal_tricks), None),
    "record with a recipe of 10^12 weights": Case("run", record(recipe__hidden=[10**6, 10**6]), r"recipe|weights"),
    "record with a recipe of other layers": Case("run", record(recipe__hidden=[5]), r"recipe|weights"),
    "record with a recipe of huge batches": Case("run", record("own", recipe__batch_size=2**31 - 1), None),
    "record with a batch size that is a text": Case("run", record("own", recipe__batch_size="os.system"), _RECORD),
    "record that loads with unknown arguments": Case("run", record(data__load={"name": "digits", "evil": 1}), r"load"),
    "record that loads /dev/zero": Case("run", record(data__load={"name": "npz:/dev/zero"}), r"not an ordinary file"),
    "record that loads a list": Case("run", record(data__load=["digits"]), r"."),
    "record that loads a name that is no text": Case("run", record(data__load={"name": {"a": 1}}), r"load"),
    "record that loads for ever": Case(
        "run", record(data__load={"name": "folder:/dev", "image_size": [10**9, 10**9]}), r"image size"
    ),
    "record whose looks are texts": Case("run", record(looks=["look"]), _RECORD),
    "record whose score is a text": Case("run", record(looks=[{"time": "", "reason": "", "score": "9"}]), _RECORD),
    "record whose model is a file": Case("run", with_trusted_code, None),
    "record whose model is nothing but a file": Case("run", undescribed_code, r"code"),
    "history with a cell of 30 MB": Case(
        "run", replaced("recipe", "history.csv", lambda _: b"epoch,loss\n1," + b"9" * 30_000_000 + b"\n"), _HISTORY
    ),
    "history of 5,000,000 epochs": Case(
        "run", replaced("recipe", "history.csv", lambda _: b"epoch\n" + b"1\n" * 5_000_000), _HISTORY
    ),
    "history of 3,000,000 columns": Case(
        "run", replaced("recipe", "history.csv", lambda _: b"epoch" + b",a" * 3_000_000 + b"\n"), _HISTORY
    ),
    "history that is /dev/zero": Case("run", linked("history.csv", "/dev/zero"), _HISTORY),
    "pipes in place of files": Case("run", pipes, r"damaged"),
    "outcomes of pickles": Case(
        "run",
        outcomes(
            lambda place: dict.fromkeys(("loss", "predicted", "probability", "labels"), objects_npy(place.canary))
        ),
        _OUTCOMES,
    ),
    "outcomes that are a pickle": Case(
        "run", lambda place: replaced("recipe", "outcomes.npz", lambda _: pickled(place.canary))(place), _OUTCOMES
    ),
    "outcomes that unpack to 2 GB": Case("run", bomb_of_outcomes, _OUTCOMES),
    "outcomes of huge shapes": Case(
        "run", outcomes(lambda _: {"loss": npy_header(header_of("<f4", (2**40, 2**20)))}), _OUTCOMES
    ),
    "judgement that is honest": Case("run", judgement(), None),
    "judgement of pickles": Case("run", lambda place: judgement(scores=objects_npy(place.canary))(place), _JUDGEMENT),
    "judgement that is a pickle": Case(
        "run", lambda place: (copied("recipe", place) / "judgement.npz").write_bytes(pickled(place.canary)), _JUDGEMENT
    ),
    "judgement of huge outlines": Case(
        "run", judgement(outlines=npy_header(header_of("|u1", (2**40, 588)))), _JUDGEMENT
    ),
    "judgement of outlines without a width": Case(
        "run", judgement(outlines=npy_header(header_of("|u1", (2**62, 0)))), _JUDGEMENT
    ),
    "judgement of classes that there are not": Case(
        "run", judgement(classes=array_bytes(np.full(20, 2**31 - 1, np.int32))), _JUDGEMENT
    ),
    "judgement of endless doubts": Case("run", judgement(doubts=npy_header(header_of("<f4", (2**40,)))), _JUDGEMENT),
    "judgement of endless scores": Case(
        "run", judgement(scores=array_bytes(np.array([np.nan, np.inf], np.float32))), _JUDGEMENT
    ),
    "judgement that unpacks to 2 GB": Case("run", bomb_of_judgement, _JUDGEMENT),
    "judgement that is /dev/zero": Case(
        "run", lambda place: (copied("recipe", place) / "judgement.npz").symlink_to("/dev/zero"), _JUDGEMENT
    ),
    "judgement that is a pipe": Case(
        "run", lambda place: os.mkfifo(copied("recipe", place) / "judgement.npz"), _JUDGEMENT
    ),
    "correction that is honest": Case("run", correction(), None),
    "correction of pickles": Case(
        "run", lambda place: correction(shifts=objects_npy(place.canary))(place), _CORRECTION
    ),
    "correction of endless shifts": Case("run", correction(shifts=array_bytes(np.full(10, np.inf))), _CORRECTION),
    "correction of huge scores": Case("run", correction(scores=npy_header(header_of("<f4", (2**40,)))), _CORRECTION),
    "correction that is /dev/zero": Case(
        "run", lambda place: (copied("recipe", place) / "correction.npz").symlink_to("/dev/zero"), _CORRECTION
    ),
    "seeds that are paths": Case("seeds", seeds(kept=["../../outside"]), _RECORD),
    "seeds that are huge": Case("seeds", seeds(kept=[10**400, -1, 1e308]), _RECORD),
    "seeds without one": Case("seeds", seeds(kept=[]), _RECORD),
    "seeds of the same seed": Case("seeds", seeds(kept=[0] * 100_000), _RECORD),
    "seeds of brackets": Case("seeds", replaced("seeds", "run.json", lambda _: BRACKETS), _RECORD),
}
