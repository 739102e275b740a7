"""Hands a recipe over to `keras_fit`: its Keras model as JSON, and how it is trained.

Usage: python -m benchmarks.keras_task RECIPE EPOCHS FOLDER

A process of its own, since importing Fitting Room changes the environment that JAX reads, which the side that it is
compared with must not inherit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fittingroom.recipes.named import find_recipe


def main() -> None:
    """Writes `FOLDER/task.json`."""
    from fittingroom.recipes.build import build_model

    recipe = find_recipe(sys.argv[1]).changed(test_views=())  # views are for answers; training sees images as they are
    model = build_model(recipe, (28, 28), 10)
    task = {
        "model": model.to_json(),
        "batch_size": recipe.batch_size,
        "epochs": int(sys.argv[2]),
        "scale": recipe.scale,
    }
    Path(sys.argv[3], "task.json").write_text(json.dumps(task), encoding="utf-8")


if __name__ == "__main__":
    main()
