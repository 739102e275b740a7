"""What the check of duplicates finds of copies planted into Fashion-MNIST, what else it reports, and what it takes.

`python -m benchmarks.duplicates` plants 1,000 copies of each kind and 1,000 exact ones into the 60,000 training images,
with random numbers that the check does not use; and compares the test images, without labels, with the training images.
It prints Markdown. `--copies N` plants fewer.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import fittingroom as fr
from fittingroom.audits.copy_search import Copies, find_copies
from fittingroom.audits.near_copies import nearest_by_correlation
from fittingroom.audits.planted_copies import planted_copies

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")

_LEVELS = (0.999, 0.99, 0.98, 0.95)
_TRUE_CORRELATION = 0.95  # what is reported although it is below it, and was not planted, is false


def _silent(what: object, done: int = 0, total: int = 0) -> None:
    """Progress that nobody follows."""
    del what, done, total


def _timed(what: str, work: Callable[[], Result]) -> Result:
    start, core = time.perf_counter(), time.process_time()
    result = work()
    taken, cores = time.perf_counter() - start, time.process_time() - core
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"| {what} | {taken:.0f} s | {cores:.0f} s | {memory:.2f} GB |", flush=True)
    return result


def _planted(images: Array, copies: int) -> tuple[Array, dict[str, Array]]:
    """The images with copies behind them, and for each kind the originals, in the order of the copies."""
    random = np.random.default_rng(12345)
    kinds = ("exact", "shifted", "mirrored", "recompressed", "brighter or darker", "all of these")
    chosen = random.permutation(len(images))[: copies * len(kinds)].reshape(len(kinds), copies)
    added = [images[chosen[0]]]
    added += [planted_copies(images[rows], 255, 12345)[kind] for kind, rows in zip(kinds[1:], chosen[1:], strict=True)]
    return np.concatenate([images, *added]), dict(zip(kinds, chosen, strict=True))


def _found(copies: Copies, originals: dict[str, Array], start: int) -> tuple[dict[str, float], list[int]]:
    """The share of planted copies that were found, by kind, and the numbers of the pairs that were not planted."""
    pairs = {(int(one), int(other)): number for number, (one, other) in enumerate(copies.pairs)}
    shares = {}
    planted = set()
    for kind, rows in originals.items():
        hits = 0
        for place, row in enumerate(rows, start):
            exact = copies.first[place] == copies.first[row]
            # A copy that is nearly black may be the same as another image; its pair is that of the first of them.
            pair = tuple(sorted((int(copies.first[row]), int(copies.first[place]))))
            hits += exact or pair in pairs
            planted.add(pair)
        shares[kind] = hits / len(rows)
        start += len(rows)
    return shares, [number for pair, number in pairs.items() if pair not in planted]


def main() -> None:
    """Prints three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=1000, help="of each kind")
    copies = parser.parse_args().copies
    data = fr.load("fashion-mnist", validation=0)
    train, test = np.asarray(data.train.images), np.asarray(data.test.inspect("benchmarks.duplicates"))
    print("| | wall | cores | peak memory |\n|---|---|---|---|")
    values, _ = _timed(
        "correlation of 10,000 test images with 60,000", lambda: nearest_by_correlation(test, train, _silent)
    )
    _timed("copies, test against train", lambda: find_copies({"test": test, "train": train}, 255, _silent))
    alone = _timed("copies, train against train", lambda: find_copies({"train": train}, 255, _silent))
    whole, originals = _planted(train, copies)
    found = _timed("copies, train with planted copies", lambda: find_copies({"train": whole}, 255, _silent))
    print("\n| correlation with the nearest above | test images |\n|---|---|")
    for level in _LEVELS:
        print(f"| {level} | {int((values > level).sum()):,} |")
    shares, others = _found(found, originals, len(train))
    print("\n| planted | found |\n|---|---|")
    for kind, share in shares.items():
        print(f"| {kind} | {100 * share:.1f}% |")
    false = int((found.alignments.correlation[others] < _TRUE_CORRELATION).sum())
    print(
        f"\nReported besides the planted pairs: {len(others):,} of {len(found.pairs):,}, {false} of them with a "
        f"correlation below {_TRUE_CORRELATION}. Without planted copies: {len(alone.pairs):,} near pairs, "
        f"{int((alone.first != np.arange(len(train))).sum())} exact copies."
    )


if __name__ == "__main__":
    main()
