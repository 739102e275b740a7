"""Where an imported run came from, and what it claimed, as `imported.json` in its folder.

A run of somebody else's says what it reached, and anybody can write that. So its validation scores were computed again
from its weights when it was imported; the file keeps what it had claimed, and the looks that are its author's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import write_bytes
from fittingroom.errors import RunError
from fittingroom.runs.json_files import damage, json_text, number, optional, read_json, share, text, whole

ORIGIN_NAME = "imported.json"


@dataclass(frozen=True)
class Origin:
    """Where a run came from.

    Attributes:
        time: when it was imported, ISO 8601, UTC.
        source: the file or folder, by its name.
        run: the name of its folder there.
        weights: hashes of the weights of its seeds.
        claimed: the validation accuracy, 0 to 1, that it came with, the mean over seeds; None where it had none.
        found: what its weights reach on the same images here.
        looks: how many looks at a test set its author took. They are not looks of the ledger here.
        notes: sentences about what differed or was left out.
    """

    time: str
    source: str
    run: str
    weights: tuple[str, ...]
    claimed: float | None
    found: float
    looks: int
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Origin | None:
        """That of a run; None for one that was trained here, or whose file is damaged."""
        if not (path / ORIGIN_NAME).is_file():
            return None
        try:
            with damage(path, ORIGIN_NAME):
                stored = read_json(path / ORIGIN_NAME)
                return cls(
                    time=text(stored["time"]),
                    source=text(stored["source"]),
                    run=text(stored["run"]),
                    weights=tuple(text(one) for one in stored["weights"]),
                    claimed=optional(share, stored["claimed"]),
                    found=share(number(stored["found"])),
                    looks=whole(stored["looks"]),
                    notes=tuple(text(one) for one in stored["notes"]),
                )
        except RunError:
            return None

    def write(self, path: Path) -> None:
        """Keeps it in a run's folder.

        Raises:
            StorageError: it cannot be written.
        """
        write_bytes(path / ORIGIN_NAME, json_text({"format": 1, **asdict(self)}).encode())

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain JSON, without the hashes."""
        return {name: value for name, value in asdict(self).items() if name != "weights"}
