"""A network that takes no time, so that tests of the cache see the cache: its features are means of pixels."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
from numpy.typing import NDArray

from fittingroom.backbones.feature_cache import cached_features
from fittingroom.data.values import Images

SHAPE = (2, 3)


class FakeNetwork:
    """Features of shape `SHAPE`: the means of six parts of an image, 0 to 255.

    Args:
        key: names it.
        seconds: how long it takes for each picture.
    """

    def __init__(self, key: str = "fake network, 1", seconds: float = 0) -> None:
        self.key = key
        self.shape = SHAPE
        self.parallel = True
        self.seconds = seconds
        self.pictures = 0
        """How many it has computed."""
        self._lock = threading.Lock()

    def features(self, images: Images, *, threads: int | None = None) -> NDArray[np.float32]:
        """Those of a few images."""
        del threads
        with self._lock:
            self.pictures += len(images)
        time.sleep(self.seconds * len(images))
        parts = np.array_split(images.reshape(len(images), -1).astype(np.float64), 6, axis=1)
        return np.stack([part.mean(1) for part in parts], 1).reshape(-1, *SHAPE).astype(np.float32)


def pictures(count: int, seed: int = 0, *, colours: bool = True) -> Images:
    """Images of 8 × 6 pixels."""
    shape = (count, 8, 6, 3) if colours else (count, 8, 6)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def main() -> None:
    """What a process of its own does: computes the features of some images slowly, and prints how many it made."""
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    network = FakeNetwork(seconds=seconds)
    features = cached_features(network, pictures(count))
    sys.stdout.write(f"{network.pictures} {features.sum(dtype=np.float64)}\n")


if __name__ == "__main__":
    main()
