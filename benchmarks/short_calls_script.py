"""One side of the comparison of short calls: trains as standard input says, and says how long each took.

Usage: python -m benchmarks.short_calls_script keras | fittingroom | fittingroom-without-a-folder FOLDER

FOLDER holds Fashion-MNIST's four gzip files. Each line of standard input names a work; for each, a line of JSON comes
back: seconds by the clock, and seconds of all cores. The side `keras` needs Keras alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

IMAGES, BATCH = 6_400, 32


def fit_of(side: str) -> Callable[..., Any]:
    """The function that trains. Fitting Room is imported before Keras, as its users do."""
    if side == "keras":
        import keras

        fit: Callable[..., Any] = keras.Model.fit
        return fit
    import logging

    import fittingroom

    logging.getLogger("fittingroom").setLevel(logging.ERROR)
    return fittingroom.fit


def course_model(scale: float | None = None, hidden: int = 128) -> Any:
    """The course's model, compiled; it divides its images by `scale`, if there is one."""
    import keras

    keras.utils.set_random_seed(0)
    stack = [
        keras.Input((28, 28)),
        *([] if scale is None else [keras.layers.Rescaling(1 / scale)]),
        keras.layers.Flatten(),
        keras.layers.Dense(hidden, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
    made = keras.Sequential(stack)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def works(fit: Callable[..., Any], options: dict[str, Any], folder: Path) -> dict[str, Callable[[], None]]:
    """What can be asked for: each trains a model that stays, so that only the first call compiles."""
    import keras
    import numpy as np

    from benchmarks.course_script import read

    images, labels = (part[:IMAGES] for part in read(folder, "train"))

    class Watch(keras.callbacks.Callback):
        """Looks at the loss after every batch."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch
            self.loss = logs["loss"]

    class Batches(keras.utils.PyDataset):
        """Gives the images batch by batch."""

        def __len__(self) -> int:
            return IMAGES // BATCH

        def __getitem__(self, index: int) -> Any:
            piece = slice(index * BATCH, (index + 1) * BATCH)
            return images[piece], labels[piece]

    class Rates(keras.callbacks.Callback):
        """Looks at the learning rate after every batch."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch, logs
            self.rate = float(self.model.optimizer.learning_rate)

    class Loader:
        """Gives lists of images and labels, as a loader of PyTorch's does, in a new order in each epoch."""

        def __len__(self) -> int:
            return IMAGES // BATCH

        def __iter__(self) -> Any:
            order = np.random.default_rng().permutation(IMAGES)
            for start in range(0, IMAGES, BATCH):
                picked = order[start : start + BATCH]
                yield [images[picked], labels[picked]]

    def endless() -> Any:
        while True:
            yield from map(tuple, Loader())

    def small_calls(model: Any) -> None:
        for _ in range(10):
            fit(model, images[:640], labels[:640], verbose=0, **options)

    def ten_calls(model: Any) -> None:
        for _ in range(10):
            fit(model, images, labels, verbose=0, **options)

    def three_epochs(x: Any, *y: Any, **more: Any) -> Callable[[Any], None]:
        return lambda model: fit(model, x, *y, epochs=3, verbose=0, **{**more, **options})

    generated = endless()
    known: dict[str, Callable[[Any], None]] = {
        "calls": ten_calls,
        "small calls": small_calls,
        "callback": three_epochs(images, labels, callbacks=[Watch()]),
        "rates": three_epochs(images, labels, callbacks=[Rates(), Watch()]),
        "tiny": three_epochs(images[:1600], labels[:1600], batch_size=4, callbacks=[Watch()]),
        "large": three_epochs(images[:1600], labels[:1600], callbacks=[Watch()]),
        "iterable": three_epochs(Batches()),
        "loader": three_epochs(Loader() if fit is not keras.Model.fit else Batches()),
        "generator": three_epochs(generated, steps_per_epoch=IMAGES // BATCH),
        "validation": three_epochs(Batches(), validation_data=Batches()),
        "executions": three_epochs(Batches(), callbacks=[Watch()]),
    }
    models = {name: course_model(hidden=2048 if name == "large" else 128) for name in known}
    models["executions"].compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=8)
    return {name: partial(work, models[name]) for name, work in known.items()}


def main() -> None:
    """Answers until its standard input ends."""
    side, folder = sys.argv[1:]
    fit = fit_of(side)
    known = works(fit, {"out": False} if side.endswith("folder") else {}, Path(folder))
    for line in sys.stdin:
        clock, core = time.perf_counter(), time.process_time()
        known[line.strip()]()
        seconds = {"clock": time.perf_counter() - clock, "core": time.process_time() - core}
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
