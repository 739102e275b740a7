"""Keeps every test away from the user's own folders and settings.

The environment is set before any test module is imported, because Keras reads its own at import.
Subprocesses inherit it.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine pauses for longer than Hypothesis lets one example take.
settings.register_profile("fittingroom", deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """Gives the session folders for cache, runs and Keras of its own, a ledger, and JAX as Keras's backend.

    The processes of `--numprocesses` share the cache folder. What JAX compiles stays in pytest's own cache, so that the
    next session need not compile it again: in a fresh clone nothing is there, and `make clean` empties it.
    """
    session = tempfile.TemporaryDirectory(prefix="fittingroom-tests-")
    config.add_cleanup(session.cleanup)
    os.environ["FITTINGROOM_LEDGER"] = str(Path(session.name, "ledger.sqlite"))
    os.environ["FITTINGROOM_RUNS_DIR"] = str(Path(session.name, "runs"))
    os.environ["KERAS_BACKEND"] = "jax"
    if not hasattr(config, "workerinput"):
        for variable, folder in {"FITTINGROOM_CACHE_DIR": "cache", "KERAS_HOME": "keras"}.items():
            path = Path(session.name, folder)
            path.mkdir()
            os.environ[variable] = str(path)
        if getattr(config, "cache", None) is not None:  # pytest has none with -p no:cacheprovider
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("compiled"))
            os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
            os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    settings.load_profile("fittingroom")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leaves what the test modules import out of each later search for garbage, which took a second for each model.

    Raises:
        pytest.UsageError: the name of a test holds an address in memory. Processes that share the tests would each have
            another one, and `--numprocesses` ends with "Different tests were collected".
    """
    if unstable := [item.nodeid for item in session.items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"Give `ids` to what these tests are parametrized with: {', '.join(unstable)}")
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Lets what was imported be cleared at the end; else extension modules complain of leaks."""
    gc.unfreeze()


@pytest.fixture
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs of the test go that name no folder; its looks go into a ledger of its own."""
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def quick_compiler(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compiles with fewer of XLA's optimizations, here and in the processes that are started from here.

    Compiling is most of what trainings of a few images wait for. This is for modules whose promises hold whatever the
    compiler makes of a program: what is written, said or refused, and numbers within a tolerance. Where different
    programs must give equal bits, they are compiled as for users. So is everything in `make test-all`.
    """
    import jax

    if request.config.option.markexpr == "":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # other modules must not go on with programs that were compiled so
