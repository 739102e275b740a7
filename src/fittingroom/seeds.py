"""One seed, many independent named streams of random numbers.

A recipe's seed never feeds two purposes at once: drawing more initial weights must not change the shuffle.
Each purpose has a name, and a stream is addressed by the seed, the name and, where there are several (one per
epoch, say), their indices. Nothing is stored between uses, so the shuffle of epoch 7 is the same whether or not
epochs 1 to 6 ran in this process.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Stream = Literal[
    "split",
    "init",
    "shuffle",
    "augment",
    "dropout",
    "bootstrap",
    "slices",
    "review",
    "copies",
    "other-images",
    "planted",
    "drift",
    "made",
    "stand-in",
]


def _entropy(stream: Stream) -> int:
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")


def generator(seed: int, stream: Stream, *indices: int) -> np.random.Generator:
    """The random generator of one stream; equal arguments give an equal generator on every machine.

    Args:
        seed: the seed of a training, or of the data split; not negative.
        stream: the purpose of the numbers.
        indices: which one where a purpose has several streams, for example the epoch.
    """
    import numpy as np

    return np.random.default_rng(np.random.SeedSequence([seed, _entropy(stream), *indices]))
