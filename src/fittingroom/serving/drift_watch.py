"""`DriftWatch`: counts what the server answers, for `GET /v1/drift` and `/metrics`.

Images wait until 64 are there, or until nobody asks for a moment, and are counted together; then they are forgotten. A
thread of its own looks whether nobody asks: the model's thread, waiting with a time limit, would wake later for each
request. Counting may take a hundredth of the time. Where more come, some are left out, whatever they show, so that
what is counted stays a fair sample.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.answers.judgement import Answer
from fittingroom.answers.predictor import Predictor
from fittingroom.audits.check import CheckResult
from fittingroom.audits.drift import FOLDER, drift_result, not_watched
from fittingroom.audits.drift_monitor import DriftMonitor, DriftPlace, kept_monitors
from fittingroom.audits.drift_reference import DriftReference
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.errors import RunError
from fittingroom.runs.data_record import DataRecord

_log = logging.getLogger("fittingroom")

_QUIET = 0.05
"""Seconds after which images that wait are counted, where no request came since."""

_TOGETHER = 64  # images
_WRITE_EVERY = 5.0  # seconds
_SHARE = 0.01  # of the time, for counting while requests come one after the other
_SAVED_UP = 0.5  # seconds of counting, at most, after a quiet time
_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where processes of one server keep numbers if the run's folder cannot be written


class DriftWatch:
    """Watches what one process answers.

    Args:
        reference: what it is compared with; a sentence that says why there is nothing.
        classes: the names of the run's classes.
        scale: what its images are divided by to lie in 0 to 1.
        folder: `drift` in that of the run; None to remember only as long as the process lives.
    """

    def __init__(
        self, reference: DriftReference | str, classes: Sequence[str], scale: float, folder: Path | None = None
    ) -> None:
        self._reference, self._classes, self._scale = reference, tuple(classes), scale
        self._numbers = {name: number for number, name in enumerate(classes)}
        self._waiting: deque[tuple[ModelInputs, Sequence[Answer]]] = deque()
        self._count = 0
        self._lock = threading.Lock()
        self._place: DriftPlace | None = None
        self._written, self._unwritten = time.monotonic(), False
        self._allowed, self._asked = _SAVED_UP, time.perf_counter()
        self._noted, self._ended = 0, threading.Event()  # how often images were noted
        if isinstance(reference, str):
            return
        folders = [folder, Path(os.environ[_SHARED], FOLDER) if _SHARED in os.environ else None]
        self._place = next(filter(None, map(DriftPlace.taken, filter(None, folders))), None)
        self._monitor = DriftMonitor(reference, 0 if self._place is None else self._place.process)
        if self._place is not None and (problem := self._place.read(self._monitor)) is not None:
            _log.warning("Drift is watched afresh: %s", problem)

    @classmethod
    def of(cls, path: Path, predictor: Predictor) -> DriftWatch:
        """That of a run.

        Args:
            path: its folder.
            predictor: what answers.

        Raises:
            RunError: a file of the run is damaged.
        """
        data = predictor.data
        return cls(DriftReference.of_run(predictor), data.classes, data.scale, path / FOLDER)

    @classmethod
    def off(cls, data: DataRecord) -> DriftWatch:
        """One that counts nothing."""
        return cls("This server was started with --no-drift.", data.classes, data.scale)

    @property
    def full(self) -> bool:
        """Whether enough images wait to be counted."""
        return self._count >= _TOGETHER

    def start(self) -> None:
        """Starts the thread that counts where nobody asks; `count(ending=True)` ends it."""
        if not isinstance(self._reference, str):
            threading.Thread(target=self._look, name="drift", daemon=True).start()

    def _look(self) -> None:
        noted = self._noted
        while not self._ended.wait(_QUIET):
            before, noted = noted, self._noted
            if noted == before and (self._waiting or (self._unwritten and self._place is not None and self._due)):
                self.count()

    @property
    def _due(self) -> bool:
        return time.monotonic() - self._written >= _WRITE_EVERY

    def note(self, inputs: ModelInputs, answers: Sequence[Answer]) -> None:
        """Images that were answered; they are looked at later, by `count`."""
        if not isinstance(self._reference, str):
            self._waiting.append((inputs, answers))
            self._count += len(answers)
            self._noted += 1

    def count_some(self) -> None:
        """Counts the images that wait, or leaves them out, where counting has taken its share of the time."""
        started = time.perf_counter()
        self._allowed = min(self._allowed + _SHARE * (started - self._asked), _SAVED_UP)
        self._asked = started
        if self._allowed > 0:
            self.count()
            self._allowed -= time.perf_counter() - started
        elif not isinstance(self._reference, str):
            with self._lock:
                self._skip()

    def count(self, *, ending: bool = False) -> None:
        """Counts the images that wait, and writes the counts if it is time, or if the process is `ending`."""
        if isinstance(self._reference, str):
            return
        if ending:
            self._ended.set()
        try:
            with self._lock:
                self._take()
                if self._place is not None and self._unwritten:
                    if ending or self._due:
                        self._write(self._place)
                    if ending:
                        self._place.free()
        except Exception:  # an answer matters more than its count
            _log.exception("Drift could not be watched; the answers are not concerned.")

    def _skip(self) -> None:
        self._count = 0
        while self._waiting:
            self._monitor.skipped += len(self._waiting.popleft()[1])

    def _take(self) -> None:
        self._count = 0
        while self._waiting:
            inputs, answers = self._waiting.popleft()
            plain = np.flatnonzero(~inputs.cut_out)
            self._monitor.photos += len(answers) - len(plain)
            if len(plain):
                said = [self._said(answers[place]) for place in plain.tolist()]
                images = inputs.images if len(plain) == len(answers) else inputs.images[plain]
                self._monitor.take(images, self._scale, said)
            self._unwritten = True

    def _said(self, answer: Answer) -> tuple[int, float, float]:
        rarity = answer.rarity
        if rarity is None:
            rarity = 0.0 if answer.unlike else 1.0
        return self._numbers[answer.label], answer.probability, rarity

    def _write(self, place: DriftPlace) -> None:
        if not place.write(self._monitor):
            _log.info("What was counted of drift can no longer be written to %s.", place.folder)
        self._written, self._unwritten = time.monotonic(), False

    def result(self) -> CheckResult:
        """What all processes that serve this run counted so far, this one to the last image.

        Raises:
            RunError: what another one wrote is damaged.
        """
        if isinstance(self._reference, str):
            return not_watched(self._reference)
        self.count()
        others = []
        if self._place is not None:
            others = kept_monitors(self._place.folder, self._reference, but=self._place.process)
        with self._lock:
            return drift_result(self._reference, [self._monitor, *others], self._classes)

    def metrics(self) -> bytes:
        """The same for Prometheus; nothing where nothing is compared."""
        try:
            facts = self.result().facts
        except RunError as error:
            _log.warning("%s", error)
            return b""
        return "".join(_lines(facts)).encode() if facts["watched"] else b""


def _lines(facts: Any) -> Iterator[str]:
    yield from _metric("images", "counter", "Images compared with validation images.", [("", facts["images"])])
    yield from _metric("alarm", "gauge", "1 where images differ from validation images.", [("", int(facts["alarm"]))])
    text = "Highest evidence that images differ so far; the alarm is raised at 20."
    yield from _metric("evidence", "gauge", text, [("", facts["evidence"])])
    each = [(f'{{quantity="{one["name"]}"}}', one["evidence"]) for one in facts["quantities"]]
    yield from _metric("quantity_evidence", "gauge", "The same for one quantity.", each)
    shares = [(f'{{of="{part}"}}', share) for part, share in facts["unlike"].items() if share is not None]
    yield from _metric("unlike_share", "gauge", "Share of images that are unlike the training images.", shares)


def _metric(name: str, kind: str, text: str, values: Sequence[tuple[str, float]]) -> Iterator[str]:
    full = f"fittingroom_drift_{name}" + ("_total" if kind == "counter" else "")
    yield f"# HELP {full} {text}\n# TYPE {full} {kind}\n"
    for labels, value in values:
        yield f"{full}{labels} {float(value)!r}\n"
