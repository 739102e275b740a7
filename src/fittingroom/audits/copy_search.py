"""Finds images that are copies of others in all parts of a dataset at once, exactly or nearly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import AuditProgress, PartName
from fittingroom.audits.descriptors import Descriptor, small_images
from fittingroom.audits.near_copies import Alignments, Indices, aligned, nearest_pairs
from fittingroom.audits.planted_copies import KINDS, planted_copies
from fittingroom.data.values import Images, image_digests
from fittingroom.seeds import generator

Counts = npt.NDArray[np.int64]

_NEIGHBOURS = 10  # of each image that are looked at closely; of planted copies 99.9% are among them
_PLANTED = 2000  # images that get a copy of each kind
_SHARE = 0.01  # of the copies of a kind that may agree less than what counts as a copy
_LEAST, _MOST = 0.97, 0.999  # what counts as a copy lies between
_LEAST_CORRELATION = 0.95  # of the pixels as they are, without smoothing
_SMALLEST_SIDE = 12  # pixels; of smaller images, different ones agree as well as copies do (scikit-learn's digits)


@dataclass(frozen=True, eq=False)
class Copies:
    """All images of a dataset in a row, and which are copies of which.

    Args:
        sizes: images of each part, in the order in which they stand: what is kept of several copies stands first.
        small: the images, at most 32 pixels high and wide.
        first: for each image the first one that is the same pixel for pixel, perhaps itself, `(n,)`.
        pairs: near copies, two images that are the first of their kind, the earlier one first, `(pairs, 2)`; those
            that agree best come first.
        alignments: how each pair agrees.
        least: the agreement from which on a pair counts as copies; None where near copies were not looked for.
        planted: the share of the copies planted into these data that agree so well, by kind.
    """

    sizes: Mapping[PartName, int]
    small: Images
    first: Indices
    pairs: Indices
    alignments: Alignments
    least: float | None
    planted: Mapping[str, float]

    def rows(self, part: PartName) -> slice:
        """Where the images of a part stand."""
        names = list(self.sizes)
        start = sum(self.sizes[name] for name in names[: names.index(part)])
        return slice(start, start + self.sizes[part])

    def place(self, row: int) -> tuple[PartName, int]:
        """Part and position in it of an image."""
        for part in self.sizes:
            rows = self.rows(part)
            if row < rows.stop:
                return part, int(row) - rows.start
        raise IndexError(row)

    def with_copy(self, *, exact: bool) -> dict[PartName, dict[PartName, npt.NDArray[np.bool_]]]:
        """For each part, and each part where a copy may be: which images of the first have one in the second.

        Args:
            exact: whether only copies pixel for pixel count.
        """
        from scipy import sparse

        many = len(self.first)
        members = {}
        for part in self.sizes:
            rows = self.rows(part)
            members[part] = np.bincount(self.first[rows], minlength=many)
        one, other = self.pairs.T
        ones = np.ones(len(one), np.int64)
        links = sparse.coo_array((ones, (one, other)), shape=(many, many)).tocsr()
        found: dict[PartName, dict[PartName, npt.NDArray[np.bool_]]] = {}
        for part in self.sizes:
            own = self.first[self.rows(part)]
            found[part] = {}
            for elsewhere, count in members.items():
                has = count[own] > (1 if part == elsewhere else 0)
                if not exact:
                    near = (links @ count + links.T @ count) > 0
                    has |= near[own]
                found[part][elsewhere] = has
        return found

    def links(self) -> list[tuple[int, int, int]]:
        """For each image that is a copy of an earlier one: itself, the one that it is most like, and the pair's number.

        The number is -1 where both are the same pixel for pixel.
        """
        exact = [
            (int(row), int(self.first[row]), -1) for row in np.flatnonzero(self.first < np.arange(len(self.first)))
        ]
        best: dict[int, tuple[int, int, int]] = {}
        for number, (one, other) in enumerate(self.pairs):
            best.setdefault(int(other), (int(other), int(one), number))
        return [*exact, *best.values()]

    def groups(self) -> Counts:
        """The sizes of the groups of images that are copies of each other, the largest first."""
        from scipy import sparse

        many = len(self.first)
        one = np.concatenate([np.arange(many), self.pairs[:, 0]])
        other = np.concatenate([self.first, self.pairs[:, 1]])
        graph = sparse.coo_array((np.ones(len(one), np.int8), (one, other)), shape=(many, many))
        _, group = sparse.csgraph.connected_components(graph, directed=False)
        sizes = np.sort(np.bincount(group))[::-1]
        return np.asarray(sizes[sizes > 1])


def find_copies(parts: Mapping[PartName, Any], scale: float, progress: AuditProgress) -> Copies:
    """The copies among all images of all parts.

    Images of at most 32 pixels are compared as they are, larger ones as smaller versions of themselves. Candidates are
    the nearest by `Descriptor`, which are then laid over each other (`aligned`).

    Args:
        parts: the images of each: arrays of one image size, or `StoredImages`; what should be kept of copies first.
        scale: the value of white.
        progress: told how far it is.
    """
    whole = list(parts.values())
    sizes = {part: len(images) for part, images in parts.items()}
    progress("reading the images", 0, sum(sizes.values()))
    first = _first_of_each([digest for images in whole for digest in image_digests(images)])
    small = np.concatenate([small_images(images, partial(progress, "reading the images")) for images in whole])
    # Images without contrast have nothing to be compared by but their one colour.
    distinct = np.flatnonzero(first == np.arange(len(first)))
    distinct = distinct[_have_contrast(small, distinct)]
    nothing = Alignments(np.empty(0), np.empty(0), np.empty(0, np.bool_), np.empty((0, 2), np.int64))
    if min(small.shape[1:3]) < _SMALLEST_SIDE or len(distinct) < 2:
        return Copies(sizes, small, first, np.empty((0, 2), np.int64), nothing, None, {})
    descriptor, least, planted = _learned(whole, small, distinct, scale, progress)
    pairs = nearest_pairs(
        descriptor.of(small[distinct]), _NEIGHBOURS, partial(progress, "looking for the nearest images")
    )
    pairs, alignments = aligned(small, distinct[pairs], least, partial(progress, "laying pairs over each other"))
    order = np.argsort(-alignments.agreement, kind="stable")
    order = order[alignments.correlation[order] >= _LEAST_CORRELATION]
    return Copies(sizes, small, first, pairs[order], alignments.taken(order), least, planted)


def _first_of_each(digests: list[bytes]) -> Indices:
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(digest, row) for row, digest in enumerate(digests)], np.int64)


def _have_contrast(small: Images, rows: Indices) -> npt.NDArray[np.bool_]:
    flat = small.reshape(len(small), -1)
    return np.asarray(flat[rows].max(axis=1) > flat[rows].min(axis=1))


def _learned(
    whole: list[Any], small: Images, distinct: Indices, scale: float, progress: AuditProgress
) -> tuple[Descriptor, float, dict[str, float]]:
    """What tells copies from other images, learned from copies that are planted into images of these data."""
    chosen = generator(0, "copies", 1).permutation(distinct)[:_PLANTED]
    chosen.sort()
    starts = np.cumsum([0, *map(len, whole)])
    originals = [
        np.asarray(images[chosen[(chosen >= start) & (chosen < start + len(images))] - start])
        for images, start in zip(whole, starts, strict=False)
    ]
    copies: dict[str, list[Images]] = {kind: [] for kind in KINDS}
    for images in originals:
        for start in range(0, len(images), 256):  # of photographs, five copies of each are a lot of memory
            progress("planting copies", sum(map(len, copies[KINDS[0]])), len(chosen))
            for kind, found in planted_copies(images[start : start + 256], scale, start).items():
                copies[kind].append(small_images(found))
    planted = {kind: np.concatenate(found) for kind, found in copies.items()}
    descriptor = Descriptor.learned(small[chosen], list(planted.values()))
    count = len(chosen)
    agreements = {}
    pairs = np.column_stack([np.arange(count), np.arange(count, 2 * count)])
    for kind, images in planted.items():
        _, alignments = aligned(np.concatenate([small[chosen], images]), pairs, -2, lambda _done, _total: None)
        agreements[kind] = alignments.agreement
    lowest = min(float(np.quantile(values, _SHARE)) for values in agreements.values())
    least = float(np.clip(lowest, _LEAST, _MOST))
    return descriptor, least, {kind: float((values >= least).mean()) for kind, values in agreements.items()}
