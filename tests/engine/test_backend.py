"""Keras runs on JAX, or it is said how to get there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a fresh process says that had no backend chosen for it."""
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("call", ["fr.fit(None, [[1.0]], [0])", "fr.train('digits', fr.Recipe(hidden=(3,)))"])
def test_a_backend_that_is_not_installed_is_named_with_the_mend(call: str, tmp_path: Path) -> None:
    process = python(
        f"import fittingroom as fr; {call}", KERAS_BACKEND="tensorflow", FITTINGROOM_CACHE_DIR=str(tmp_path)
    )
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith("fittingroom.errors.InputError: Keras is configured for a backend")
    assert "whose package 'tensorflow' is not installed" in last
    assert "set the environment variable KERAS_BACKEND=jax" in last
    assert process.returncode == 1


BACKEND = """
from fittingroom.engine.devices import require_jax_backend
require_jax_backend()
import keras
print(keras.config.backend())
"""


def test_importing_fittingroom_first_chooses_jax_in_spite_of_a_settings_file(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    process = python(f"import fittingroom\n{BACKEND}", KERAS_HOME=str(tmp_path))
    assert process.stdout == "jax\n"


def test_keras_may_be_imported_first_where_jax_is_its_backend() -> None:
    assert python(f"import keras, fittingroom\n{BACKEND}", KERAS_BACKEND="jax").stdout == "jax\n"


def test_another_backend_that_is_active_is_named_with_the_mend() -> None:
    process = python(f"import keras, fittingroom\n{BACKEND}", KERAS_BACKEND="numpy")
    last = process.stderr.strip().splitlines()[-1]
    assert "Keras runs on its numpy backend, but Fitting Room trains on JAX. Import fittingroom before keras" in last
