"""Core time of a pretrained network for a picture: by images a call, by where it is cut, and by Keras on JAX beside it.

    python -m benchmarks.backbone_speed

Core time is that of all threads of this process. Rounds go through the cases in turn, and the fastest round counts, so
that other work on the machine matters little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.backbone_values import pictures
from fittingroom.backbones.backbone import find_backbone
from fittingroom.cli.command import table

_ROUNDS = 5
_PICTURES = 24


def main() -> None:
    """Prints a row for each case."""
    images = np.concatenate([pictures()] * (_PICTURES // 3))
    backbone = find_backbone("efficientnet-lite0")
    cases: dict[str, Callable[[], object]] = {
        f"onnxruntime, {batch} a call": lambda batch=batch: [  # type: ignore[misc]
            backbone._extractor.run(images[start : start + batch], 0) for start in range(0, len(images), batch)
        ]
        for batch in (1, 2, 4, 8)
    }
    for unfreeze in (0, 1, 4):
        frozen = backbone.frozen(unfreeze)
        cases[f"features, unfreeze = {unfreeze}"] = lambda frozen=frozen: frozen.features(images, threads=1)  # type: ignore[misc]
    large = np.pad(images, ((0, 0), (0, 100), (0, 200), (0, 0)))
    cases["features of 324×424"] = lambda: backbone.frozen().features(large, threads=1)
    small = images[:, ::8, ::8, 0]
    cases["features of 28×28, grey"] = lambda: backbone.frozen().features(small, threads=1)
    model = backbone.keras_model()
    cases["Keras on JAX, 8 a call"] = lambda: [
        np.asarray(model.predict_on_batch(images[start : start + 8])) for start in range(0, len(images), 8)
    ]
    times = _fastest(cases)
    print(table(("case", "ms of a core per picture"), [(name, f"{took:.1f}") for name, took in times.items()]))


def _fastest(cases: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of core time per picture of the fastest round of each case, after one that is not counted."""
    took = dict.fromkeys(cases, np.inf)
    for again in range(_ROUNDS + 1):
        for name, run in cases.items():
            began = time.process_time()
            run()
            if again:
                took[name] = min(took[name], (time.process_time() - began) / _PICTURES * 1e3)
    return took


if __name__ == "__main__":
    main()
