"""Scikit-learn's classifiers: a cell of ours against a plain script of scikit-learn's own, in core seconds.

Usage: python -m benchmarks.classical [IMAGES [ROUNDS [RECIPE ...]]]

Both sides take the same images of Fashion-MNIST (6,000 by default), fit the same classifier with one thread, and ask it
for the 5,000 validation images. The sides take turns within each round, and the ratio is that of a round. The bar is
1.03. What ours does besides is making the features, logarithms of probabilities, one temperature where there are only
scores, and notes; keeping the classifier is a column of its own, beside pickle's of the plain side.
"""

from __future__ import annotations

import pickle
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.pairs import Spread, markdown_table, measured_on, place, store
from fittingroom import load
from fittingroom.classical.estimators import new_estimator
from fittingroom.classical.fitting import fit_estimator
from fittingroom.classical.hog import hog_features
from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES
from fittingroom.recipes.recipe import Recipe

IMAGES, ROUNDS, BAR = 6_000, 5, 1.03


def seconds_of(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Core seconds of a piece of work, and what it gave."""
    started = time.process_time()
    result = work(*arguments)
    return time.process_time() - started, result


def main(images: int, rounds: int, names: list[str]) -> None:
    """Measures, prints the table, and keeps it."""
    data = load("fashion-mnist")
    assert data.validation is not None
    chosen = np.random.default_rng(0).permutation(len(data.train))[:images]
    train, labels = np.asarray(data.train.images)[chosen], data.train.labels[chosen]
    held_out, answers = data.validation.images, data.validation.labels

    def ours(recipe: Recipe) -> Any:
        fitted = fit_estimator(recipe, train, labels, 10, 0, scale=255.0, validation=(held_out, answers))
        fitted.log_probabilities(held_out)
        return fitted

    def plain(recipe: Recipe) -> Any:
        classifier = new_estimator(recipe, 0, trust=False)
        if recipe.features == "hog":
            x, x_held_out = (hog_features(part) for part in (train, held_out))
        else:
            x, x_held_out = (
                part.reshape(len(part), -1).astype(np.float32) / np.float32(255) for part in (train, held_out)
            )
        with threadpool_limits(1):
            classifier.fit(x, labels)
            ask = getattr(classifier, "predict_proba", None) or classifier.decision_function
            ask(x_held_out)
        return classifier

    rows: list[tuple[str, ...]] = [("recipe", "ours", "plain script", "ours / plain", "kept", "pickled")]
    kept = {}
    for name in names:
        recipe, figures = CLASSICAL_RECIPES[name].recipe, []
        for number in range(rounds + 1):
            sides = [ours, plain] if number % 2 else [plain, ours]
            found = {side.__name__: seconds_of(side, recipe) for side in sides}
            if number:  # the first round imports and warms up
                figures.append((found["ours"][0], found["plain"][0]))
        writing, content = seconds_of(found["ours"][1].to_bytes)
        pickling, pickled = seconds_of(pickle.dumps, found["plain"][1])
        ratio = Spread.of(one / other for one, other in figures)
        sides_text = [Spread.of(side).text(" s") for side in zip(*figures, strict=True)]
        rows.append(
            (
                name,
                *sides_text,
                f"{ratio.text(digits=3)}{'' if ratio.median <= BAR else ' ABOVE THE BAR'}",
                f"{len(content or b'') / 1e6:.1f} MB in {writing:.2f} s",
                f"{len(pickled) / 1e6:.1f} MB in {pickling:.2f} s",
            )
        )
        kept[name] = {"seconds": figures, "bytes": len(content or b""), "pickle": len(pickled)}
        print(rows[-1], flush=True)
    machine = measured_on()
    print(f"{markdown_table(rows)}\n{place(machine)}\n")
    if names == list(CLASSICAL_RECIPES):
        store("classical", {"machine": machine, "images": images, "recipes": kept})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    numbers = [int(one) for one in sys.argv[1:] if one.isdigit()]
    recipes = [one for one in sys.argv[1:] if not one.isdigit()] or list(CLASSICAL_RECIPES)
    main(numbers[0] if numbers else IMAGES, numbers[1] if len(numbers) > 1 else ROUNDS, recipes)
