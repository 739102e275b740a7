"""The tables from another network's classes to a dataset's: whole, reasoned, and read strictly."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fittingroom.data import class_table
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.class_table import ClassTable
from fittingroom.errors import DataError

FOLDER = Path(class_table.__file__).with_name("class_tables")
KINDS = ("means", "something_else", "says_nothing")
FASHION = ClassTable.known()["fashion-mnist"]


def certain(index: int) -> NDArray[np.float64]:
    """The probabilities of a network that is sure of one of its classes."""
    return np.asarray(np.eye(1000)[index], np.float64)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_row_has_a_reason_and_goes_to_classes_of_the_dataset(path: Path) -> None:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert content["dataset"] == path.stem
    rows = [row for kind in KINDS for row in content[kind]]
    assert all(row["reason"] and row["words"] for row in rows)
    for kind in KINDS:
        assert [row["index"] for row in content[kind]] == sorted(row["index"] for row in content[kind])
    table = ClassTable.read(path)
    np.testing.assert_allclose(table.weights.sum(axis=1), 1)
    assert (table.weights[:, : len(table.classes)].sum(axis=0) > 0).all(), "each class has a name that can mean it"


def test_a_name_that_can_mean_several_is_shared_and_one_that_says_nothing_is_spread() -> None:
    classes = list(FASHION.classes)
    assert FASHION.weights[474, [classes.index("Pullover"), classes.index("Coat")]].tolist() == [0.5, 0.5]
    cardigan = FASHION.opinion(certain(474), "a network")
    assert cardigan.seen == (("cardigan", 1.0),)
    names = FASHION.weights.sum(axis=0)
    pullover, coat = (cardigan.probabilities[classes.index(name)] for name in ("Pullover", "Coat"))
    assert pullover + coat == pytest.approx(1)
    assert pullover / coat == pytest.approx(names[classes.index("Coat")] / names[classes.index("Pullover")])
    velvet = FASHION.opinion(certain(885), "a network")
    np.testing.assert_allclose([*velvet.probabilities, velvet.something_else], 1 / 11)
    tabby = FASHION.opinion(certain(281), "a network")
    assert (tabby.something_else, tabby.seen) == (1.0, (("something that is not worn", 1.0),))


def test_a_class_with_many_names_is_no_likelier_for_that() -> None:
    shoes = [FASHION.classes.index(name) for name in ("Sneaker", "Ankle boot")]
    opinion = FASHION.opinion(0.5 * certain(770) + 0.5 * certain(514), "a network")  # a running shoe, a cowboy boot
    names = FASHION.weights.sum(axis=0)[shoes]
    np.testing.assert_allclose(opinion.probabilities[shoes] * names, opinion.probabilities[shoes[0]] * names[0])
    everything = FASHION.opinion(np.full(1000, 1 / 1000), "a network")
    np.testing.assert_allclose(everything.probabilities, everything.probabilities[0])


def test_names_that_are_not_listed_are_told_together() -> None:
    probabilities = 0.3 * certain(610) + 0.2 * certain(281) + 0.2 * certain(282) + 0.3 * certain(0)
    opinion = FASHION.opinion(probabilities, "a network")
    assert [name for name, _ in opinion.seen] == ["something that is not worn", "jersey"]
    np.testing.assert_allclose([share for _, share in opinion.seen], [0.7, 0.3])
    assert opinion.something_else == pytest.approx(0.7)


def test_a_table_is_for_exactly_the_classes_of_its_dataset() -> None:
    classes = CATALOGUE["fashion-mnist"].classes
    assert ClassTable.find(classes, "imagenet-1k") is FASHION
    assert ClassTable.find(list(classes), "imagenet-1k") is FASHION
    assert ClassTable.find(classes[::-1], "imagenet-1k") is None
    assert ClassTable.find(classes, "imagenet-21k") is None
    assert ClassTable.find(tuple("0123456789"), "imagenet-1k") is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('{ index = 1, words = "y", classes = ["Hat"], reason = "z" }', r"the class 1 means \['Hat'\]; expected some"),
        ('{ index = 1, words = "y", classes = [], reason = "z" }', "the class 1 means"),
        ('{ index = 0, words = "x", classes = ["Bag"], reason = "z" }', "the class 0 has two rows"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, row: str, expected: str) -> None:
    first = '{ index = 0, words = "x", classes = ["Bag"], reason = "z" }'
    head = 'dataset = "fashion-mnist"\nsource = "imagenet-1k"\nunlisted = "nothing"\n'
    path = tmp_path / "table.toml"
    path.write_text(f"{head}means = [{first}, {row}]\nsays_nothing = []\nsomething_else = []\n", encoding="utf-8")
    with pytest.raises(DataError, match=expected):
        ClassTable.read(path)
