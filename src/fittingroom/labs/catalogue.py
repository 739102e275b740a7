"""The labs that come with Fitting Room, and finding one, ours or not."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fittingroom.errors import InputError, UnknownNameError
from fittingroom.labs.description import Lab
from fittingroom.labs.labfile import read_lab

TEXTS = Path(__file__).with_name("texts")


def labs() -> tuple[Lab, ...]:
    """All labs of ours, in the order of their numbers."""
    return tuple(read_lab(path) for path in sorted(TEXTS.glob("*.toml")))


def find_lab(name: str | int) -> Lab:
    """The lab with a number or a name, or that in a TOML file.

    Raises:
        UnknownNameError: there is none of that name; the nearest is told.
        RecipeError: its file is missing, or makes no sense.
    """
    if isinstance(name, str) and name.endswith(".toml"):
        return read_lab(Path(name))
    found = {key: one for one in labs() for key in (str(one.number), one.name)}
    if str(name) not in found:
        raise UnknownNameError("lab", str(name), found)
    return found[str(name)]


def check_trust(found: Lab, *, trust: bool) -> None:
    """Makes sure that code which is not ours runs only if that was asked for.

    Raises:
        InputError: it was not.
    """
    ours = found.path.parent == TEXTS  # it came with Fitting Room, and is as trusted as the rest of that
    if found.codes and not ours and not trust:
        digest = hashlib.sha256(found.path.read_bytes()).hexdigest()
        raise InputError(
            f"{found.path} has Python code in it (SHA-256 of the file {digest}), and nothing of it was run. If you "
            "know this file, --trust runs it (in Python: trust=True)."
        )
