from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fittingroom.errors import RunError
from fittingroom.evaluation.scores import Scores
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.json_files import json_text
from fittingroom.runs.record import FORMAT, Look, PartResult, RunRecord, Seconds

Stored = dict[str, Any]


@pytest.fixture
def stored(record: RunRecord) -> Stored:
    return dict(json.loads(json_text(record.to_dict())))


def test_json_gives_the_same_record_back(record: RunRecord, stored: Stored) -> None:
    assert RunRecord.from_dict(stored) == record


def test_recipe_can_be_trained_again(stored: Stored) -> None:
    assert Recipe.from_dict(RunRecord.from_dict(stored).recipe) == Recipe(name="course")


def test_validation_accuracy_has_an_interval() -> None:
    result = PartResult.held_out(0.5, 9000, 10_000)
    assert result.accuracy == 0.9
    assert result.interval == pytest.approx((0.8940, 0.9057), abs=5e-5)


def test_loss_that_is_not_finite_is_stored_as_none(record: RunRecord, stored: Stored) -> None:
    stored["train"] = json.loads(json_text({**stored["train"], "loss": float("nan")}))
    assert RunRecord.from_dict(stored).train == PartResult(None, 0.9, 100)


def test_looks_come_back(stored: Stored) -> None:
    stored["looks"] = [{"time": "now", "reason": "why", "score": None}]
    assert RunRecord.from_dict(stored).looks == (Look("now", "why"),)


def test_times_have_a_total() -> None:
    assert Seconds(0.5, 0.25, 1.25).total == 2.0


def test_unknown_keys_of_the_same_format_are_left_out(record: RunRecord, stored: Stored) -> None:
    stored["mood"] = "good"
    stored["data"]["mood"] = "good"
    assert RunRecord.from_dict(stored) == record


def test_newer_format_says_which_version_it_needs(stored: Stored) -> None:
    stored["format"] = FORMAT + 1
    stored["environment"]["versions"]["fittingroom"] = "7.8.9"
    with pytest.raises(RunError, match=r"has format 2, .* Upgrade to version 7.8.9 or newer: pip install"):
        RunRecord.from_dict(stored)


@pytest.mark.parametrize("environment", [None, [], {}, {"versions": 3}])
def test_newer_format_may_have_changed_everything(environment: object) -> None:
    with pytest.raises(RunError, match=r"Upgrade to a newer version: pip install"):
        RunRecord.from_dict({"format": FORMAT + 1, "environment": environment})


@pytest.mark.parametrize("found", [None, "1", True, 0])
def test_format_that_is_no_number_is_damage(stored: Stored, found: object) -> None:
    stored["format"] = found
    with pytest.raises(RunError, match=r"run\.json is damaged: its format is"):
        RunRecord.from_dict(stored)


def drop(key: str) -> Callable[[Stored], object]:
    return lambda stored: stored.pop(key)


DAMAGES: dict[str, Callable[[Stored], object]] = {
    **{f"no {key}": drop(key) for key in ("status", "recipe", "data", "seconds", "train", "validation", "looks")},
    "status": lambda stored: stored.update(status="fine"),
    "recipe": lambda stored: stored.update(recipe={"epochs": 3}),
    "recipe is a list": lambda stored: stored.update(recipe=[1]),
    "seconds": lambda stored: stored["seconds"].update(train="long"),
    "part": lambda stored: stored.update(train="good"),
    "accuracy": lambda stored: stored["validation"].update(accuracy=[]),
    "interval": lambda stored: stored["validation"].update(interval=[0.5]),
    "data": lambda stored: stored["data"].pop("classes"),
    "look": lambda stored: stored.update(looks=["yesterday"]),
    "seed": lambda stored: stored.update(seed=None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_record_is_a_run_error(stored: Stored, damage: str) -> None:
    DAMAGES[damage](stored)
    with pytest.raises(RunError, match=r"run\.json is damaged: "):
        RunRecord.from_dict(stored)


ODD: list[Any] = [None, True, -1, 10**400, 1.5, "x", "\ud800", [], {}, [None], [[1], [2, 3]], {"a": 1}]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a record."""
    yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*place, key))


def test_a_record_with_an_odd_value_anywhere_reads_as_it_may_be_written_or_is_a_run_error(stored: Stored) -> None:
    score = Scores(0.5, ((3, 1, 0), (0, 2, 0), (0, 0, 0)), ("0", "größe", "<b>")).to_dict()
    stored["looks"] = [{"time": "now", "reason": "why", "score": score, "ledger": "a", "number": 1, "hash": "b"}]
    stored = json.loads(json_text(stored))
    RunRecord.from_dict(stored)
    refused = 0
    for *way, last in filter(None, places(stored)):
        for odd in ODD:
            changed = copy.deepcopy(stored)
            inner = changed
            for key in way:
                inner = inner[key]
            inner[last] = odd
            try:
                record = RunRecord.from_dict(changed)
            except RunError:
                refused += 1
                continue
            json_text(record.to_dict()).encode()
            for look in record.looks:
                if look.score is not None:
                    Scores.from_dict(look.score).to_dict()
    assert refused > 500
