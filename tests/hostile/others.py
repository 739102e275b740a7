"""Hostile stopped trainings and their checkpoints, recipes, ledgers and caches."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.case import Case, Json, Place, evil_module, header_of, npy_header, objects_npy, pickled, safetensors
from tests.hostile.records import BRACKETS, DIGITS, changed_json, copied, replaced


def checkpoint(make: Callable[[Place], bytes]) -> Callable[[Place], None]:
    """A training that was stopped, with these contents in all of its checkpoints, each behind its right SHA-256."""

    def build(place: Place) -> None:
        content = make(place)
        for path in (copied("stopped", place) / "seed-0" / "checkpoints").glob("*.state"):
            path.write_bytes(hashlib.sha256(content).digest() + content)

    return build


def typed_arrays(kind: str) -> bytes:
    """A checkpoint whose array is said to be of another type."""
    tensors = {"x": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}
    facts = {"facts": json.dumps({"format": 1, "outcomes": [], "facts": {}}), "types": json.dumps({"x": [kind, [1]]})}
    return safetensors({"__metadata__": facts, **tensors}, bytes(8))


def stopped_code(place: Place) -> None:
    """A stopped training of a Python file, which it brings along with the right hash."""
    path = evil_module(place.folder, place.canary)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def change(stored: Json) -> None:
        stored["recipe"]["model"] = f"{path}:build"
        stored["model_file"] = {"path": str(path), "function": "build", "sha256": digest}

    changed_json("stopped", "training.json", change)(place)


def recipe(content: bytes) -> Callable[[Place], object]:
    return lambda place: (place.folder / "recipe.toml").write_bytes(content)


def recipe_of_code(place: Place) -> None:
    """Reading a recipe runs nothing, even if its model is a Python file."""
    evil_module(place.folder, place.canary)
    recipe(b'model = "evil.py:build"\n')(place)


def ledger(*statements: str) -> Callable[[Place], None]:
    """A ledger as ours, with these statements carried out on it."""

    def build(place: Place) -> None:
        from fittingroom.runs.ledger import Ledger
        from fittingroom.runs.ledger_entries import Intent

        path = place.folder / "ledger.sqlite"
        Ledger(path).record_look("ab", Intent("digits", 3, "a test"))
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return build


ENDLESS = (
    "ALTER TABLE entries RENAME TO hidden",
    "CREATE VIEW entries AS WITH RECURSIVE c(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM c) "
    "SELECT number, 'look' AS kind, 'ab' AS test_set, NULL AS look, '{}' AS content, '' AS hash FROM c",
)


def cache(change: Callable[[Path, Place], object]) -> Callable[[Place], None]:
    """A cache of digits with one file changed."""

    def build(place: Place) -> None:
        honest = Path(os.environ["FITTINGROOM_CACHE_DIR"], "datasets", "digits")
        folder = place.folder / "cache" / "datasets" / "digits"
        shutil.copytree(honest, folder)
        change(folder, place)
        try:
            stored = json.loads((folder / "contents.json").read_bytes())
            states = [(folder / f"{name}.npy").stat() for name in ("images", "labels", "test_images", "test_labels")]
            stored["arrays"] = [[state.st_size, state.st_mtime_ns] for state in states]
            (folder / "contents.json").write_text(json.dumps(stored))
        except (ValueError, RecursionError):
            return

    return build


def facts(**values: Any) -> Callable[[Path, Place], None]:
    def change(folder: Path, place: Place) -> None:
        stored = json.loads((folder / "contents.json").read_bytes())
        stored["facts"].update(values)
        (folder / "contents.json").write_text(json.dumps(stored))

    return change


def reviewed(content: bytes) -> Callable[[Place], object]:
    """A list of images to leave out."""
    return lambda place: (place.folder / "list.csv").write_bytes(content)


def run_with_list(value: Callable[[Place], Any]) -> Callable[[Place], None]:
    """A run whose record says that a list was used."""

    def build(place: Place) -> None:
        def change(stored: Json) -> None:
            stored["data"]["load"]["exclude"] = value(place)

        changed_json("recipe", "run.json", change)(place)

    return build


def saved(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


CASES: dict[str, Case] = {
    "stopped training of brackets": Case(
        "stopped", replaced("stopped", "training.json", lambda _: BRACKETS), r"damaged"
    ),
    "stopped training of a Python file": Case("stopped", stopped_code, r"nothing of it was run"),
    "checkpoint that is a pickle": Case("stopped", checkpoint(lambda place: pickled(place.canary)), r"damaged"),
    "checkpoint with a header of 2^60": Case(
        "stopped", checkpoint(lambda _: safetensors({}, b"", declared=2**60)), r"damaged"
    ),
    "checkpoint of brackets": Case(
        "stopped", checkpoint(lambda _: (100_000).to_bytes(8, "little") + BRACKETS), r"damaged"
    ),
    "checkpoint of objects": Case("stopped", checkpoint(lambda _: typed_arrays("O")), r"damaged"),
    "checkpoint without facts": Case("stopped", checkpoint(lambda _: typed_arrays("u1")), r"damaged"),
    "recipe of brackets": Case("recipe", recipe(b"stop = " + BRACKETS), r"recipe\.toml"),
    "recipe of dotted keys": Case("recipe", recipe(b"a." * 200_000 + b"a = 1"), r"recipe\.toml"),
    "recipe with a number of 5,000,000 digits": Case("recipe", recipe(b"epochs = " + DIGITS), r"recipe\.toml"),
    "recipe with a number of 5,000 digits": Case("recipe", recipe(b"epochs = " + DIGITS[:5000]), r"recipe\.toml"),
    "recipe that is /dev/zero": Case(
        "recipe", lambda place: (place.folder / "recipe.toml").symlink_to("/dev/zero"), r"cannot be read"
    ),
    "recipe of a Python file": Case("recipe", recipe_of_code, None),
    "ledger of an endless view": Case("ledger", ledger(*ENDLESS), r"ledger"),
    "ledger of brackets": Case("ledger", ledger(f"UPDATE entries SET content = '{BRACKETS.decode()}'"), r"ledger"),
    "ledger of a blob": Case("ledger", ledger("UPDATE entries SET content = zeroblob(30000000)"), r"ledger"),
    "ledger that is a pickle": Case(
        "ledger", lambda place: (place.folder / "ledger.sqlite").write_bytes(pickled(place.canary)), r"ledger"
    ),
    "list that is /dev/zero": Case(
        "list", lambda place: (place.folder / "list.csv").symlink_to("/dev/zero"), r"cannot read the list"
    ),
    "list that is a pickle": Case(
        "list", lambda place: (place.folder / "list.csv").write_bytes(pickled(place.canary)), r"the list"
    ),
    "list with a cell of 20 MB": Case("list", reviewed(b"index,why\n1," + b"x" * 20_000_000), r"field larger"),
    "list with a million columns": Case("list", reviewed(b"," * 1_000_000 + b"\n"), r"the list"),
    "list with an index of 5,000,000 digits": Case("list", reviewed(b"index\n" + DIGITS), r"the list"),
    "list of files elsewhere": Case("list", reviewed(b"file,image\n../outside/secret,file:00"), r"have no files"),
    "run with a list elsewhere": Case("run", run_with_list(lambda place: str(place.outside / "secret")), r"damaged"),
    "run with a list of 10^15 images": Case(
        "run", run_with_list(lambda _: {"file": "", "sha256": "", "rows": "0-999999999999999"}), r"recorded list"
    ),
    "run with a list of endless positions": Case(
        "run", run_with_list(lambda _: {"file": "", "sha256": "", "rows": "9" * 5_000_000}), r"recorded list"
    ),
    "cache of pickles": Case(
        "cached", cache(lambda folder, place: (folder / "images.npy").write_bytes(objects_npy(place.canary))), None
    ),
    "cache of huge shapes": Case(
        "cached",
        cache(lambda folder, _: (folder / "images.npy").write_bytes(npy_header(header_of("|u1", (2**40, 8, 8))))),
        None,
    ),
    "cache of brackets": Case(
        "cached", cache(lambda folder, _: (folder / "contents.json").write_bytes(BRACKETS)), None
    ),
    "cache of other types": Case(
        "cached", cache(lambda folder, _: (folder / "images.npy").write_bytes(saved(np.zeros((3, 3), "<f8")))), None
    ),
    "cache of facts that are no facts": Case("cached", cache(facts(scale="evil", classes=3, fingerprint=[])), None),
}
