"""Numbers about the server, in the form that Prometheus reads, summed over its processes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from fittingroom.answers.judgement import Answer

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes of one server keep their numbers for each other; set before this module is imported."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """What is counted. With several processes, each adds its own, and any of them tells the sums."""

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
        self._answers = Counter(
            "fittingroom_answers", "Images by what was answered.", ["verdict"], registry=self.registry
        )
        self.waiting = Gauge(
            "fittingroom_images_waiting",
            "Images that wait for the model.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        for verdict in ("unlike", "one_class", "several_classes", "no_class"):
            self._answers.labels(verdict)

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
            sets = ("no_class", "one_class")[len(answer.set)] if len(answer.set) < 2 else "several_classes"
            self._answers.labels("unlike" if answer.unlike else sets).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
