"""Answers for all requests that wait at the same time, together: nothing is waited for, and nothing is lost.

One thread has the model. While it works on a batch, requests gather; when it is done, they are the next batch. Alone, a
request is a batch of one; the more there are, the larger the batches, and the less each image costs. `Metrics` counts
them, and all requests, in the form that Prometheus reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from fittingroom.answers.judgement import Answer
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.serving.drift_watch import DriftWatch
from fittingroom.serving.limits import LIMITS, RefusedError
from fittingroom.serving.served_model import ServedModel

_log = logging.getLogger("fittingroom")

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where the processes of one server keep their numbers for each other
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SETS = ("no_class", "one_class", "several_classes")  # verdicts, by how many classes a set has


class Metrics:
    """What is counted, in the form that Prometheus reads. With several processes, any of them tells the sums."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "fittingroom_requests", "Requests by path and status.", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "fittingroom_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "fittingroom_batch_images",
            "Images that the model answered together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        answers = Counter("fittingroom_answers", "Images by what was answered.", ["verdict"], registry=self.registry)
        self.waiting = Gauge(
            "fittingroom_images_waiting",
            "Images that wait for the model.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        # Looking a counter up by its label takes longer than counting.
        self._verdicts = {verdict: answers.labels(verdict) for verdict in ("unlike", *_SETS)}

    def request(self, path: str, status: int, seconds: float) -> None:
        """A request is answered."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, images: int) -> None:
        """The model answered so many images at once."""
        self._batches.observe(images)

    def answered(self, answers: Sequence[Answer]) -> None:
        """What was said of images."""
        for answer in answers:
            self._verdicts["unlike" if answer.unlike else _SETS[min(len(answer.set), 2)]].inc()

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        if _SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


@dataclass(frozen=True, eq=False)
class _Job:
    """One request.

    Args:
        count: its images.
        inputs: gives them; called by the thread that has the model.
        done: what the request waits for: the bytes of its answer.
    """

    count: int
    inputs: Callable[[], Sequence[ModelInputs]]
    done: asyncio.Future[bytes]


class Batcher:
    """The thread that answers, and the requests that wait for it.

    Args:
        model: what answers.
        metrics: count batches and answers.
        watch: called with each image that was answered.
    """

    def __init__(self, model: ServedModel, metrics: Metrics, watch: DriftWatch) -> None:
        self._model, self._metrics, self._watch = model, metrics, watch
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._start = f'"model": "{model.predictor.version}", "classes": {json.dumps(list(model.data.classes))}'

    def start(self) -> None:
        """Starts the thread."""
        self._watch.start()
        self._thread.start()

    def stop(self) -> None:
        """Answers what waits, and ends."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the model's thread runs."""
        return self._thread.is_alive()

    def check(self) -> None:
        """Raises RefusedError, 503, where as much waits as may."""
        if self._waiting >= LIMITS.waiting:
            raise RefusedError.overloaded(f"{self._waiting} images are waiting for the model already")

    def answer(self, count: int, inputs: Callable[[], Sequence[ModelInputs]]) -> asyncio.Future[bytes]:
        """The JSON of the answers for a request's images, when they are there.

        Args:
            count: how many images it has.
            inputs: gives them; called in the model's thread. A RefusedError is that request's answer.

        Raises:
            RefusedError: 503, too much waits.
        """
        self.check()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._jobs.append(_Job(count, inputs, future))
            self._waiting += count
            self._changed.notify()
        return future

    def _work(self) -> None:
        while jobs := self._next():
            # JSON is written here too, so that the event loop, which serves all connections, never stops for it.
            results = list(zip(jobs, self._answered(jobs), strict=True))
            with suppress(RuntimeError):  # the loop was ended by force, and nobody waits any more
                jobs[0].done.get_loop().call_soon_threadsafe(_deliver, results)
            if self._watch.full:
                self._watch.count_some()
        self._watch.count(ending=True)

    def _next(self) -> list[_Job]:
        """All requests that wait, as far as they go into one batch; none at the end."""
        with self._changed:
            while not self._jobs and not self._ended:
                self._changed.wait()
            jobs: list[_Job] = []
            total = 0
            while self._jobs and (not jobs or total + self._jobs[0].count <= LIMITS.images):
                jobs.append(self._jobs.popleft())
                total += jobs[-1].count
            self._waiting -= total
            self._metrics.waiting.set(self._waiting)
            return jobs

    def _answered(self, jobs: list[_Job]) -> list[bytes | Exception]:
        """The answer of each job, or why there is none."""
        read: list[Sequence[ModelInputs] | Exception] = []
        for job in jobs:
            try:
                read.append(job.inputs())
            except Exception as error:
                read.append(error)
        taken = [one for inputs in read if not isinstance(inputs, Exception) for one in inputs]
        try:
            answered = self._model.predictor.answer_unchecked(joined := ModelInputs.joined(taken)) if taken else []
        except Exception as error:
            _log.exception("The model could not answer: %r", error)
            return [error for _ in jobs]
        if taken:
            self._metrics.batch(len(answered))
            self._watch.note(joined, answered)
        answers = iter(answered)
        results: list[bytes | Exception] = []
        for inputs in read:
            if isinstance(inputs, Exception):
                results.append(inputs)
            else:
                results.append(self._json([(each, next(answers)) for each in inputs for _ in range(len(each))]))
        return results

    def _json(self, answered: Sequence[tuple[ModelInputs, Answer]]) -> bytes:
        self._metrics.answered([answer for _, answer in answered])
        rows = [_prediction(number, *pair) for number, pair in enumerate(answered)]
        return f'{{{self._start}, "predictions": {json.dumps(rows)}}}'.encode()


def _prediction(number: int, inputs: ModelInputs, answer: Answer) -> dict[str, Any]:
    steps = [
        {"name": step.name, "note": step.note} | ({} if step.data_url is None else {"picture": step.data_url})
        for step in inputs.steps
    ]
    source = None if inputs.source is None else str(inputs.source)
    return {"file": source, "index": number, **answer.to_dict(), "notes": list(inputs.notes), "steps": steps}


def _deliver(results: list[tuple[_Job, bytes | Exception]]) -> None:
    """Gives each request what it waits for, if it still waits."""
    for job, result in results:
        if job.done.done():
            continue
        if isinstance(result, bytes):
            job.done.set_result(result)
        elif isinstance(result, RefusedError):
            job.done.set_exception(result)
        else:
            job.done.set_exception(RefusedError(500, "fault", "The model failed to answer. The server's log says why."))
