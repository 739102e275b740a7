"""The folder of a lab: the guess that was made first, who works in it, and what came out.

guess.json      the answer that the learner chose, before anything was measured
lock            held by the process that runs the lab
experiment-1/   what the first experiment has trained (`experiments.experiment_store`), and so on
code/           what the lab's Python code has trained
lab.json        the results; beside it the page, `<name>.html`
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.errors import InputError
from fittingroom.labs.lab_description import Lab
from fittingroom.runs.json_files import damage, json_text, read_json, whole
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.record import now
from fittingroom.runs.unfinished import LOCK_NAME, RunLock

FACTS_NAME = "lab.json"
_GUESS_NAME = "guess.json"
_MEASURED = ("experiment-*", "code", FACTS_NAME)


class LabFolder:
    """Where a lab is kept.

    Args:
        lab: the lab.
        path: its folder, which need not be there; None for the one of its name in the folder of runs.
    """

    def __init__(self, lab: Lab, path: Path | None = None) -> None:
        self.lab = lab
        self.path = RunsFolder().path / f"lab-{lab.name}" if path is None else path

    @property
    def is_measured(self) -> bool:
        """Whether something of the lab has been trained, so that a guess would come too late."""
        return any(True for name in _MEASURED for _ in self.path.glob(name))

    @property
    def guess(self) -> int | None:
        """The answer that was chosen before anything was measured, from 0; None for none."""
        path = self.path / _GUESS_NAME
        if self.lab.predict is None or not path.is_file():
            return None
        with damage(self.path, _GUESS_NAME):
            chosen = whole(read_json(path)["chosen"])
        return chosen if chosen < len(self.lab.predict.answers) else None  # the lab has been changed since

    def keep_guess(self, chosen: int) -> None:
        """Keeps a guess. To be called before anything is measured.

        Args:
            chosen: the answer, from 0.

        Raises:
            InputError: the lab asks nothing, has no such answer, or has been measured.
            StorageError: it cannot be written.
        """
        check_guess(self.lab, chosen)
        if self.is_measured:
            raise InputError(
                f"{self.path} has measurements already, and a guess comes before them. To begin again, delete it."
            )
        self._make()
        write_bytes(self.path / _GUESS_NAME, json_text({"chosen": chosen, "time": now()}).encode())

    @property
    def facts(self) -> dict[str, Any] | None:
        """The results, as `LabResult.to_dict` gave them; None where there are none.

        Raises:
            RunError: the file is damaged.
        """
        if not (self.path / FACTS_NAME).is_file():
            return None
        with damage(self.path, FACTS_NAME):
            return read_json(self.path / FACTS_NAME)

    @property
    def worker(self) -> str | None:
        """Who runs the lab at this moment, in words; None where nobody does."""
        return RunLock.holder(self.path)

    @property
    def worker_id(self) -> int | None:
        """The number of that process; None where nobody works, or it is not known."""
        try:
            return None if self.worker is None else whole(json.loads((self.path / LOCK_NAME).read_bytes())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and holds its lock for a `with` block.

        Raises:
            RunError: another process runs this lab.
            StorageError: the folder cannot be written.
        """
        self._make()
        lock = RunLock(self.path)
        try:
            yield
        finally:
            lock.release()

    def _make(self) -> None:
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)


def check_guess(lab: Lab, chosen: int) -> None:
    """Makes sure that a guess is one of a lab's answers.

    Args:
        lab: the lab.
        chosen: the answer, from 0.

    Raises:
        InputError: the lab asks nothing, or has no such answer.
    """
    if lab.predict is None:
        raise InputError(f"The lab {lab.name!r} asks for no prediction. Leave the guess out.")
    if not 0 <= chosen < len(lab.predict.answers):
        raise InputError(
            f"answer {chosen + 1} of the lab {lab.name!r}: expected 1 to {len(lab.predict.answers)}. The answers are: "
            f"{'; '.join(lab.predict.answers)}."
        )
