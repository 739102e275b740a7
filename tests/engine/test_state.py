"""Keras variables and JAX arrays meet in one module, and neither side holds the memory of the other."""

from __future__ import annotations

import ast
from pathlib import Path

import jax
import numpy as np
import pytest

import fittingroom
from fittingroom.engine.state import State
from tests.engine import models
from tests.engine.images import Images

SOURCE = Path(fittingroom.__file__).parent


def crossings(path: Path) -> list[int]:
    """Lines that read `.value` or call `.assign`: how Keras variables are read and written."""
    tree = ast.parse(path.read_text())
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("value", "assign", "_value")
    ]


def test_only_one_module_reads_and_writes_keras_variables() -> None:
    modules = [path for path in SOURCE.rglob("*.py") if "keras" in path.read_text() and crossings(path)]
    names = [path.relative_to(SOURCE).as_posix() for path in modules]
    # Backbones are filled with weights from files, in NumPy's arrays, before there is any state.
    assert [name for name in names if not name.startswith("backbones/")] == ["engine/state.py"]


def test_what_is_written_to_a_model_is_read_again_and_is_a_copy(digits: Images) -> None:
    model = models.small()
    model.fit(digits.x, digits.y, verbose=0)
    state = jax.tree.map(lambda value: np.asarray(value) * 0, State.of(model))
    other = jax.device_put(state)
    other.write_to(model)
    for mine, read in zip(jax.tree.leaves(other), jax.tree.leaves(State.of(model)), strict=True):
        np.testing.assert_array_equal(mine, read)
    model.fit(digits.x, digits.y, verbose=0)  # Keras gives the memory of the variables away
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(other))


def test_a_state_of_another_model_is_refused() -> None:
    model = models.small()
    with pytest.raises(ValueError, match="zip"):
        State.of(model)._replace(trainable=()).write_to(model)
