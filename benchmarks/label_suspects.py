"""Plants wrong labels into a dataset, audits it, and counts: are they found first, and are the probabilities true?

Usage: python -m benchmarks.label_suspects [DATASET] [--noise KINDS] [--shares SHARES] [--trim SHARE] [--images N]

DATASET is what `fittingroom.load` takes; its training and validation images are used. KINDS are `uniform` (any other
class), `confusions` (classes that a first audit's networks take for each other) or both; SHARES of the labels are
changed. `--trim` first leaves out the share of images whose labels are most in doubt, so that hardly a wrong label is
left but those that are planted. `--images` takes so many images only.

For each, the table has the average precision of our order and of cleanlab's scores on the same out-of-sample
probabilities (its best one), computed in the peers' environment; how many of the labels said to be wrong with about
40%, and with more than 50%, are planted; the estimated share; and core seconds. A label that was wrong before counts as
right here, since nobody knows it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.pairs import markdown_table
from benchmarks.sides import PEERS_PYTHON
from fittingroom import load
from fittingroom.audits.cross_fitting import NetworkInput, inputs_of_images
from fittingroom.audits.label_probabilities import LabelSuspects
from fittingroom.text import number, percent

Array = np.ndarray[Any, Any]

_CLEANLAB = """
import sys
import numpy as np
from cleanlab.rank import get_label_quality_scores
given = np.load(sys.argv[1])
labels, probabilities = given["labels"], given["probabilities"]
scores = {}
for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
    for adjusted in (False, True):
        if adjusted and method == "confidence_weighted_entropy":
            continue
        name = method + (", adjusted" if adjusted else "")
        scores[name] = get_label_quality_scores(labels, probabilities, method=method, adjust_pred_probs=adjusted)
np.savez(sys.argv[2], **scores)
"""


def cleanlab_precisions(labels: Array, log_probabilities: Array, wrong: Array) -> dict[str, float]:
    """The average precision of each of cleanlab's scores; empty where it is not installed."""
    if not Path(PEERS_PYTHON).exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        given, scored = Path(folder) / "given.npz", Path(folder) / "scored.npz"
        probabilities = np.exp(log_probabilities.astype(np.float64))
        np.savez(given, labels=labels, probabilities=probabilities / probabilities.sum(axis=1, keepdims=True))
        subprocess.run([PEERS_PYTHON, "-c", _CLEANLAB, str(given), str(scored)], check=True)
        with np.load(scored) as scores:
            return {name: float(average_precision_score(wrong, -scores[name])) for name in scores}


def planted(labels: Array, share: float, confusions: Array | None, seed: int) -> Array:
    """Labels of which a share is wrong: of any class, or along confusions `(classes, classes)`, true class first."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(labels))[: round(share * len(labels))]
    changed, classes = labels.copy(), int(labels.max()) + 1
    for label in range(classes):
        own = chosen[labels[chosen] == label]
        weights = np.ones(classes) if confusions is None else confusions[label].astype(np.float64) + 1e-9
        weights[label] = 0
        changed[own] = random.choice(classes, len(own), p=weights / weights.sum())
    return changed


def silent(what: str, done: int = 0, total: int = 0) -> None:
    """Shows how far it is on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{what} {done}/{total}   ", end="", file=sys.stderr)


def audited(inputs: tuple[NetworkInput, ...], labels: Array, classes: int) -> tuple[LabelSuspects, float]:
    """What the audit finds, and its core seconds."""
    began = time.process_time()
    found = LabelSuspects.of(inputs, labels, classes, silent)
    return found, time.process_time() - began


def row(kind: str, share: float, found: LabelSuspects, wrong: Array, seconds: float) -> tuple[str, ...]:
    """A row of the table."""
    ours = average_precision_score(wrong, found.score)
    peers = cleanlab_precisions(found.labels, found.log_probabilities, wrong)
    best = max(peers, key=lambda name: peers[name], default="")
    said = []
    for low, high in ((0.3, 0.5), (0.5, 1.01)):
        some = (found.probability >= low) & (found.probability < high)
        told = percent(float(found.probability[some].mean()), 0) if some.any() else "-"
        true = percent(float(wrong[some].mean()), 0) if some.any() else "-"
        said.append(f"{true} of {some.sum():,} ({told})")
    first = int(wrong[found.order[: int(wrong.sum())]].sum())
    return (
        kind,
        percent(share, 1),
        number(ours, 3),
        f"{number(peers[best], 3)} ({best})" if best else "not installed",
        f"{first:,} of {int(wrong.sum()):,}",
        *said,
        percent(found.wrong.share, 2),
        number(seconds, 0),
    )


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="fashion-mnist")
    parser.add_argument("--noise", default="uniform,confusions")
    parser.add_argument("--shares", default="0.01,0.03,0.1")
    parser.add_argument("--trim", type=float, default=0.0)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    data = load(given.dataset)
    parts = [part for part in (data.train, data.validation) if part is not None]
    images = np.concatenate([np.asarray(part.images) for part in parts])
    labels, classes = np.concatenate([part.labels for part in parts]), len(data.classes)
    if given.images:
        kept = np.random.default_rng(given.seed).permutation(len(labels))[: given.images]
        images, labels = images[kept], labels[kept]
    inputs = inputs_of_images(images, data.scale)
    first, seconds = audited(inputs, labels, classes)
    predicted = first.log_probabilities.argmax(axis=1)
    print(
        f"As given: {first.suspects:,} suspects of {len(labels):,}, {percent(first.wrong.share, 2)} wrong, "
        f"{number(seconds, 0)} core seconds, accuracy {percent(float((predicted == labels).mean()))}",
        flush=True,
    )
    confusions = np.zeros((classes, classes))
    np.add.at(confusions, (labels, predicted), 1)
    if given.trim:
        kept = np.sort(first.order[round(given.trim * len(labels)) :])
        labels = labels[kept]
        inputs = inputs_of_images(images[kept], data.scale)
    rows = []
    for kind in given.noise.split(","):
        for share in map(float, given.shares.split(",")):
            changed = planted(labels, share, confusions if kind == "confusions" else None, given.seed + 1)
            found, seconds = audited(inputs, changed, classes)
            rows.append(row(kind, share, found, changed != labels, seconds))
            print(*rows[-1], sep=" | ", flush=True)
    header = (
        "noise",
        "share",
        "ours",
        "cleanlab",
        "found first",
        "said 30-50%",
        "said over 50%",
        "estimated",
        "core s",
    )
    print(markdown_table([header, *rows]))


if __name__ == "__main__":
    main()
