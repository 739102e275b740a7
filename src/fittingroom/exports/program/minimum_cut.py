"""The minimum cut of a grid of pixels in NumPy: which of them stay with the source.

First, pixels whose link to the source or the sink outweighs all that binds them to their neighbours are decided, again
and again; that leaves a tenth or less. The rest is push-relabel (Goldberg and Tarjan 1988), all pixels at once in each
of eight directions, with heights set anew from the sink now and then. Capacities are whole numbers, so it ends, and the
cut is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns from a pixel to the neighbours whose links are given; those behind it have the links of theirs."""

_SWEEPS = 16  # between two times that heights are set from the sink


def source_side(terminal: Integers, links: Integers) -> NDArray[np.bool_]:
    """Which pixels stay with the source where the cut is least, `(height, width)`.

    Args:
        terminal: what binds each pixel to the source, less what binds it to the sink, `(height, width)`.
        links: what binds each pixel to its neighbours in `DIRECTIONS`, `(4, height, width)`; those over the edge are
            left out.
    """
    height, width = terminal.shape
    place = np.arange(height * width).reshape(height, width)
    neighbours = np.full((8, height * width), -1, np.int64)
    capacities = np.zeros((8, height * width), np.int64)
    for number, (down, right) in enumerate(DIRECTIONS):
        here = place[: height - down, max(-right, 0) : width - max(right, 0)].ravel()
        there = place[down:, max(right, 0) : width + min(right, 0)].ravel()
        bound = links[number].ravel()[here]
        neighbours[number, here], capacities[number, here] = there, bound
        neighbours[number + 4, there], capacities[number + 4, there] = here, bound
    return _solved(terminal.ravel().astype(np.int64), neighbours, capacities).reshape(height, width)


def _solved(terminal: Integers, neighbours: Integers, capacities: Integers) -> NDArray[np.bool_]:
    """The same for pixels in a row, with the neighbours in eight directions (-1 for none), and the links to them."""
    side = np.zeros(len(terminal), np.int64)  # 1 with the source, -1 with the sink, 0 not decided
    while True:
        bound = capacities.sum(axis=0)
        decided = np.flatnonzero((side == 0) & (np.abs(terminal) >= bound) & (terminal != 0))
        if not len(decided):
            break
        side[decided] = np.sign(terminal[decided])
        for number in range(8):
            there = neighbours[number, decided]
            known = there >= 0
            terminal[there[known]] += capacities[number, decided[known]] * side[decided[known]]
            capacities[number, decided] = 0
            capacities[(number + 4) % 8, there[known]] = 0
    left = np.flatnonzero(side == 0)
    if len(left):
        number_of = np.full(len(side) + 1, len(left))  # the last is what lies over the edge
        number_of[left] = np.arange(len(left))
        side[left] = np.where(_pushed(terminal[left], number_of[neighbours[:, left]], capacities[:, left]), 1, -1)
    return np.asarray(side > 0)


def _pushed(terminal: Integers, neighbours: Integers, capacities: Integers) -> NDArray[np.bool_]:
    """Push-relabel: which pixels cannot reach the sink any more."""
    count = terminal.size
    nobody = np.zeros((8, 1), np.int64)
    neighbours = np.concatenate([neighbours, np.full((8, 1), count)], axis=1)
    capacities = np.concatenate([np.where(neighbours[:, :-1] < count, capacities, 0), nobody], axis=1)
    excess = np.append(np.maximum(terminal, 0), 0)
    to_sink = np.append(np.maximum(-terminal, 0), 0)
    while True:
        heights = _heights(to_sink, neighbours, capacities)
        if not ((excess > 0) & (heights < count + 2)).any():
            return np.asarray(heights[:-1] >= count + 2)
        for _ in range(_SWEEPS):
            active = np.flatnonzero((excess > 0) & (heights < count + 2))
            if not len(active):
                break
            _push(active, excess, to_sink, heights, neighbours, capacities)


def _push(*arrays: Any) -> None:
    """One sweep: active pixels give what they have to lower ones, and rise where none is lower."""
    active, excess, to_sink, heights, neighbours, capacities = arrays
    given = np.minimum(excess[active], to_sink[active]) * (heights[active] == 1)
    excess[active] -= given
    to_sink[active] -= given
    for number in range(8):
        there = neighbours[number, active]
        lower = (heights[active] == heights[there] + 1) & (capacities[number, active] > 0) & (excess[active] > 0)
        here, there = active[lower], there[lower]
        given = np.minimum(excess[here], capacities[number, here])
        excess[here] -= given
        excess[there] += given
        capacities[number, here] -= given
        capacities[(number + 4) % 8, there] += given
    rest = active[excess[active] > 0]
    around = np.where(capacities[:, rest] > 0, heights[neighbours[:, rest]] + 1, len(heights) + 1)
    heights[rest] = np.where(to_sink[rest] > 0, 1, around.min(axis=0)).clip(None, len(heights) + 1)


def _heights(to_sink: Integers, neighbours: Integers, capacities: Integers) -> Integers:
    """How many links each pixel is away from the sink, in what is left; one more than there are pixels for no way."""
    none = len(to_sink) + 1
    heights = np.where(to_sink > 0, 1, none)
    last = np.flatnonzero(to_sink > 0)
    level = 1
    while len(last):
        level += 1
        reached = []
        for number in range(8):
            there = neighbours[number, last]  # whose links back to `last` have the opposite number
            new = there[(capacities[(number + 4) % 8, there] > 0) & (heights[there] == none)]
            heights[new] = level
            reached.append(new)
        last = np.concatenate(reached)
    return heights
