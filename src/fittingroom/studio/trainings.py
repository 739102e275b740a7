"""The trainings of a folder of runs: begun, stopped and continued as processes of their own, and found again.

A training belongs to nobody. It is `fittingroom train` in a session of its own, which the end of the studio does not
reach, and all that is known of it is read from files: those of its run (`runs.live`), and, for what was begun here, its
command line and what it printed, in `.studio/trainings/` of the folder of runs. So another studio, or this one after a
kill, knows as much, and a training that was begun in a terminal is like any other.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fittingroom.atomic import read_file, storage_errors, write_bytes
from fittingroom.errors import InputError, RunError
from fittingroom.progress import SAY_STAGES
from fittingroom.runs.place import RunsFolder, is_run, is_unfinished
from fittingroom.runs.unfinished import RunLock

_PLACE = ".studio/trainings"
_TICKET, _OUTPUT, _ERRORS = "training.json", "output", "errors"
_KEPT_SECONDS = 7 * 86_400.0  # what a training printed
_MOST_PRINTED = 4 * 2**20
_MOST_SHOWN = 4_000
_STAGE = re.compile(r"^fittingroom: stage: (.+)$", re.MULTILINE)
_SAID = re.compile(r"^fittingroom: (error|interrupted): ", re.MULTILINE)


@dataclass(frozen=True)
class Ticket:
    """A training that was begun from a page.

    Args:
        name: its own, which no run has.
        folder: what it printed is there.
        arguments: the command line after `fittingroom`.
        pid: the process.
        began: when it began, in seconds since 1970.
        birth: when the process began, as the system counts it; None where it does not say.
        run: the run that it continues; None for a new one.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]
    pid: int
    began: float
    birth: str | None
    run: str | None

    @classmethod
    def read(cls, folder: Path) -> Ticket | None:
        """The ticket in a folder; None where there is none that can be read."""
        try:
            stored = json.loads(read_file(folder / _TICKET, 2**16))
            arguments = tuple(map(str, stored["arguments"]))
            birth, run = stored["birth"], stored["run"]
            return cls(
                folder.name,
                folder,
                arguments,
                int(stored["pid"]),
                float(stored["began"]),
                None if birth is None else str(birth),
                None if run is None else str(run),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.pid > 0 and _is_process(self.pid) and self.birth == _birth(self.pid)

    @property
    def stage(self) -> str:
        """What its process does before there is a run, for example `computing features: 960 of 2,680 images`."""
        try:
            printed = read_file(self.folder / _ERRORS, _MOST_PRINTED).decode(errors="replace")
        except OSError:
            return ""
        *_, last = ["", *_STAGE.findall(printed)]
        return str(last)

    @property
    def said(self) -> tuple[str, str]:
        """What its process said last: the kind (`error`, `interrupted`), and the sentence; two empty texts for nothing.

        The sentence is the product's own. Where a process left none, as after a kill, it is what it printed last.
        """
        try:
            printed = read_file(self.folder / _ERRORS, _MOST_PRINTED).decode(errors="replace").strip()
        except OSError:
            return "", ""
        *_, last = [None, *_SAID.finditer(printed)]
        if last is not None:
            return last[1], printed[last.end() :].strip()[:_MOST_SHOWN]
        return ("error", printed[-_MOST_SHOWN:]) if printed and not printed.startswith("fittingroom: ") else ("", "")


class Trainings:
    """Begins, stops and finds the trainings of the folder of runs.

    Args:
        runs: the folder.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._tickets: dict[str, Ticket] = {}
        self._run_of: dict[str, str] = {}

    def begin(self, arguments: Sequence[str], run: str | None = None) -> Ticket:
        """Starts `fittingroom` with these arguments, in a session of its own.

        Args:
            arguments: the command line after `fittingroom`.
            run: the run that it continues; None for a new one.

        Raises:
            StorageError: the folder of runs cannot be written.
        """
        self._clear()
        folder = self._runs / _PLACE / f"t-{secrets.token_hex(6)}"
        with storage_errors(folder):
            folder.mkdir(parents=True)
            began = time.time()
            environment = {**os.environ, "FITTINGROOM_RUNS_DIR": str(self._runs.absolute()), "PYTHONUNBUFFERED": "1"}
            environment[SAY_STAGES] = "1"
            with (folder / _OUTPUT).open("wb") as output, (folder / _ERRORS).open("wb") as errors:
                process = subprocess.Popen(
                    [sys.executable, "-m", "fittingroom", *arguments, "--json"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,
                )
        ticket = Ticket(folder.name, folder, tuple(arguments), process.pid, began, _birth(process.pid), run)
        stored = {name: value for name, value in vars(ticket).items() if name not in {"name", "folder"}}
        write_bytes(folder / _TICKET, json.dumps(stored).encode(), durable=False)
        with self._lock:
            self._children.append(process)
            self._tickets[ticket.name] = ticket
        return ticket

    def ticket(self, name: str) -> Ticket | None:
        """The ticket of this name; None where there is none."""
        with self._lock:
            known = self._tickets.get(name)
        if known is None and name.startswith("t-") and name.removeprefix("t-").isalnum():
            known = Ticket.read(self._runs / _PLACE / name)
            if known is not None:
                with self._lock:
                    self._tickets[name] = known
        return known

    def tickets(self) -> list[Ticket]:
        """Those of the last days, the newest first."""
        try:
            names = [entry.name for entry in os.scandir(self._runs / _PLACE)]
        except OSError:
            return []
        found = [ticket for name in names if (ticket := self.ticket(name)) is not None]
        return sorted(found, key=lambda ticket: ticket.began, reverse=True)

    def run_of(self, ticket: Ticket) -> str | None:
        """The name of the run that a ticket's process trains, or has trained; None where there is none yet."""
        if ticket.run is not None:
            return ticket.run
        if (known := self._run_of.get(ticket.name)) is not None:
            return known
        found = (
            next((path.name for path in RunsFolder(self._runs).unfinished() if holder(path) == ticket.pid), None)
            if ticket.alive
            else None
        )
        if found is None and not ticket.alive:
            found = self._printed_run(ticket)
        if found is not None:
            self._run_of[ticket.name] = found
        return found

    def ticket_of(self, run: str) -> Ticket | None:
        """The latest ticket that is about a run."""
        return next((ticket for ticket in self.tickets() if self.run_of(ticket) == run), None)

    def running(self) -> list[str]:
        """What is trained at this moment: names of runs, and of tickets that have no run yet; the newest first."""
        runs = [path.name for path in RunsFolder(self._runs).unfinished() if RunLock.holder(path, tries=1) is not None]
        waiting = [ticket for ticket in self.tickets() if ticket.alive]
        return [*(ticket.name for ticket in waiting if self.run_of(ticket) not in runs), *runs]

    def stop(self, name: str) -> None:
        """Asks a training to stop as Ctrl-C does: it keeps the finished epochs, and can be continued.

        Args:
            name: of the run, or of the ticket.

        Raises:
            InputError: nobody trains it, or somebody on another machine does.
        """
        self.reap()
        ticket = self.ticket(name)
        run = name if ticket is None else self.run_of(ticket)
        pid = None if run is None else holder(self._runs / run)
        if pid is not None:
            self._signal(pid, signal.SIGINT)
        elif ticket is not None and ticket.alive:  # it loads its data; nothing is there to be kept
            self._signal(ticket.pid, signal.SIGTERM)
        elif run is not None and (who := RunLock.holder(self._runs / run)):
            raise InputError(f"{run} is trained by {who}. Stop it there: Ctrl-C lets it keep what is finished.")
        else:
            raise InputError(f"{name} is not in training, so there is nothing to stop.")

    def resume(self, run: str) -> Ticket:
        """Continues a stopped training.

        Raises:
            RunError: it cannot be continued.
            StorageError: the folder of runs cannot be written.
        """
        path = self._runs / run
        if not is_unfinished(path):
            raise RunError(f"{run} has nothing left to continue." if is_run(path) else f"There is no training {run}.")
        if (who := RunLock.holder(path)) is not None:
            raise RunError(f"{run} is being trained by {who}.")
        return self.begin(["train", "--resume", run], run)

    def reap(self) -> None:
        """Lets go of the processes that have ended."""
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError as error:
            raise InputError("The training has ended already.") from error
        except PermissionError as error:
            raise InputError("Another user of this machine trains it. Stop it there, with Ctrl-C.") from error

    def _printed_run(self, ticket: Ticket) -> str | None:
        """The run that a process named when it ended."""
        try:
            printed = json.loads(read_file(ticket.folder / _OUTPUT, _MOST_PRINTED))
            path = Path(str(printed["run"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        name = path.parent.name if path.name.startswith("seed-") and not is_run(self._runs / path.name) else path.name
        return name if is_run(self._runs / name) else None

    def _clear(self) -> None:
        """Forgets what trainings of long ago have printed."""
        self.reap()
        for ticket in self.tickets():
            if time.time() - ticket.began > _KEPT_SECONDS and not ticket.alive:
                shutil.rmtree(ticket.folder, ignore_errors=True)
                self._tickets.pop(ticket.name, None)


def holder(run: Path) -> int | None:
    """The process of this machine that trains a run; None where none does."""
    if RunLock.holder(run, tries=1) is None:
        return None
    return RunLock.holding_process(run)


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _stat(pid: int) -> list[str]:
    """What Linux says of a process, from its state on; nothing where it says nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[:1] == ["Z"]


def _birth(pid: int) -> str | None:
    """When a process began: another one with its number began at another time."""
    facts = _stat(pid)
    return facts[19] if len(facts) > 19 else None
