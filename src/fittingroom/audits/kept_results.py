"""Results of checks as files: an audit that continues, or is asked for again, does not make a check twice.

    FOLDER/raw-data.json   one file a check: what it was made of, and its result with small pictures

A result counts only for what it was made of: the data, the recipe, the weights and the version of the check. Anything
else, also a file that is damaged, is as good as absent, since every result can be made again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.answers.stored import digest_of
from fittingroom.atomic import read_file, storage_errors, write_bytes
from fittingroom.audits.check import CheckResult
from fittingroom.data.cache import cache_dir
from fittingroom.errors import StorageError
from fittingroom.runs.json_files import json_line, plain
from fittingroom.runs.layout import read_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fittingroom.data.dataset import Dataset
    from fittingroom.recipes.recipe import Recipe

FOLDER = "audit"
"""The folder of a run in which its results lie."""

CACHED = "audits"
"""The folder of the cache in which the results of datasets lie."""

_FORMAT = 1
_LARGEST = 64 * 2**20


@dataclass(frozen=True)
class KeptResults:
    """The results of the checks of one subject.

    Args:
        folder: where they lie; None keeps nothing.
        made_of: data, recipe and weights, as JSON types.
    """

    folder: Path | None
    made_of: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe, run: Path | None, seeds: Sequence[Path]) -> KeptResults:
        """Those of a run, or of a dataset.

        Args:
            dataset: the run's, or the one that is audited.
            recipe: as `AuditSubject` has it.
            run: the run's folder; None without a run.
            seeds: the folder of each of its seeds.
        """
        parts = [dataset.train, *([] if dataset.validation is None else [dataset.validation])]
        split = hashlib.sha256(b"".join(b"%d:" % len(part) + part.labels.tobytes() for part in parts)).hexdigest()
        made_of = {
            "data": dataset.fingerprint,
            "test": dataset.test.fingerprint,
            "split": [dataset.split_seed, split[:32]],
            "shape": list(dataset.image_shape),
            "classes": hashlib.sha256("\0".join(dataset.classes).encode(errors="surrogateescape")).hexdigest()[:32],
            "recipe": recipe.digest(),
            "weights": digest_of(seeds).hex() if seeds else "",
        }
        if run is not None:
            return cls(run / FOLDER, made_of)
        name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        return cls(cache_dir() / CACHED / name, made_of)

    def read(self, check: str, version: int) -> CheckResult | None:
        """The result of a check; None where there is none of this subject by this version of the check."""
        if self.folder is None:
            return None
        with suppress(Exception):  # readers of damaged files raise almost anything, and a result can be made again
            stored = json.loads(read_file(self.folder / f"{check}.json", _LARGEST))
            result = CheckResult.from_dict(stored["result"])
            if stored["format"] == _FORMAT and stored["made_of"] == self._key(version) and result.check == check:
                return result
        return None

    def write(self, result: CheckResult, version: int) -> str | None:
        """Keeps a result.

        Returns:
            Why it could not be kept, in a sentence; None where it was.
        """
        if self.folder is None:
            return None
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        stored = {"format": _FORMAT, "made": made, "made_of": self._key(version), "result": result.to_dict()}
        try:
            with storage_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self.folder / f"{result.check}.json", json_line(stored))
        except StorageError as error:
            return str(error)
        return None

    def _key(self, version: int) -> dict[str, Any]:
        key: dict[str, Any] = plain({**self.made_of, "version": version})
        return key


def results_in(run: Path) -> dict[str, tuple[dict[str, Any], int]]:
    """The results in a run's folder that are of its present weights and data, with the versions of their checks.

    Each is what `CheckResult.to_dict` gives, and `made`, when it was made, ISO 8601, UTC.

    Raises:
        RunError: the folder is not a run, or is damaged.
    """
    layout = read_layout(run)
    data = next(iter(layout.records().values())).data
    weights = digest_of(list(layout.folders.values())).hex()
    found = {}
    for file in (run / FOLDER).glob("*.json"):
        with suppress(Exception):
            stored = json.loads(read_file(file, _LARGEST))
            made_of, result = stored["made_of"], CheckResult.from_dict(stored["result"])
            known = not data.fingerprint or made_of["data"] == data.fingerprint
            if stored["format"] == _FORMAT and known and made_of["weights"] == weights and result.check == file.stem:
                found[file.stem] = {**stored["result"], "made": str(stored["made"])}, int(made_of["version"])
    return found
