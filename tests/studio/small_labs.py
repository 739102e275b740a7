"""Labs on digits that take seconds, in place of those that come with Fitting Room, also in processes of their own."""

from __future__ import annotations

from pathlib import Path

LAB = """
title = "{title}"
number = {number}
seconds = 12
question = "Are `16` better?"
explanation = "So it is."
next = "Go on."

[predict]
ask = "And the accuracy?"
answers = ["It falls", "It rises"]
claim = 1
bounds = [0]

[picture]
kind = "accuracy"

[[experiment]]
dataset = "digits"
seeds = 3
set.epochs = {epochs}
vary.hidden = [2, 16]

[[claim]]
says = "16 are better than 2."
measure = "accuracy"
arm = "hidden=16"
than = "hidden=2"
expected = "higher"
"""
# Python imports a module of this name at its start.
CUSTOM = "import pathlib, fittingroom.labs.lab_description as it\nit.TEXTS = pathlib.Path({folder!r})\n"


def small_labs(place: Path) -> dict[str, str]:
    """Writes the labs `sizes`, and `long`, which hardly ends; the environment for a studio that has them."""
    for name, title, number, epochs in (("sizes", "Sizes", 1, 40), ("long", "<b>Long</b>", 2, 100_000)):
        text = LAB.format(title=title, number=number, epochs=epochs)
        (place / f"0{number}-{name}.toml").write_text(text)
    (place / "sitecustomize.py").write_text(CUSTOM.format(folder=str(place)))
    return {"PYTHONPATH": str(place)}
