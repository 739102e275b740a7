"""One short training of the digits, and one server that most tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import fittingroom
from tests.serving.serving import Serving, serving

LEDGER = "ledger.sqlite"


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows the digits a little."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_RUNS_DIR", str(folder / "runs"))
        patch.setenv("FITTINGROOM_LEDGER", str(folder / LEDGER))
        run = fittingroom.train("digits")
        run.evaluate("for its card")
    return run.path


@pytest.fixture(scope="session")
def server(digits_run: Path) -> Iterator[Serving]:
    """A server of that run. Each test leaves it alive."""
    ledger = {"FITTINGROOM_LEDGER": str(digits_run.parent.parent / LEDGER)}
    with serving(digits_run, environment=ledger) as running:
        yield running


@pytest.fixture(autouse=True)
def alive(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that used the shared server, it still answers."""
    yield
    if "server" in request.fixturenames:
        shared: Serving = request.getfixturevalue("server")
        assert shared.get("/healthz").status == 200
