"""The benchmarks of a studio: found in the folder of runs, begun as processes of their own, stopped, and watched.

All that is known of one is read from its folder: `benchmark.json`, `progress.json` and its lock. So a benchmark that a
terminal has begun looks the same, and the studio's end ends none.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fittingroom.atomic import read_file, storage_errors, write_bytes
from fittingroom.errors import InputError
from fittingroom.runs.unfinished import RunLock
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import LastUsed, Studio

_RESULT, _PROGRESS = "benchmark.json", "progress.json"
_ORDERS = ".studio/benchmarks"  # in the folder of runs: the arguments that each was begun with, and what it printed
_SEARCHED_EVERY = 1.0  # seconds between two looks
_BEGINS_WITHIN = 60.0  # seconds that a process has until its folder shows it
_MOST_RESULT = 256 * 2**20
_MOST_PRINTED = 2**20
_KEPT = 50
_SAID = re.compile(r"^fittingroom: (error|interrupted): ", re.MULTILINE)


class StudioBenchmarks:
    """All benchmarks in a studio's folder of runs.

    Args:
        studio: whose folder it is, and whose pages are told.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._facts = LastUsed(_KEPT)
        self._lock = threading.Lock()
        self._processes: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._searched = 0.0
        studio.events.poll(self._look)

    def names(self) -> list[str]:
        """The folders that hold a benchmark, and those that are about to, the newest first."""
        found: dict[str, float] = {name: began for name, (_, began) in self._processes.items() if self.is_running(name)}
        try:
            with os.scandir(self._studio.folder) as entries:
                for entry in entries:
                    times = [_changed(Path(entry.path) / name) for name in (_RESULT, _PROGRESS)]
                    if max(times) > 0 and not entry.name.startswith("."):
                        found[entry.name] = max(times)
        except OSError:
            pass
        return sorted(found, key=lambda name: (-found[name], name))

    def folder(self, name: str) -> Path:
        """The folder of a benchmark.

        Raises:
            RefusedError: 404, there is none of that name.
        """
        if name not in self.names():
            raise RefusedError(
                404, "no_such_benchmark", f"There is no benchmark {name[:100]!r} in {self._studio.folder.name}."
            )
        return self._studio.folder / name

    def facts(self, name: str) -> dict[str, Any] | None:
        """Its result as `Benchmark.to_dict` wrote it; None where there is none yet.

        Raises:
            InputError: the file cannot be read.
        """
        path = self._studio.folder / name / _RESULT
        changed = _changed(path)
        if not changed:
            return None

        def read() -> dict[str, Any]:
            try:
                facts: dict[str, Any] = json.loads(read_file(path, _MOST_RESULT))
                facts["cells"]["done"], facts["datasets"], facts["methods"], facts["results"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{path} cannot be read ({error}). Run the benchmark again, in the same folder."
                ) from error
            return {**facts, "benchmark": str(path.parent)}  # where it is now, since it may have been moved

        return self._facts.get(name, changed, read)

    def is_running(self, name: str) -> bool:
        """Whether a process works on it, or is about to."""
        process, began = self._processes.get(name, (None, 0.0))
        begins = process is not None and process.poll() is None and time.time() - began < _BEGINS_WITHIN
        return begins or RunLock.holder(self._studio.folder / name) is not None

    def progress(self, name: str) -> dict[str, Any]:
        """How far it is: `running`, `done`, `failed`, `total`, the cells `now` in training, and each of `datasets`."""
        try:
            stored = json.loads(read_file(self._studio.folder / name / _PROGRESS, _MOST_PRINTED))
            counts = {key: int(stored[key]) for key in ("done", "failed", "total")}
            datasets = [
                {"name": str(key), **{part: int(one[part]) for part in ("done", "failed", "total")}}
                for key, one in stored["datasets"].items()
            ]
            now = [str(one) for one in stored["running"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            counts, datasets, now = {"done": 0, "failed": 0, "total": 0}, [], []
        running = self.is_running(name)
        return {"name": name, "running": running, **counts, "datasets": datasets, "now": now if running else []}

    def begin(self, datasets: Sequence[str], methods: Sequence[str], seeds: int) -> str:
        """Begins a benchmark in a folder of its own, and returns its name.

        Raises:
            StorageError: the folder of runs cannot be written.
        """
        with self._lock:
            taken = {entry.name for entry in self._studio.folder.glob("benchmark-*")} | set(self._processes)
            name = next(
                one for one in (f"benchmark-{number}" for number in range(1, len(taken) + 2)) if one not in taken
            )
            arguments = [*datasets, "--methods", *methods, "--seeds", str(seeds)]
            with storage_errors(self._order(name)):
                self._order(name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(self._order(name), json.dumps(arguments).encode())
            self._start(name)
        return name

    def resume(self, name: str) -> None:
        """Continues a benchmark that was begun here; nothing happens where it runs.

        Raises:
            InputError: it was begun elsewhere.
        """
        with self._lock:
            if self.is_running(name):
                return
            if not self.is_own(name):
                raise InputError(
                    f"{name} was begun in a terminal or a notebook. Continue it there, with the same command."
                )
            self._start(name)

    def is_own(self, name: str) -> bool:
        """Whether it was begun in a studio."""
        return self._order(name).is_file()

    def stop(self, name: str) -> None:
        """Asks it to stop, as Ctrl-C does: what is trained is kept, and it can be continued.

        Raises:
            InputError: nobody runs it, or somebody on another machine does.
        """
        folder = self.folder(name)
        if not self.is_running(name):
            raise InputError(f"{name} is not running, so there is nothing to stop.")
        process = self._processes.get(name)
        number = RunLock.holding_process(folder) or (None if process is None else process[0].pid)
        elsewhere = InputError(
            f"{name} is run by {RunLock.holder(folder) or 'another process'}. Stop it there, with Ctrl-C."
        )
        if number is None:
            raise elsewhere
        try:
            os.kill(number, signal.SIGINT)
        except OSError as error:
            raise elsewhere from error

    def said(self, name: str) -> str | None:
        """The sentence that its last process ended with; None where it ended well, or was not begun here."""
        if self.is_running(name):
            return None
        try:
            printed = read_file(self._order(name).with_suffix(".txt"), _MOST_PRINTED).decode(errors="replace")
        except OSError:
            return None
        *_, last = [None, *_SAID.finditer(printed)]
        return None if last is None else printed[last.end() :].strip()[:4000]

    def _order(self, name: str) -> Path:
        return self._studio.folder / _ORDERS / f"{Path(name).name}.json"

    def _start(self, name: str) -> None:
        order = self._order(name)
        try:
            arguments = [str(one) for one in json.loads(read_file(order, _MOST_PRINTED))]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{order} cannot be read ({error}). Begin a new benchmark.") from error
        with storage_errors(order), order.with_suffix(".txt").open("wb") as printed:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "fittingroom",
                    "benchmark",
                    *arguments,
                    "--out",
                    str(self._studio.folder / name),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=printed,
                env={**os.environ, "FITTINGROOM_RUNS_DIR": str(self._studio.folder.absolute())},
                start_new_session=True,
            )
        self._processes[name] = (process, time.time())

    def _look(self) -> None:
        """Publishes `benchmark` for each that has moved or ended."""
        now = time.monotonic()
        if now - self._searched < _SEARCHED_EVERY:
            return
        self._searched = now
        names = set(self.names())
        for name in names | set(self._told):
            news = self.progress(name)
            before = self._told.get(name, {"running": False})
            if news["running"] and news != before:
                self._told[name] = news
                self._studio.events.publish("benchmark", news)
            elif not news["running"] and before["running"]:
                self._told.pop(name, None)
                self._studio.events.publish("benchmark", {**news, "ended": True})


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
