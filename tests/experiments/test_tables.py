"""The tables of an experiment as other programs read them."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fittingroom as fr
from fittingroom.experiments.experiment import Experiment
from fittingroom.experiments.summary import ColumnKind, TypedTable, _cells_table
from fittingroom.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("quick_compiler")

KINDS: dict[str, ColumnKind] = {"name": "text", "epoch": "integer", "loss": "float"}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | TEXTS,
            "epoch": st.none() | st.integers(-(2**63), 2**63 - 1),
            "loss": st.none() | st.floats(),
        }
    ),
    max_size=5,
)


def read_parquet(path: Path) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    """Types of the columns by name, and the rows, as DuckDB reads them."""
    with duckdb.connect() as connection:
        found = connection.execute("select * from read_parquet(?)", [str(path)])
        assert found.description is not None
        return {name: str(kind) for name, kind, *_ in found.description}, found.fetchall()


def as_csv(rows: list[tuple[Any, ...]]) -> list[list[str]]:
    return [["" if value is None else str(value) for value in row] for row in rows]


@settings(max_examples=50)
@given(ROWS)
def test_parquet_holds_what_csv_holds(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    table = TypedTable(KINDS, rows)
    path = tmp_path_factory.getbasetemp() / "table.parquet"
    path.write_bytes(table.parquet())
    kinds, found = read_parquet(path)
    assert kinds == {"name": "VARCHAR", "epoch": "BIGINT", "loss": "DOUBLE"}
    header, *lines = csv.reader(io.StringIO(table.csv().decode(), newline=""))
    assert header == list(KINDS)
    assert as_csv(found) == lines
    floats = [row[2] for row in found]
    assert [math.isnan(value) if value is not None else None for value in floats] == [
        math.isnan(row["loss"]) if row["loss"] is not None else None for row in rows
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    base = Recipe(name="sgd", hidden=(8,), activation="linear", optimizer="sgd", epochs=2)
    vary: dict[str, list[Any]] = {"learning_rate": [1e9, 0.1], "hidden": [(8,), (8, 4)]}
    return fr.experiment("digits", base, vary=vary, seeds=1, out=tmp_path_factory.mktemp("finished") / "one")


def test_the_tables_of_an_experiment_are_the_same_in_both_forms(finished: Experiment) -> None:
    for path in (finished.epochs_csv, finished.cells_csv):
        _, found = read_parquet(path.with_suffix(".parquet"))
        header, *lines = csv.reader(io.StringIO(path.read_text(), newline=""))
        kinds, _ = read_parquet(path.with_suffix(".parquet"))
        assert list(kinds) == header
        numbers = {name for name, kind in kinds.items() if kind == "DOUBLE"}
        for row, line in zip(as_csv(found), lines, strict=True):
            for name, value, text in zip(header, row, line, strict=True):
                assert float(value) == float(text) if name in numbers and text else value == text


def test_a_reason_is_one_line(finished: Experiment) -> None:
    state = replace(finished.cells[0], reason="first\r\nsecond\rthird")
    (row,) = _cells_table(finished.plan, [state]).rows
    assert row["reason"] == "first second third"


def test_numbers_are_numbers_and_what_is_not_there_is_null(finished: Experiment) -> None:
    kinds, found = read_parquet(finished.cells_csv.with_suffix(".parquet"))
    wanted = {"seed": "BIGINT", "learning_rate": "DOUBLE", "hidden": "VARCHAR", "reason": "VARCHAR"}
    assert wanted.items() <= kinds.items()
    reasons = [row[list(kinds).index("reason")] for row in found]
    assert ["NaN" in str(reason) for reason in reasons] == [True, True, False, False]
    assert reasons[2:] == [None, None]
