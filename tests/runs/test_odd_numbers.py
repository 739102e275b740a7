"""Any number in any JSON file of a run may be anything: the run is refused, or answers as if nothing were."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.errors import RunError

pytestmark = pytest.mark.usefixtures("quick_compiler")

ODD: dict[str, Any] = {
    "huge": 10**400,
    "negative": -1,
    "NaN": float("nan"),
    "large": 1e308,
    "true": True,
    "text": "x",
    "deep": [[[[[[1]]]]]],
    "null": None,
}
IMAGES = np.zeros((2, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds that looked at their test set, and the `training.json` that an interrupted training leaves."""
    place = tmp_path_factory.mktemp("odd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        tiny = fr.Recipe(name="tiny", hidden=(4,), epochs=1, batch_size=256)
        trained = fr.train("digits", tiny, seeds=2, checkpoint_every=1, out=place / "run")
        trained.evaluate()
    return trained.path


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers are; of a list, the first and the last."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*place, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1}) if value else ():
            yield from places(value[index], (*place, index))
    elif isinstance(value, int | float):
        yield place


def use(path: Path) -> None:
    """Opens a run, and asks it all that can be asked without its data; a RunError is an answer."""
    try:
        opened = fr.open_run(path)
        opened[0].predict(IMAGES)
        opened[1].explain()
    except RunError:
        pass
    assert main(["show", str(path)]) in {0, 2}
    assert main(["runs", "--json"]) == 0


def check(run: Path, work: Path, odd: Any) -> int:
    shutil.copytree(run, work / "run")
    tried = 0
    for file in sorted((work / "run").rglob("*.json")):
        if file.parent.name == "seed-1":
            continue  # its files are those of seed 0 again
        content = file.read_text()
        stored = json.loads(content)
        for place in places(stored):
            changed = copy.deepcopy(stored)
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = odd
            file.write_text(json.dumps(changed))
            use(work / "run")
            tried += 1
        file.write_text(content)
    return tried


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_any_number_in_any_file_of_a_run_may_be_anything(
    odd: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path))
    assert check(run, tmp_path, ODD[odd]) > 50
    assert "bug in Fitting Room" not in capsys.readouterr().err


def test_a_recipe_of_a_run_that_makes_no_sense_is_a_damaged_run(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "seed-0", tmp_path / "one")
    stored = json.loads((tmp_path / "one" / "run.json").read_text())
    for key, value in {"learning_rate": 10**400, "hidden": [-1], "epochs": True, "dropout": "x"}.items():
        changed = json.dumps({**stored, "recipe": {**stored["recipe"], key: value}})
        (tmp_path / "one" / "run.json").write_text(changed)
        with pytest.raises(RunError, match=rf"run.json is damaged.*({key}|number)"):
            fr.open_run(tmp_path / "one").predict(IMAGES)
