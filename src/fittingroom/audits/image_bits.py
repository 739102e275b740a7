"""Random bits that belong to an image: the same for the same pixels on every machine, in any batch, at any place.

The key of an image is a hash of its pixels, and its bits are those of SplitMix64 from this key on (Steele, Lea and
Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). All of it is arithmetic of 64-bit integers, which
no machine and no version of NumPy does differently; a generator of NumPy for each image would take longer than all the
rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_BYTES = np.uint64(0x00FF00FF00FF00FF)
_MEAN_OF_EIGHT, _DEVIATION_OF_EIGHT = 1020, 209  # of the sum of eight bytes


@dataclass(frozen=True, eq=False)
class ImageBits:
    """Random numbers for each of several images.

    Args:
        keys: a key for each, uint64 `(n,)`.
    """

    keys: Keys

    @classmethod
    def of(cls, images: npt.NDArray[np.uint8], seed: int, purpose: str) -> ImageBits:
        """Those of images, `(n, ...)`, for a purpose, with a seed from 0 to 2**64 - 1."""
        salt = seed.to_bytes(8, "little")
        rows = np.ascontiguousarray(images).reshape(len(images), -1)
        digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8, key=salt).digest() for row in rows)
        word = hashlib.blake2b(purpose.encode(), digest_size=8).digest()
        # Read as little-endian, so that machines of the other kind have the same numbers.
        return cls(np.frombuffer(digests, "<u8").astype(np.uint64) ^ np.frombuffer(word, "<u8").astype(np.uint64))

    def words(self, count: int, start: int = 0) -> npt.NDArray[np.uint64]:
        """`count` words of 64 random bits for each image, from the number `start` on, uint64 `(n, count)`."""
        word = self.keys[:, None] + np.arange(start + 1, start + 1 + count, dtype=np.uint64) * _STEP
        word ^= word >> np.uint64(30)
        word *= np.uint64(0xBF58476D1CE4E5B9)
        word ^= word >> np.uint64(27)
        word *= np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
        return word

    def below(self, limit: int, count: int, start: int = 0) -> npt.NDArray[np.int64]:
        """Whole numbers from 0 to `limit` - 1, int64 `(n, count)`; `limit` is at most 2**31."""
        high = (self.words(count, start) >> np.uint64(32)).astype(np.int64)
        return (high * limit) >> 32

    def normal(self, count: int) -> npt.NDArray[np.int32]:
        """Numbers close to normally distributed, in units of 1/209 of their deviation, int32 `(n, count)`.

        Each is a sum of eight bytes less its mean (Irwin and Hall), so none is further away than 4.9 deviations.
        """
        words = self.words(count)
        words = (words & _BYTES) + ((words >> np.uint64(8)) & _BYTES)  # four sums of two bytes, side by side
        total = (words * np.uint64(0x0001000100010001)) >> np.uint64(48)
        return total.astype(np.int32) - np.int32(_MEAN_OF_EIGHT)


NORMAL_UNIT = _DEVIATION_OF_EIGHT
"""One deviation, in the units of `ImageBits.normal`."""
