"""Where Fitting Room keeps what it can make again: arrays, downloads and compiled programs."""

from __future__ import annotations

import os
from pathlib import Path

from fittingroom.files import absolute


def cache_dir() -> Path:
    """The cache folder: `FITTINGROOM_CACHE_DIR`, else the place that the operating system has for caches.

    The folder is not made here. Everything in it can be deleted at any time, and all that use it work without it where
    it cannot be written. A user without a home folder has one that never can be: a folder inside a device.
    """
    chosen = os.environ.get("FITTINGROOM_CACHE_DIR")
    if chosen:
        return absolute(chosen)
    from platformdirs import user_cache_dir

    try:
        return Path(user_cache_dir("fittingroom", appauthor=False))
    except RuntimeError:
        return Path(os.devnull, "fittingroom")
