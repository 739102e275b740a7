"""`Studio`: what all views share. The folder of runs is the only state; the rest can be made from it again.

Who may do what: the owner everything, guests look and try.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request

from fittingroom.errors import RunError
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.place import RunsFolder, is_run, is_unfinished
from fittingroom.runs.unfinished import RunLock
from fittingroom.serving.gate import ROLE, Role
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.event_stream import BackgroundWork, Events

if TYPE_CHECKING:
    from fittingroom.api.run import Run

T = TypeVar("T")

_OPEN_RUNS = 6  # a run of the course with its dataset and its programs takes about 200 MB


class LastUsed:
    """Values that take long to make: the last few are kept, and each is made once, however many ask for it.

    Args:
        most: how many are kept; that which was asked for longest ago goes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()
        self._making: dict[Any, threading.Lock] = {}

    def get(self, key: Any, state: Any, make: Callable[[], T]) -> T:
        """The value of a key; made if there is none, or it was made of another state (such as a file's time)."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                kept = self._values.get(key)
                if kept is not None and kept[0] == state:
                    self._values.move_to_end(key)
                    value: T = kept[1]
                    return value
            value = make()
            with self._lock:
                self._values[key] = (state, value)
                self._values.move_to_end(key)
                while len(self._values) > self._most:
                    gone, _ = self._values.popitem(last=False)
                    self._making.pop(gone, None)
            return value


class Studio:
    """The folder of runs, those of them that are open, what happens, and the work in the background.

    Args:
        trust: whether the Python files of models may be run, as `--trust` of `fittingroom serve` allows.
    """

    def __init__(self, *, trust: bool = False) -> None:
        self.trust = trust
        self.events = Events()
        self.work = BackgroundWork(self.events)
        self._runs = LastUsed(_OPEN_RUNS)
        self._facts = LastUsed(1_000)
        self.ends: list[Callable[[], None]] = []  # called when the studio closes
        self._seen: dict[str, tuple[int, ...]] | None = None
        self.version = 0  # counts the changes in the folder of runs that were seen while somebody watched
        self.events.poll(self._look)

    @property
    def folder(self) -> Path:
        """The folder of runs: `FITTINGROOM_RUNS_DIR`, so that every function and process means the same."""
        return RunsFolder().path

    def path_of(self, name: str) -> Path:
        """The folder of a run, or of a training that has begun, by its name in the folder of runs.

        Raises:
            RefusedError: 404, there is none of that name.
        """
        path = self.folder / name
        if name != path.name or name.startswith(".") or "\\" in name or not (is_run(path) or is_unfinished(path)):
            raise RefusedError(
                404, "no_such_run", f"There is no run {name[:100]!r} in {self.folder}. It may have moved."
            )
        return path

    def run(self, name: str) -> Run:
        """A run by its name, open; the same object for all who ask, until its record changes.

        Raises:
            RefusedError: 404, there is none of that name.
            RunError: it has not finished, or is damaged.
        """
        path = self.path_of(name)
        if not is_run(path):
            raise RunError(f"{name} has not finished training; it is saved when it does.")

        def opened() -> Run:
            from fittingroom.api.open_runs import open_run  # imports JAX

            return open_run(path, trust=self.trust)

        return self._runs.get(name, _state_of(path), opened)

    def listing(self) -> list[dict[str, Any]]:
        """All runs, newest first, those in training before: what the frame shows of each.

        Returns:
            `name`, `status` (`training`, `stopped`, `finished` or `unreadable`), and of finished ones `recipe`,
            `dataset` and `seeds`, the number of them.
        """
        begun = [path for path in RunsFolder().unfinished() if not is_run(path)]
        return [
            *({"name": path.name, "status": "training" if RunLock.holder(path) else "stopped"} for path in begun),
            *(self._facts.get(path.name, _state_of(path), partial(_facts_of, path)) for path in RunsFolder().runs()),
        ]

    def close(self) -> None:
        """Ends the streams and the work in the background. Trainings are processes of their own and go on."""
        for end in self.ends:
            end()
        self.events.close()
        self.work.close()

    def _look(self) -> None:
        """Publishes `runs` where a folder has come, gone or changed since the last look."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.path for entry in entries if not entry.name.startswith(".")]
        except OSError:
            names = []
        seen = {Path(name).name: _state_of(Path(name)) for name in names}
        if self._seen is not None and seen != self._seen:
            changed = {name for name in seen.keys() | self._seen.keys() if seen.get(name) != self._seen.get(name)}
            self.events.publish("runs", {"changed": sorted(changed)[:100]})
            self.version += 1
        self._seen = seen


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes when a run does. Its files are written whole under another name first, which changes the folder."""
    return tuple(map(_changed, (path, path / "seed-0")))


def _changed(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a few hundred of them, four times a second
    except OSError:
        return 0


def _facts_of(path: Path) -> dict[str, Any]:
    try:
        folders = list(read_layout(path).folders.values())
        record = SeedFiles(folders[0]).record()
    except RunError:
        return {"name": path.name, "status": "unreadable"}
    return {
        "name": path.name,
        "status": "finished",
        "recipe": str(record.recipe["name"]),
        "dataset": record.data.name,
        "seeds": len(folders),
    }


def role_of(request: Request) -> Role:
    """Who asks. The gate has found it out; without a gate in front nobody is the owner."""
    role: Role = request.scope.get(ROLE, "guest")
    return role


def owner(request: Request) -> None:
    """For `dependencies=[Depends(owner)]` of every route that changes anything.

    Raises:
        RefusedError: 403 for a guest.
    """
    if role_of(request) != "owner":
        raise RefusedError(
            403,
            "owner_only",
            "With this link one looks and tries. Training, changing, deleting and opening test sets need the owner's "
            "link, which was printed when the studio started.",
        )
