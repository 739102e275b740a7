"""Memory that is free is given back to the system.

A training allocates arrays and compiled programs of many sizes. The C library keeps what is freed for later, in pieces
that the next recipe's arrays do not fit into, so that a process grows with each recipe that it trains.
"""

from __future__ import annotations

import ctypes


def give_back_free_memory() -> None:
    """Lets glibc return what is free; elsewhere it does nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
