"""Runs tests of Keras's own wheel with plain Keras and with `fr.accelerate()`, and says which differ.

Usage: python -m benchmarks.keras_suites [FOLDER ...]

Folders are those of keras/src, such as layers/core. By default those of trainers, callbacks and the JAX backend run,
which takes about five minutes. Tests that fail both times fail for want of TensorFlow, PyTorch, Grain or Orbax.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

DEFAULT = ("trainers", "callbacks", "backend/jax")
DEVICES = "8"  # of the CPU: some tests ask for four

PLUGIN = """
import os
import fittingroom

def pytest_configure(config):
    for marker in ("requires_trainable_backend", "multi_device"):
        config.addinivalue_line("markers", marker)
    if os.environ["ACCELERATED"] == "1":
        fittingroom.accelerate(out=False)
"""
CONFTEST = """
import pytest
from keras.src.backend import backend

def skip_if_backend(given, reason):
    return pytest.mark.skipif(backend() == given, reason=reason)
"""  # Keras's tests import it from the root of its repository, which the wheel lacks


def main(folders: list[str]) -> None:
    """Prints how many tests pass either way, and each that passes with plain Keras alone."""
    plain, accelerated = (results(folders or list(DEFAULT), on=on) for on in (False, True))
    for title, found in (("plain Keras", plain), ("fr.accelerate()", accelerated)):
        counted = Counter(found.values()).most_common()
        print(f"{title}: {', '.join(f'{count:,} {kind}' for kind, count in counted)}")
    passing = [name for name, result in plain.items() if result == "PASSED"]
    differing = sorted(name for name in passing if accelerated.get(name) != "PASSED")
    print(f"{len(differing)} of {len(passing):,} pass with plain Keras alone")
    for name in differing:
        print(f"  {name}")


def results(folders: list[str], *, on: bool) -> dict[str, str]:
    """Name of a test -> PASSED, FAILED, SKIPPED or ERROR."""
    import keras

    root = Path(keras.__file__).parent / "src"
    files = [str(path) for folder in folders for path in sorted((root / folder).glob("*_test.py"))]
    with tempfile.TemporaryDirectory() as place:
        Path(place, "accelerated.py").write_text(PLUGIN, encoding="utf-8")
        Path(place, "conftest.py").write_text(CONFTEST, encoding="utf-8")
        environment = {
            **os.environ,
            "ACCELERATED": str(int(on)),
            "KERAS_BACKEND": "jax",
            "JAX_NUM_CPU_DEVICES": DEVICES,
            "PYTHONPATH": os.pathsep.join([place, str(Path(__file__).parents[1] / "src")]),
        }
        command = [sys.executable, "-m", "pytest", "-p", "accelerated", "-p", "no:cacheprovider", "-c", os.devnull]
        options = ["--rootdir", str(root), "-v", "--tb=no", "--no-header", "--continue-on-collection-errors"]
        done = subprocess.run(
            [*command, *options, *files], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
    found = re.findall(r"^(\S+::\S+) (PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)", done.stdout, re.MULTILINE)
    if not found:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return {name.rpartition("/")[2]: result for name, result in found}


if __name__ == "__main__":
    main(sys.argv[1:])
