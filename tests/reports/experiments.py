"""Facts of experiments made up, without a training: as `Experiment.to_dict()` has them, and histories of the cells."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from fittingroom.evaluation.spread import Spread

Histories = dict[str, list[dict[str, Any]]]


def experiment_facts(
    recipes: int = 3, seeds: int = 5, epochs: int = 5, *, text: str = "", failed: int = 0, final: bool = False
) -> tuple[dict[str, Any], Histories]:
    """An experiment over widths of a hidden layer, wider ones a little better.

    Args:
        recipes: how many.
        seeds: of each.
        epochs: of each training.
        text: put into every text that could be another person's.
        failed: how many recipes, the last ones, have failed with all seeds.
        final: whether the test set was opened.
    """
    random = np.random.default_rng(0)
    histories: Histories = {}
    found: list[dict[str, Any]] = []
    for place in range(recipes):
        whole = place < recipes - failed
        accuracies = np.clip(0.8 + 0.15 * place / recipes + 0.01 * random.normal(size=seeds), 0, 0.999)
        losses = 1.2 - accuracies
        cells = []
        for seed in range(seeds):
            name = f"cell{place}-{seed}"
            reason = None if whole else f"DivergedError: the loss is not finite {text}"
            status = "done" if whole else "failed"
            cells.append({"cell": name, "seed": seed, "status": status, "reason": reason, "run": None})
            if whole:
                histories[name] = [
                    {
                        "epoch": epoch,
                        "loss": losses[seed] / epoch,
                        "val_loss": losses[seed] * (1 + 1 / epoch),
                        "val_accuracy": accuracies[seed] * (1 - 0.3 / epoch),
                    }
                    for epoch in range(1, epochs + 1)
                ]
        width = 16 * (place + 1)
        accuracy = Spread.of(accuracies).to_dict() if whole else None
        found.append(
            {
                "recipe": f"course+ hidden={width}{text}",
                "digest": f"{place:012x}",
                "varied": {f"hidden{text}": f"{width}{text}"},
                "settings": {"name": f"course{text}", "hidden": [width], "epochs": epochs, "loss": f"a{text}"},
                "accuracy": accuracy,
                "interval": accuracy["interval"] if accuracy else None,
                "loss": Spread.of(losses).to_dict() if whole else None,
                "seconds": Spread.of(0.01 * width * (1 + 0.1 * random.random(seeds))).to_dict() if whole else None,
                "parameters": 795 * width if whole else None,
                "cells": cells,
                "pareto": whole and (place % 4 == 2 or place == 0),
            }
        )
    whole_ones = [one for one in found if one["accuracy"]]
    best = max(whole_ones, key=lambda one: float(one["accuracy"]["mean"]), default=None)
    facts = {
        "experiment": f"/experiments/{text}",
        "dataset": f"digits{text}",
        "seeds": list(range(seeds)),
        "cells": {"done": len(whole_ones) * seeds, "failed": failed * seeds, "missing": 0},
        "recipes": found,
        "comparison": _comparison(whole_ones, text) if len(whole_ones) > 1 else None,
        "chosen": None if best is None else best["recipe"],
        "test": _test(seeds) if final else None,
        "opened": [],
        "tables": {"epochs": "epochs.csv", "cells": "cells.csv"},
    }
    return facts, histories


def _comparison(recipes: list[dict[str, Any]], text: str) -> dict[str, Any]:
    pairs = []
    for one, other in combinations(recipes, 2):
        value = one["accuracy"]["mean"] - other["accuracy"]["mean"]
        better = None if abs(value) < 0.02 else one["recipe"] if value > 0 else other["recipe"]
        first, second = (other, one) if better == other["recipe"] else (one, other)
        words = "is not shown to differ from" if better is None else "is right more often than"
        pairs.append(
            {
                "first": one["recipe"],
                "second": other["recipe"],
                "accuracy": {
                    "difference": value,
                    "interval": [value - 0.02, value + 0.02],
                    "p": 0.01,
                    "p_corrected": 0.0004,
                    "shown": better is not None,
                },
                "loss": None,
                "test": "seeds and images",
                "only_first_right": None,
                "only_second_right": None,
                "better": better,
                "verdict": f"{first['recipe']} {words} {second['recipe']}.",
            }
        )
    runs = [{"run": one["recipe"], "recipe": "course", "accuracy": one["accuracy"]["mean"]} for one in recipes]
    return {"dataset": "digits", "images": 120, "runs": runs, "pairs": pairs, "notes": [f"With 5 seeds. {text}"]}


def _test(seeds: int) -> dict[str, Any]:
    each = [
        {"seed": seed, "accuracy": 0.91, "interval": [0.9, 0.92], "loss": 0.3, "look": seed + 1, "looks": seeds}
        for seed in range(seeds)
    ]
    accuracy = Spread.of(0.91 + 0.001 * seed for seed in range(seeds)).to_dict()
    return {
        "accuracy": accuracy,
        "loss": Spread.of([0.3] * seeds).to_dict(),
        "looks": seeds,
        "luck": 0.0021,
        "correlation": 0.7,
        "per_seed": each,
    }
