"""No file that Fitting Room opens can run code, write anywhere else, or take much memory or time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.hostile import arrays, models, others, pictures, records
from tests.hostile.case import Case, pickled
from tests.hostile.conftest import World

MOST_MEGABYTES = 200
MOST_SECONDS = 2.0  # of processor time, so that a busy machine does not matter

CASES: dict[str, Case] = {**arrays.CASES, **pictures.CASES, **models.CASES, **records.CASES, **others.CASES}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_inert(name: str, world: World) -> None:
    case, place = CASES[name], world.place(list(CASES).index(name))
    case.build(place)
    assert not place.canary.exists(), "the test itself made the canary"
    before = {part: contents(world.folder / part) for part in ("home", "outside")}
    try:
        answer = world.open(case.opener, place.folder)
    finally:
        after = {part: contents(world.folder / part) for part in ("home", "outside")}
        shutil.rmtree(place.folder)
    assert after == before
    assert not answer["seen"], answer["seen"]
    steps = answer["steps"]
    for way, step in steps.items():
        assert step["error"] in {None, "ours"}, (way, step)
        assert step["megabytes"] < MOST_MEGABYTES, (way, step)
        assert step["seconds"] < MOST_SECONDS, (way, step)
    said = [step["message"] for step in steps.values() if step["error"]]
    if case.refused is None:
        assert said == []
    else:
        assert said
        assert any(re.search(case.refused, message) for message in said), said
        assert all(len(message) < 3000 for message in said), said


def test_a_file_that_is_not_inert_is_found_out(world: World) -> None:
    place = world.place(len(CASES))
    (place.folder / "payload").write_bytes(pickled(place.canary))
    answer = world.open("pickle", place.folder)
    assert any(event.startswith("os.system") for event in answer["seen"])
    assert place.canary.exists()
    place.canary.unlink()
    (place.folder / "payload").write_bytes(bytes(100))
    assert world.open("memory", place.folder)["steps"]["load"]["megabytes"] > 250


def test_there_are_more_than_thirty() -> None:
    assert len(CASES) >= 30
