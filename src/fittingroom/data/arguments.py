"""The arguments of `load` in the forms that people write them, checked before anything is read."""

from __future__ import annotations

import math
import numbers
import os
from typing import Any

from fittingroom.errors import DataError

_LARGEST_SIDE = 1024


def dataset_name(given: Any) -> str:
    """The name of a dataset: a text as it is, a `Path` as a text that is read as a path.

    Raises:
        DataError: it is neither.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, os.PathLike):
        path = os.fspath(given)
        # A relative path is never taken for a dataset of the catalogue.
        return os.path.join(os.curdir, path if isinstance(path, str) else os.fsdecode(path))  # noqa: PTH118
    mend = ""
    if hasattr(given, "fingerprint"):
        mend = " It is loaded already: use it as it is."
    elif hasattr(given, "__array__") or isinstance(given, list | tuple):
        mend = " Arrays need no loading: fittingroom.fit(model, x, y)."
    kind = "nothing" if given is None else f"a {type(given).__name__}"
    raise DataError(f"load takes the name of a dataset, such as 'fashion-mnist' or 'folder:photos', not {kind}.{mend}")


def image_size(given: Any) -> tuple[int, int] | None:
    """`(height, width)` from a pair, or from one number for both; None stays None.

    Raises:
        DataError: it is something else, or not from 1 to 1,024.
    """
    if given is None:
        return None
    pair = (given, given) if isinstance(given, numbers.Integral) and not isinstance(given, bool) else given
    whole = (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(side, numbers.Integral) and not isinstance(side, bool) for side in pair)
    )
    if not whole:
        raise DataError(f"image_size={given!r}; expected (height, width) in pixels, such as (64, 64), or 64 for both.")
    height, width = (int(side) for side in pair)
    if not (1 <= height <= _LARGEST_SIDE and 1 <= width <= _LARGEST_SIDE):
        raise DataError(f"the image size is {height}x{width}; each side must be from 1 to {_LARGEST_SIDE} pixels.")
    return height, width


def validation(given: Any) -> int | float | None:
    """How many images are held out: a count, a fraction, or None for the default.

    Raises:
        DataError: it is not a number.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, numbers.Real) or not math.isfinite(given):
        mend = _fraction_of(given) if isinstance(given, str) else ""
        raise DataError(
            f"validation={given!r}; expected a number of images, such as 5000, or a fraction, such as 0.2.{mend}"
        )
    return int(given) if isinstance(given, numbers.Integral) else float(given)


def whole(name: str, given: Any) -> int:
    """A whole number from 0.

    Raises:
        DataError: it is not.
    """
    if isinstance(given, bool) or not isinstance(given, numbers.Integral) or given < 0:
        raise DataError(f"{name}={given!r}; expected a whole number from 0.")
    return int(given)


def _fraction_of(text: str) -> str:
    try:
        share = float(text.strip().removesuffix("%"))
    except ValueError:
        return ""
    return f" Write {share / 100 if text.strip().endswith('%') else share:g}."
