from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fittingroom.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command line left: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output; anything else there is an error, and so are NaN and Infinity."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return dict(json.loads(self.out, parse_constant=refuse))


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process."""

    def run(*arguments: str | Path) -> Done:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # --help
            status = int(ended.code or 0)
        printed = capsys.readouterr()
        return Done(status, printed.out, printed.err)

    return run


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of runs that the tests of a module share, and a ledger."""
    folder = tmp_path_factory.mktemp("runs-of-module") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
        patch.setenv("FITTINGROOM_LEDGER", str(folder.parent / "ledger.sqlite"))
        yield folder
