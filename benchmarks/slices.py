"""How often slices are named where there are none, and how often a planted one is found; the error rate's interval.

Usage: python -m benchmarks.slices [--run RUN] [--trials N]

The images, their properties and clusters, and the mistakes are those of a run on its validation images; without `--run`
the recipe `course` is trained on Fashion-MNIST first. Everything is done with the function that the audit calls.

`shuffled`: the mistakes are dealt to other images at random; each mistake names one of the other classes at random. A
false alarm is an audit that names any group. `planted`: a range of a property, in turn at its lower end, its upper end
and anywhere between, which holds 3 to 5% of the images, has right answers turned into wrong ones until its accuracy is
20 points lower; what other mistakes there are is either the run's own or shuffled. It is found where a confirmed range
or cluster and the planted one have more than a third of their images together in common;
how often it is more than half stands beside it.

`error rate`: labels are wrong with the stated probabilities, or with quite different ones; a person reviews in the
planned order and looks at the interval after every eighth image, and it has to hold each time.

`measures`: all ten classes are recognised equally often, and every stated probability is honest; the check of measures
should find nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.pairs import markdown_table
from fittingroom import Run, load, open_run, train
from fittingroom.audits.accuracy_measures import check_measures
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.audits.check import AuditSubject
from fittingroom.audits.error_rate import Decision, ErrorRate, ReviewPlan
from fittingroom.audits.slice_search import SliceData, SliceSearch
from fittingroom.audits.slices import slice_data
from fittingroom.data.dataset import Part
from fittingroom.evaluation.spread import Interval
from fittingroom.recipes.named import NAMED
from fittingroom.runs.outcomes import KeptOutcomes
from fittingroom.text import number, percent, percent_range

Integers = npt.NDArray[np.integer[Any]]
_DROP = 0.2


def main() -> int:
    """Runs all simulations and prints a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="a run with validation images; course on Fashion-MNIST is trained without it")
    parser.add_argument("--trials", type=int, default=500, help="simulated audits of each kind (default: 500)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(arguments.run) if arguments.run else train("fashion-mnist", "course", out=Path(folder) / "run")
        data = _data_of(run)
    every = len(data.labels)
    shuffled = [
        _shuffled(data, images, seeds, arguments.trials)
        for images, seeds in ((every, 1), (every // 5, 1), (every // 15, 1), (every // 5, 3))
    ]
    _write(("validation images", "seeds", "audits that name a slice", "95% interval"), shuffled)
    header: tuple[str, ...] = ("other mistakes", "slices", "found", "95% interval", "by its own name", "more than half")
    _write(header, [_planted(data, own, arguments.trials) for own in (False, True)])
    header = ("probabilities", "holds at all times", "interval after 300 of 10,000 images", "true rate")
    _write(header, [_error_rate(calibrated, arguments.trials) for calibrated in (True, False)])
    header = ("validation images", "classes", "seeds", "audits whose measures find something")
    kinds = ((5000, True, 1), (500, True, 1), (300, False, 1), (500, True, 3))
    _write(header, [_measures(*kind, arguments.trials) for kind in kinds])
    return 0


def _write(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    sys.stdout.write(markdown_table([header, *rows]) + "\n")
    sys.stdout.flush()


def _data_of(run: Run) -> SliceData:
    """What the audit of a run would search, for its first seed."""
    subject: AuditSubject = run.audit(only="measures").subject
    part = subject.dataset.validation
    if part is None:
        raise SystemExit("the run has no validation images.")
    found = slice_data(replace(subject, progress=ShownProgress()), part)
    return replace(found, predicted=found.predicted[:1])


def _some(data: SliceData, rows: Integers, predicted: Integers) -> SliceData:
    """Some of the images, with other predictions."""
    properties = {name: values[rows] for name, values in data.properties.items()}
    clusters = data.clusters[rows] if len(data.clusters) else data.clusters
    return SliceData(data.labels[rows], predicted, data.classes, properties, clusters)


def _others(labels: Integers, classes: int, draw: np.random.Generator) -> Integers:
    """Another class for each image."""
    return np.asarray((labels + draw.integers(1, classes, len(labels))) % classes)


def _with_shuffled_mistakes(data: SliceData, images: int, seeds: int, draw: np.random.Generator) -> SliceData:
    """Some images, and the mistakes of others; several seeds share four of five mistakes."""
    rows = draw.permutation(len(data.labels))[:images]
    labels, rate = data.labels[rows], float(data.wrong.mean())
    shared = draw.permutation(data.wrong)[:images] > 0
    predicted = []
    for _ in range(seeds):
        wrong = np.where(draw.random(images) < 0.2, draw.random(images) < rate, shared) if seeds > 1 else shared
        predicted.append(np.where(wrong, _others(labels, data.classes, draw), labels))
    return _some(data, rows, np.stack(predicted))


def _shuffled(data: SliceData, images: int, seeds: int, trials: int) -> tuple[str, ...]:
    """The row of false alarms."""
    alarms = 0
    for trial in range(trials):
        draw = np.random.default_rng([1, trial])
        alarms += bool(SliceSearch.of(_with_shuffled_mistakes(data, images, seeds, draw), seed=trial).confirmed)
    return f"{images:,}", str(seeds), percent(alarms / trials), percent_range(Interval.wilson(alarms, trials))


def _planted(data: SliceData, own: bool, trials: int) -> tuple[str, ...]:
    """The row of planted slices that are found; those of whose property too many images have the same value are not."""
    names, planted, found, close, named = sorted(data.properties), 0, 0, 0, 0
    for trial in range(trials):
        draw = np.random.default_rng([2, trial])
        every = len(data.labels)
        known = data if own else _with_shuffled_mistakes(data, every, 1, draw)
        name = names[trial % len(names)]
        inside = _range_of(known.properties[name], trial // len(names) % 3, draw)
        if not 0.03 * every <= inside.sum() <= 0.05 * every:
            continue
        planted += 1
        right = known.predicted[0] == known.labels
        turned = inside & right & (draw.random(every) < _DROP / max(float(right[inside].mean()), _DROP))
        predicted = np.where(turned, _others(known.labels, known.classes, draw), known.predicted[0])
        changed = replace(known, predicted=predicted[None])
        groups = [
            group
            for one in SliceSearch.of(changed, seed=trial).confirmed
            for group in (one.group, *one.also)
            if group.kind in {"property", "cluster"}
        ]
        common = [_in_common(group.members(changed), inside) for group in groups]
        found += max(common, default=0.0) > 1 / 3
        close += max(common, default=0.0) > 1 / 2
        named += any(group.name == name and share > 1 / 3 for group, share in zip(groups, common, strict=True))
    counts = found, named, close
    shares = [percent(count / planted) for count in counts]
    interval = percent_range(Interval.wilson(found, planted))
    return "the run's" if own else "shuffled", f"{planted:,}", shares[0], interval, *shares[1:]


def _range_of(values: npt.NDArray[np.float64], where: int, draw: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A range that holds about 4% of the images: at the lower end, at the upper end, or anywhere."""
    rising, size = np.sort(values), round(0.04 * len(values))
    start = (0, len(values) - size, int(draw.integers(0, len(values) - size)))[where]
    return np.asarray((values >= rising[start]) & (values <= rising[start + size - 1]))


def _in_common(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def _error_rate(calibrated: bool, trials: int) -> tuple[str, ...]:
    """The row of intervals of the error rate."""
    held, ends, rates, images = 0, [], [], 10_000
    for trial in range(trials):
        draw = np.random.default_rng([3, trial])
        said = draw.beta(0.05, 2, images)
        truth = said if calibrated else np.clip(0.02 + 0.5 * draw.permutation(said), 0, 1)
        wrong = draw.random(images) < truth
        plan = ReviewPlan.of(said, seed=trial)
        decisions: dict[int, Decision] = {}
        intervals = []
        for place, index in enumerate(plan.order, 1):
            decisions[index] = "wrong" if wrong[index] else "right"
            if place % 8 == 0 or place == len(plan.order):
                intervals.append(ErrorRate.of(plan, decisions).interval)
        held += all(low <= wrong.mean() + 1e-9 and high >= wrong.mean() - 1e-9 for low, high in intervals)
        ends.append(intervals[-1])
        rates.append(float(wrong.mean()))
    low, high = np.mean(ends, axis=0)
    name = "calibrated" if calibrated else "of other images"
    return name, percent(held / trials), f"{percent_range((float(low), float(high)))}", percent(float(np.mean(rates)))


def _measures(images: int, even: bool, seeds: int, trials: int) -> tuple[str, ...]:
    """The row of false alarms of the check of measures; classes have as many images, or up to ten times as many."""
    classes, found = 10, 0
    digits, recipe = load("digits"), NAMED["course"].recipe
    shares = np.ones(classes) if even else np.arange(1.0, classes + 1)
    for trial in range(trials):
        draw = np.random.default_rng([4, images, trial])
        labels = draw.choice(classes, images, p=shares / shares.sum()).astype(np.int32)
        part = Part(np.zeros((images, 2, 2), np.uint8), labels, digits.classes)
        sure, shared = np.clip(draw.beta(6, 0.8, images), 0.12, 0.999), draw.random(images)
        kept = []
        for seed in range(seeds):
            luck = np.where(draw.random(images) < 0.8, shared, draw.random(images)) if seed else shared
            predicted = np.where(luck < sure, labels, _others(labels, classes, draw))
            named = predicted[:, None] == np.arange(classes)
            logs = np.log(np.where(named, sure[:, None], (1 - sure[:, None]) / (classes - 1)))
            own = logs[np.arange(images), labels]
            arrays = {"loss": -own, "predicted": predicted, "probability": np.exp(own), "log_probabilities": logs}
            kept.append(KeptOutcomes.of(arrays, labels))
        data = replace(digits, validation=part, image_shape=(2, 2))
        subject = AuditSubject(data, recipe, None, tuple(kept), None, ShownProgress())
        found += check_measures(subject).verdict == "found"
    return f"{images:,}", "even" if even else "uneven", str(seeds), percent(found / trials)


if __name__ == "__main__":
    started = time.process_time()
    status = main()
    sys.stderr.write(f"{number(time.process_time() - started)} s of core time\n")
    sys.exit(status)
