"""One side of the comparison of memory: trains once on arrays, and says how much memory that took beside the data.

Usage: python -m benchmarks.memory_script keras | fittingroom | fittingroom-without-a-folder WORK

The arrays, the model and all imports are there before the memory is looked at; what counts is the peak of resident
memory during `fit`, minus what was resident before. Linux only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.short_calls_script import course_model, fit_of

TRAIN, HELD_OUT, BATCH = 60_000, 10_000, 32
WORKS = {
    "float32-split": "float32, validation_split",
    "float32-data": "float32, validation_data",
    "float64-split": "float64, validation_split",
    "uint8-split": "uint8, validation_split",
    "uint8-data": "uint8, validation_data",
    "callback": "float32, a callback that watches batches",
}


def resident(name: str) -> float:
    """MiB of memory that this process has (`VmRSS`), or had at its peak (`VmHWM`)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


def arrays(work: str) -> dict[str, Any]:
    """Random images of 28×28 pixels: as many as Fashion-MNIST has, or with those of its test part beside them."""
    import numpy as np

    random = np.random.default_rng(0)
    dtype = np.dtype(work.partition("-")[0] if work != "callback" else "float32")

    def some(count: int) -> Any:
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        return images if dtype == np.uint8 else np.divide(images, 255, dtype=dtype)

    given: dict[str, Any] = {"x": some(TRAIN), "y": random.integers(0, 10, TRAIN)}
    if work.endswith("-data"):
        return given | {"validation_data": (some(HELD_OUT), random.integers(0, 10, HELD_OUT))}
    return given | ({"validation_split": 0.1} if work.endswith("-split") else {})


def main() -> None:
    """Trains, and prints MiB of the data and MiB that training took beside them."""
    side, work = sys.argv[1:]
    fit = fit_of(side)
    import keras

    class Watch(keras.callbacks.Callback):
        """Looks at the loss after every batch."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch
            self.loss = logs["loss"]

    options: dict[str, Any] = {"out": False} if side.endswith("folder") else {}
    given, model = arrays(work), course_model(scale=255 if work.startswith("uint8") else None)
    given |= {"callbacks": [Watch()]} if work == "callback" else {}
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    fit(model, **given, epochs=2, batch_size=BATCH, verbose=0, **options)
    sizes = [array.nbytes for array in (given["x"], *given.get("validation_data", ())[:1])]
    print(json.dumps({"data": sum(sizes) / 2**20, "taken": resident("VmHWM") - before}))


if __name__ == "__main__":
    main()
