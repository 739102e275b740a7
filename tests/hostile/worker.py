"""A process that opens hostile files one after another, as a user would, and says what each one cost and did.

It imports everything and opens honest runs first, so that what is measured afterwards is the file alone. It reads one
JSON object per line, {"open": NAME, "folder": FOLDER}, and answers with one line each. Started by `conftest.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import pickle
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

import fittingroom as fr
from fittingroom.answers.stored import LABEL_SHIFT
from fittingroom.cli.main import main as command
from fittingroom.data.model_inputs import ImageReader, ModelInputs
from fittingroom.data.ranges import ValueRange
from fittingroom.errors import FittingRoomError
from fittingroom.recipes.named import find_recipe
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.ledger_check import LedgerCheck
from tests.api.stopping import Crash, CrashIn

LIMIT = 3 * 2**30  # bytes; what takes more fails here instead of on the whole machine

Step = Callable[[], object]
Steps = Mapping[str, Step]


def load(what: str) -> Steps:
    return {"load": lambda: fr.load(what)}


def run(folder: Path) -> Steps:
    images = np.zeros((2, 8, 8), np.uint8)

    @cache
    def opened() -> fr.Run:
        return fr.open_run(folder)

    photos = ModelInputs(images, np.ones(2, np.bool_))
    asked = {"photo": lambda: opened().answer(photos)} if os.path.lexists(folder / LABEL_SHIFT.name) else {}
    return asked | {
        "record": lambda: opened().record,
        "history": lambda: opened().history,
        "outcomes": lambda: opened().outcomes,
        "predict": lambda: opened().predict(images),
        "answer": lambda: opened().answer(images),
        "model": lambda: opened().model,
        "evaluate": lambda: opened().evaluate("a test"),
        "show": lambda: _command("show", str(folder)),
        "explain": lambda: _command("explain", str(folder)),
    }


def seeds(folder: Path) -> Steps:
    images = np.zeros((2, 8, 8), np.uint8)

    @cache
    def opened() -> fr.Run:
        return fr.open_run(folder)

    return {
        "open": lambda: opened().train,
        "history": lambda: opened().history,
        "predict": lambda: opened().predict(images),
        "answer": lambda: opened().answer(images),
        "evaluate": lambda: opened().evaluate("a test"),
        "show": lambda: _command("show", str(folder)),
        "explain": lambda: _command("explain", str(folder)),
    }


def ledger(folder: Path) -> Steps:
    kept = Ledger(folder / "ledger.sqlite")
    return {"looks": kept.looks, "verify": lambda: LedgerCheck.of(kept)}


def cached(folder: Path) -> Steps:
    def loaded() -> object:
        honest, os.environ["FITTINGROOM_CACHE_DIR"] = os.environ["FITTINGROOM_CACHE_DIR"], str(folder / "cache")
        try:
            return fr.load("digits").train.counts()
        finally:
            os.environ["FITTINGROOM_CACHE_DIR"] = honest

    return {"load": loaded}


def _command(*arguments: str) -> None:
    """The command line in this process; what it prints must leave the terminal alone."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = command(arguments)
    text = out.getvalue() + err.getvalue()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text), ascii(text)
    if status:
        assert "bug in Fitting Room" not in text, text
        raise FittingRoomError(text)


OPEN: Mapping[str, Callable[[Path], Steps]] = MappingProxyType(
    {
        "npz": lambda folder: load(f"npz:{folder / 'data.npz'}"),
        "idx": lambda folder: load(f"idx:{folder}"),
        "folder": lambda folder: load(f"folder:{folder / 'pictures'}"),
        "name": lambda folder: load(json.loads((folder / "name.json").read_text())),
        "list": lambda folder: {"load": lambda: fr.load("digits", exclude=folder / "list.csv")},
        "cached": cached,
        "picture": lambda folder: {"predict": lambda: _images(next(folder.glob("picture.*")))},
        "recipe": lambda folder: {"recipe": lambda: find_recipe(str(folder / "recipe.toml"))},
        "run": run,
        "seeds": seeds,
        "stopped": lambda folder: {"resume": lambda: fr.resume(folder)},
        "ledger": ledger,
        # What must never be done, to see that it would be noticed.
        "pickle": lambda folder: {"load": lambda: pickle.loads((folder / "payload").read_bytes())},
        "memory": lambda folder: {"load": lambda: (folder / "payload").read_bytes() * 3 * 2**20},
    }
)


def _images(path: Path) -> object:
    return fr.open_run(os.environ["HONEST"] + "/recipe").predict(
        ImageReader((8, 8), ValueRange.of_scale(16.0)).read_file(path).images
    )


class Watch:
    """What this process does to the world while a file is open: it must do nothing but write below some folders."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event in {
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "subprocess.Popen",
            "pickle.find_class",
            "socket.connect",
        }:
            self.seen.append(f"{event} {arguments!r}"[:200])
        if event == "open" and isinstance(arguments[0], str) and self._writes(arguments):
            self._check(event, arguments[0])
        if event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}:
            for name in arguments[: 2 if event in {"os.rename", "os.link", "os.symlink"} else 1]:
                if isinstance(name, str | bytes | os.PathLike):  # what is open was checked before
                    self._check(event, os.fsdecode(name))

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        _, mode, flags = arguments
        return any(letter in (mode or "") for letter in "wax+") or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))

    def _check(self, event: str, path: str) -> None:
        assert self.allowed is not None
        if event == "os.mkdir" and Path(path).is_dir():  # asked for in case it is not there
            return
        if Path(path).is_absolute() and not os.path.realpath(path).startswith(self.allowed):
            self.seen.append(f"{event} {path!r}")  # (rmtree goes down with relative names)


def _memory(field: str) -> int:
    """A number from /proc/self/status, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


@contextlib.contextmanager
def _measured(answer: dict[str, Any]) -> Iterator[None]:
    """Adds the peak of resident memory beyond what was there before, and the seconds of processor time."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, started = _memory("VmRSS"), time.process_time()
    try:
        yield
    finally:
        answer["seconds"] = time.process_time() - started
        answer["megabytes"] = (_memory("VmHWM") - before) / 2**20


def _open(name: str, folder: Path, watch: Watch) -> dict[str, Any]:
    """Opens one file in every way there is; each way works or is refused."""
    steps: dict[str, dict[str, Any]] = {}
    watch.seen.clear()
    for way, step in OPEN[name](folder).items():
        answer: dict[str, Any] = {"error": None, "message": ""}
        watch.allowed = (str(folder), os.environ["FITTINGROOM_CACHE_DIR"], os.environ["FITTINGROOM_LEDGER"], "/proc/")
        try:
            with _measured(answer):
                step()
        except FittingRoomError as error:
            answer |= {"error": "ours", "message": str(error)}
        except BaseException as error:  # whatever it is, the test says so
            answer |= {"error": type(error).__name__, "message": str(error)[:500]}
        finally:
            watch.allowed = None
        steps[way] = answer
    return {"steps": steps, "seen": watch.seen}


def _honest(folder: Path) -> None:
    """The runs that hostile ones are made from: one that is trained, and two that are made of it."""
    if folder.exists():  # made by the process that was here before
        return
    recipe = fr.Recipe(name="tiny", hidden=(4,), epochs=1)
    fr.train("digits", recipe, out=folder / "recipe")
    with contextlib.suppress(Crash):
        fr.train("digits", recipe.changed(epochs=2), out=folder / "stopped", progress=CrashIn(1))
    shutil.copytree(folder / "recipe", folder / "own")  # as if `fit` had been given the model
    record = json.loads((SeedFiles(folder / "own").folder / "run.json").read_text())
    record["recipe"] = {"name": "own", "epochs": 1, "batch_size": 32, "stop": []}
    (SeedFiles(folder / "own").folder / "run.json").write_text(json.dumps(record))
    for seed in range(2):
        shutil.copytree(folder / "recipe" / "seed-0", folder / "seeds" / f"seed-{seed}")
    stored = {"format": 2, "seeds": [0, 1], "kept": [0, 1], "seconds": record["seconds"]}
    (folder / "seeds" / "run.json").write_text(json.dumps(stored))


def main() -> None:
    """Answers until there is nothing more to read."""
    honest = Path(os.environ["HONEST"])
    answers, sys.stdout = sys.stdout, sys.stderr
    _honest(honest)
    watch = Watch()
    with tempfile.TemporaryDirectory() as copies:  # scoring them changes them
        shutil.copytree(honest, copies, dirs_exist_ok=True)
        for name, kind in {"recipe": "run", "own": "run", "seeds": "seeds", "stopped": "stopped"}.items():
            for way, answer in _open(kind, Path(copies, name), watch)["steps"].items():
                assert answer["error"] is None, (name, way, answer)
    gc.freeze()  # what was imported is not garbage
    resource.setrlimit(resource.RLIMIT_DATA, (_memory("VmData") + LIMIT, resource.RLIM_INFINITY))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_open(asked["open"], Path(asked["folder"]), watch)), file=answers, flush=True)


if __name__ == "__main__":
    main()
