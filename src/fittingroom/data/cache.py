"""Where Fitting Room keeps what it can make again: arrays, downloads and compiled programs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The cache folder: `FITTINGROOM_CACHE_DIR`, else the place that the operating system has for caches.

    The folder is not made here. Everything in it can be deleted at any time.
    """
    chosen = os.environ.get("FITTINGROOM_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("fittingroom", appauthor=False))
