"""The numbers of one batch, as callbacks get them: floats that are fetched from the device when they are first read.

A callback that watches batches need not look at their numbers. While it does not, the next steps begin before this one
is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fittingroom.engine.epoch import Logs


class BatchLogs(dict[str, Any]):
    """A dict of names and floats; whatever reads a value of it waits for the device, and finds a float.

    Args:
        logs: numbers on the device, which may still be computed. As in Keras, their names come in alphabetic order.
    """

    def __init__(self, logs: Logs) -> None:
        super().__init__((name, logs[name]) for name in sorted(logs))

    @property
    def has_read_nan(self) -> bool:
        """Whether someone has read the loss, and it is NaN or infinite. This waits for nothing."""
        loss = super().get("loss")
        return type(loss) is float and not math.isfinite(loss)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if hasattr(value, "block_until_ready"):  # still on the device
            value = float(np.asarray(value))
            super().__setitem__(name, value)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """As a dict's."""
        return self[name] if name in self else default  # noqa: SIM401 - that would be this method itself

    def values(self) -> Any:
        """As a dict's."""
        self._fetch()
        return super().values()

    def items(self) -> Any:
        """As a dict's."""
        self._fetch()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """A plain dict."""
        return dict(self)

    def pop(self, name: str, *default: Any) -> Any:
        """As a dict's."""
        self._fetch()
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        """As a dict's."""
        self._fetch()
        return super().popitem()

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As a dict's."""
        super().setdefault(name, default)
        return self[name]

    def __iter__(self) -> Iterator[str]:
        # With a method of its own, `dict(logs)` and `{**logs}` read the values through `__getitem__`.
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        self._fetch()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return dict(self) | dict(other)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def _fetch(self) -> None:
        """Fetches all values."""
        for name in self:
            self[name]
