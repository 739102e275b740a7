"""Which looks are at one test set, and which of them tell nothing new."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fittingroom.runs.ledger import VERSION, Ledger
from fittingroom.runs.ledger_check import LedgerCheck
from fittingroom.runs.ledger_entries import Intent, LedgerEntry

NEW = ("weights", "fingerprint", "together")
LOOK = Intent("digits", 360, "a look", "/runs/one", "course", "ab" * 32, 3, "cd" * 32, "pixels")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    return Ledger(tmp_path / "ledger.sqlite")


def as_version_1(ledger: Ledger) -> None:
    """Makes a ledger what the first version would have written: without what entries say since."""
    identity, entries = ledger.entries()
    previous = identity
    with sqlite3.connect(ledger.path) as connection:
        for entry, look in zip(entries, ledger.looks(), strict=True):
            intent = {name: value for name, value in asdict(look.intent).items() if name not in NEW}
            content = {"time": look.time, **intent}
            changed = LedgerEntry.after(previous, entry.number, entry.kind, entry.test_set, entry.look, content)
            previous = changed.hash
            values = (changed.content, changed.hash, changed.number)
            connection.execute("UPDATE entries SET content = ?, hash = ? WHERE number = ?", values)
        connection.execute("UPDATE head SET hash = ?", [previous])
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_looks_of_version_1_keep_counting_and_their_chain_is_intact(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.record_look("pixels", replace(LOOK, weights=None, fingerprint=None))
    as_version_1(ledger)
    before = ledger.entries()
    assert [look.look for look in ledger.looks()] == [1, 2, 3]
    assert ledger.record_look("source", LOOK).look == 4
    assert ledger.entries()[1][:3] == before[1]
    assert LedgerCheck.of(ledger).problem is None
    with sqlite3.connect(ledger.path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()


def test_pictures_at_any_size_are_one_test_set(ledger: Ledger) -> None:
    looks = [replace(LOOK, fingerprint=f"at {size}", seed=size) for size in (28, 64, 224)]
    assert [ledger.record_look("files", look).look for look in looks] == [1, 2, 3]
    # Packed otherwise, they have other bytes; at one size they are known by their pixels.
    assert ledger.record_look("other files", replace(LOOK, fingerprint="at 64", seed=1)).look == 4
    assert {look.test_set for look in ledger.looks()} == {"files"}
    assert ledger.looks()[0].known_as == {"files", "other files", "at 28", "at 64", "at 224"}


def test_old_looks_at_a_folder_count_at_every_size(ledger: Ledger) -> None:
    folder = replace(LOOK, dataset="folder:/pictures", weights=None, fingerprint=None)
    ledger.record_look("at 28", folder)
    as_version_1(ledger)
    assert ledger.record_look("files", replace(LOOK, dataset="folder:/pictures", fingerprint="at 64")).look == 2
    assert ledger.record_look("others", replace(LOOK, dataset="folder:/pictures", images=7)).look == 1
    assert ledger.record_look("others", replace(LOOK, dataset="folder:/elsewhere", seed=9, images=7)).look == 2


@pytest.mark.parametrize(
    ("changes", "look"),
    [
        ({}, 1),
        ({"run": "/runs/copy", "reason": "again", "recipe": "another name"}, 1),
        ({"seed": 4}, 2),
        ({"recipe_digest": "ff" * 32}, 2),
        ({"weights": "ee" * 32}, 2),
        ({"fingerprint": "other pixels"}, 2),
        ({"run": None, "recipe": None, "recipe_digest": None, "seed": None, "weights": None}, 2),
    ],
)
def test_a_repetition_is_recorded_and_tells_nothing_new(ledger: Ledger, changes: dict[str, Any], look: int) -> None:
    ledger.record_look("source", LOOK)
    assert ledger.record_look("source", replace(LOOK, **changes)).look == look
    assert [one.repeats for one in ledger.looks()] == [False, look == 1]


def test_the_seeds_of_a_chosen_recipe_are_one_look(ledger: Ledger) -> None:
    seeds = [replace(LOOK, seed=seed, weights=f"{seed}", together="chosen") for seed in range(3)]
    assert [ledger.record_look("source", one).look for one in [*seeds, seeds[0], LOOK]] == [1, 1, 1, 1, 2]
    # Other weights with a seed that has looked are another try; and so is another recipe that was chosen.
    assert ledger.record_look("source", replace(seeds[1], weights="retrained")).look == 3
    assert ledger.record_look("source", replace(seeds[1], weights="other", together="another")).look == 4
    looks = ledger.looks()
    assert [one.joins for one in looks] == [False, True, True, False, False, False, False]
    assert sum(one.is_new for one in looks) == 4


def test_two_openings_by_hand_are_two_looks(ledger: Ledger) -> None:
    by_hand = Intent("digits", 360, "a look", fingerprint="pixels")
    assert [ledger.record_look("source", by_hand).look for _ in range(2)] == [1, 2]
