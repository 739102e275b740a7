"""Measures the monitor of drift: how often it raises a false alarm, and how soon it finds rotated images.

Usage: python -m benchmarks.drift [--streams N] [--repeats N]

Three parts. Simulated streams of 10,000 batches of 8 images, drawn as the validation images were (numbers that depend
on each other, some rounded, for 50, 500 and 5,000 validation images). Images of Fashion-MNIST that are not drifted:
`course` is trained with 20,000 validation images; 5,000 of them, drawn anew each time, are the reference, and the
others come in a random order. And the same with 30% of the images rotated by 90° from some image on. At last, how long
counting takes. One thread is enough; the clock is the processor's.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import numpy.typing as npt

import fittingroom
from benchmarks.pairs import markdown_table
from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import NeighbourDetector
from fittingroom.answers.recalibration import at_temperature
from fittingroom.audits.drift_evidence import Bins, DriftEvidence
from fittingroom.audits.drift_monitor import DriftMonitor
from fittingroom.audits.drift_quantities import names_of, values_of
from fittingroom.audits.drift_reference import DriftReference

BATCHES, BATCH = 10_000, 8
QUANTITIES = 10
ROTATED = 0.3
CALM = (0, 1_000, 10_000)

Values = npt.NDArray[np.float32]


def simulated_alarms(held_out: int, streams: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """The highest capital of each stream of 10,000 batches without drift."""
    rng, highest = np.random.default_rng(seed), np.zeros(streams)
    for stream in range(streams):
        mixing = rng.normal(size=(QUANTITIES, QUANTITIES))
        values = rng.normal(size=(held_out + BATCHES * BATCH, QUANTITIES)) @ mixing
        values[:, :3] = np.round(values[:, :3])
        bins = [Bins.of(column) for column in values[:held_out].T]
        evidence = DriftEvidence(tuple(one.counts for one in bins), draws=rng)
        places = [one.places(column) for one, column in zip(bins, values[held_out:].T, strict=True)]
        highest[stream] = evidence.take(np.stack(places, axis=1)).max()
    return highest


class RealImages:
    """Validation images of Fashion-MNIST that a run has not learned from, as they are and rotated by 90°."""

    def __init__(self) -> None:
        data = fittingroom.load("fashion-mnist", validation=20_000)
        part = data.validation
        assert part is not None
        predictor = fittingroom.train(data).predictor
        self.labels, self.scale = part.labels, part.scale
        images = np.asarray(part.images)
        self.images = [images, np.ascontiguousarray(np.rot90(images, axes=(1, 2)))]
        self.logs = [predictor.log_probabilities(images) for images in self.images]
        self.features = [predictor.features(images) for images in self.images]

    def drawn(self, rng: np.random.Generator) -> tuple[DriftReference, Values, Values]:
        """A reference of 5,000 images, and the values of the others in a random order, as they are and rotated."""
        order = rng.permutation(len(self.labels))
        own, others = order[:5_000], order[5_000:]
        judgement = Judgement.of(self.logs[0][own], self.labels[own], self.features[0][own])
        detector = judgement.unlike
        assert isinstance(detector, NeighbourDetector)
        chosen = own[detector.chosen(self.labels[own])]
        itself = np.arange(len(chosen))
        names, classes = names_of(self.images[0].shape[1:]), 10
        held_out = self._values(judgement, detector, 0, chosen, itself)
        reference = DriftReference(rng.permutation(held_out), detector.threshold, names, classes)
        plain, rotated = (self._values(judgement, detector, kind, others, None) for kind in (0, 1))
        return reference, plain, rotated

    def _values(
        self,
        judgement: Judgement,
        detector: NeighbourDetector,
        kind: int,
        chosen: npt.NDArray[np.intp],
        itself: npt.NDArray[np.intp] | None,
    ) -> Values:
        logs = at_temperature(self.logs[kind][chosen], judgement.temperature)
        rarity = detector.rarity(self.features[kind][chosen], logs, itself)
        return values_of(self.images[kind][chosen], self.scale, logs.argmax(axis=1), np.exp(logs.max(axis=1)), rarity)


def places(reference: DriftReference, values: Values) -> npt.NDArray[np.intp]:
    """The bins of images."""
    return np.stack([one.places(column) for one, column in zip(reference.bins, values.T, strict=True)], axis=1)


def real_streams(repeats: int) -> tuple[list[float], dict[int, list[float]]]:
    """The highest capital of each stream without drift; for each beginning, after how many images it was noticed."""
    images, rng = RealImages(), np.random.default_rng(1)
    calm_highest: list[float] = []
    took: dict[int, list[float]] = {calm: [] for calm in CALM}
    for _ in range(repeats):
        reference, plain, rotated = images.drawn(rng)
        calm_highest.append(float(reference.evidence().take(places(reference, plain)).max()))
        for calm in CALM:
            values = plain.copy()
            drifted = np.arange(calm, calm + 2_000)[rng.random(2_000) < ROTATED]
            values[drifted] = rotated[drifted]
            capital = reference.evidence().take(places(reference, values[: calm + 2_000]))
            above = np.flatnonzero(capital >= DriftMonitor(reference).needed)
            took[calm].append(float(above[0] + 1 - calm) if len(above) else np.inf)
    return calm_highest, took


def seconds_of_counting() -> float:
    """Processor seconds for an image of 28x28 pixels, counted with 63 others."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 28, 28)).astype(np.uint8)
    answers = [(int(one), 0.5, 0.5) for one in rng.integers(0, 10, 64)]
    values = values_of(np.repeat(images, 10, axis=0), 255.0, *zip(*answers * 10, strict=True))
    monitor = DriftMonitor(DriftReference(values, 0.05, names_of((28, 28)), 10))
    started = time.process_time()
    for _ in range(100):
        monitor.take(images, 255.0, answers)
    return (time.process_time() - started) / 6_400


def main() -> None:
    """Runs all parts and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=300, help="simulated streams for each number of images")
    parser.add_argument("--repeats", type=int, default=60, help="draws of real images")
    arguments = parser.parse_args()
    rows: list[tuple[str, ...]] = [("what", "measured")]
    for held_out in (50, 500, 5_000):
        highest = simulated_alarms(held_out, arguments.streams)
        share = f"{(highest >= 20).mean():.1%} of {arguments.streams}"
        rows.append((f"false alarms at 20, {BATCHES:,} simulated batches, {held_out:,} validation images", share))
    calm, took = real_streams(arguments.repeats)
    alarms = np.mean(np.array(calm) >= 20)
    rows.append(("false alarms at 20, 15,000 images of Fashion-MNIST", f"{alarms:.1%} of {arguments.repeats}"))
    for beginning, counts in took.items():
        few, median, most = (np.quantile(counts, q, method="higher") for q in (0.0, 0.5, 0.9))
        within = np.mean([0 < count <= 300 for count in counts])
        text = f"{within:.0%} within 300 images; half within {median:.0f}, 90% within {most:.0f}, first {few:.0f}"
        rows.append((f"30% rotated by 90° after {beginning:,} images without drift", text))
    rows.append(("counting an image, processor time", f"{1e6 * seconds_of_counting():.1f} µs"))
    print(markdown_table(rows))


if __name__ == "__main__":
    main()
