"""What `make bench-photos` counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.photos import (
    Mapped,
    Tally,
    covering,
    is_reported,
    photos_in,
    read_mapping,
    refusal_rows,
    rows_of,
    tally,
)
from fittingroom.answers.judgement import Answer

MAPPED = Mapped(
    {"tee": frozenset({"T-shirt/top"}), "long": frozenset({"Shirt", "Pullover"}), "boot": frozenset({"Ankle boot"}),
     "hat": frozenset()},
    frozenset({"boot"}),
)  # fmt: skip
PATHS = [Path(name, "x.jpg") for name in ("tee", "tee", "long", "boot", "hat")]
ANSWERS = ["T-shirt/top", "Bag", "Shirt", "Bag", "Bag"]


def test_any_class_that_is_right_for_a_photo_counts() -> None:
    assert tally(PATHS, ANSWERS, MAPPED, ["tee"]) == Tally(2, 2, 1)
    assert tally(PATHS, ANSWERS, MAPPED, ["tee", "long"]) == Tally(3, 3, 2)


def test_no_answer_is_neither_right_nor_answered() -> None:
    assert tally(PATHS, [None, *ANSWERS[1:]], MAPPED, ["tee"]) == Tally(2, 1, 0)


def test_classes_apart_are_left_out_of_the_first_row_and_unknown_ones_of_all() -> None:
    rows = rows_of(PATHS, [ANSWERS], MAPPED)
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("all", "3", "66.7%"),
        ("with boot", "4", "50.0%"),
        ("tee", "2", "50.0%"),
        ("long", "1", "100.0%"),
        ("boot", "1", "0.0%"),
    ]


def test_refusals_are_counted_and_accuracy_is_that_among_the_answered() -> None:
    rows = refusal_rows(PATHS, ["T-shirt/top", None, "Bag", None, None], MAPPED)
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        ("all", "3", "33.3%", "50.0%"),
        ("with boot", "4", "50.0%", "50.0%"),
        ("tee", "2", "50.0%", "100.0%"),
        ("long", "1", "0.0%", "0.0%"),
        ("boot", "1", "100.0%", ""),
        ("in no class", "1", "100.0%", ""),
        ("hat", "1", "100.0%", ""),
    ]


def test_sets_are_counted_that_hold_any_right_class_of_classes_that_exist() -> None:
    def answer(*names: str, unlike: bool = False) -> Answer:
        return Answer("Bag", 0.5, np.zeros(0, np.float32), names, unlike, "")

    answers = [answer("Bag", "T-shirt/top"), answer("Bag"), answer("Pullover", unlike=True), answer(), answer()]
    every, answered = covering(PATHS, answers, MAPPED)
    assert every.startswith("Sets of the 3 photos hold a right class for 66.7%")
    assert every.endswith("with 1.33 classes on average.")
    assert answered.startswith("Sets of the 2 photos not refused hold a right class for 50.0%")


def test_halves_are_by_the_hash_of_the_name_and_disjoint(tmp_path: Path) -> None:
    (tmp_path / "tee").mkdir()
    for number in range(40):
        (tmp_path / "tee" / f"{number}.jpg").write_bytes(b"")
    halves = [set(photos_in(tmp_path, MAPPED, half)) for half in ("report", "choose")]
    assert min(len(half) for half in halves) > 8
    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] == set(photos_in(tmp_path, MAPPED, "all"))
    assert all(is_reported(Path("elsewhere", path.name)) for path in halves[0])


def test_mapping_that_comes_with_it_names_classes_of_fashion_mnist() -> None:
    mapping = read_mapping(Path("benchmarks/photos.toml"))
    assert mapping.apart == {"shoes"}
    assert {"hat", "shorts", "skirt"} == set(mapping.right) - set(mapping.known)
    assert dataclasses.is_dataclass(mapping)
