"""Fits what a run's answers rest on, in a process of its own that lets others go first: `python -m … RUN_FOLDER`.

Answers to photos rest on 3,000 synthetic photos, which take fifteen seconds to make. The studio has that done when a
training has ended, while people look at its curves, so that nobody waits for it later. What is fitted lies in the
run's folder.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from fittingroom.errors import FittingRoomError

_MODULE = "fittingroom.api.prepare"


def prepare_command(run: Path, *, trust: bool) -> list[str]:
    """The command that prepares a run.

    Args:
        run: its folder.
        trust: whether a model file may be run.
    """
    return [sys.executable, "-m", _MODULE, str(run), *(["--trust"] if trust else [])]


def _prepare(arguments: list[str]) -> int:
    from fittingroom.api.open_runs import open_run

    with suppress(OSError, AttributeError):
        os.nice(10)  # 19 gets nothing at all on a machine that is busy
    try:
        _ = open_run(arguments[0], trust="--trust" in arguments[1:]).predictor.judgement
    except FittingRoomError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_prepare(sys.argv[1:]))
