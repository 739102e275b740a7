"""The history of a training: the numbers of each epoch, under the names that Keras users know."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from fittingroom.errors import RunError

_MOST_EPOCHS, _MOST_NAMES = 200_000, 1000  # what a hostile file has more of takes far more memory than the file


class History(dict[str, list[float]]):
    """Name of a number (`loss`, `accuracy`, `val_loss`, ...) -> its values, one per epoch.

    It is what Keras's `History.history` is: a dict of lists, for `pd.DataFrame(history)` and `json.dumps(history)`.
    Like the `History` around it, it has `epoch` (numbers of the epochs, from 0) and `history` (itself).

    A number that some epochs do not have (validation every second epoch, say) has fewer values, as in Keras.

    Args:
        epochs: per finished epoch its number, from 0, and its numbers.
    """

    def __init__(self, epochs: Iterable[tuple[int, Mapping[str, float]]] = ()) -> None:
        super().__init__()
        self._rows = [(int(epoch), {name: float(value) for name, value in logs.items()}) for epoch, logs in epochs]
        for _, logs in self._rows:
            for name, value in logs.items():
                self.setdefault(name, []).append(value)

    @property
    def epoch(self) -> list[int]:
        """The numbers of the finished epochs, from 0."""
        return [epoch for epoch, _ in self._rows]

    @property
    def history(self) -> dict[str, list[float]]:
        """All values by name, as Keras's `History.history`."""
        return self

    @property
    def rows(self) -> list[dict[str, float]]:
        """The numbers of each epoch, oldest first."""
        return [dict(logs) for _, logs in self._rows]

    def __eq__(self, other: object) -> bool:
        return self._rows == other._rows if isinstance(other, History) else super().__eq__(other)

    __hash__ = None  # it is compared by its values

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.items())
        return f"History({len(self._rows)} epochs{'; last: ' if last else ''}{last})"

    @classmethod
    def mean_of(cls, histories: Sequence[History]) -> History:
        """The means of several histories: each epoch's over those that reached it."""
        rows: dict[int, dict[str, list[float]]] = {}
        for history in histories:
            for epoch, logs in history._rows:
                for name, value in logs.items():
                    rows.setdefault(epoch, {}).setdefault(name, []).append(value)
        return cls(
            (epoch, {name: math.fsum(values) / len(values) for name, values in rows[epoch].items()})
            for epoch in sorted(rows)
        )

    def to_csv(self) -> str:
        """A table with a line per epoch, counted from 1 as people do; floats in full, an empty cell for no value."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        names = list(self)
        table.writerow(["epoch", *names])
        for epoch, logs in self._rows:
            table.writerow([epoch + 1, *(repr(logs[name]) if name in logs else "" for name in names)])
        return text.getvalue()

    @classmethod
    def from_csv(cls, text: str) -> History:
        """The history that `to_csv` wrote.

        Raises:
            RunError: the text is no such table.
        """
        if text.count("\n") > _MOST_EPOCHS or text.partition("\n")[0].count(",") > _MOST_NAMES:
            raise RunError(
                f"history.csv is damaged: it has more than {_MOST_EPOCHS:,} epochs, or more than {_MOST_NAMES:,} "
                "numbers for each."
            )
        rows = list(csv.reader(io.StringIO(text)))
        if not rows or rows[0][:1] != ["epoch"]:
            raise RunError("history.csv is damaged: its first line does not begin with 'epoch'.")
        if not text.endswith("\n"):
            raise RunError("history.csv is damaged: its last line is cut off.")
        return cls(_read_row(number, rows[0], row) for number, row in enumerate(rows[1:], start=2))


def _read_row(number: int, header: list[str], row: list[str]) -> tuple[int, dict[str, float]]:
    try:
        cells = zip(header[1:], row[1:], strict=True)
        return int(row[0]) - 1, {name: float(cell) for name, cell in cells if cell}
    except (ValueError, IndexError) as error:
        raise RunError(
            f"history.csv is damaged: line {number} is not an epoch and {len(header) - 1} numbers."
        ) from error
