"""`python -m fittingroom` is the command `fittingroom`."""

from __future__ import annotations

from fittingroom.cli.main import console

console()
