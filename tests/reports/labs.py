"""Facts of labs made up, without a training: as `LabResult.to_dict()` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fittingroom.evaluation.spread import Spread

ERROR = "the model gives shape (28, 10), and a classifier gives (10,)"


def arm_facts(name: str, *, level: float = 0.88, run: Path | None = None, text: str = "") -> dict[str, Any]:
    """An arm of three seeds and four epochs.

    Args:
        name: of the arm.
        level: its accuracy.
        run: its folder.
        text: put into every text that could be another person's.
    """
    accuracies = [level - 0.01, level, level + 0.01]
    courses = [[accuracy * (1 - 0.2 / epoch) for epoch in range(1, 5)] for accuracy in accuracies]
    losses = [[1.4 - value for value in course] for course in courses]
    spreads = {"accuracy": accuracies, "loss": [course[-1] for course in losses], "seconds": [1.0, 1.5, 2.0]}
    spreads |= {"train_accuracy": [0.9, 0.91, 0.92], "overconfidence": [-0.01, 0.0, 0.02], "epochs": [4.0, 4.0, 4.0]}
    return {
        "name": name + text,
        "dataset": f"digits{text}",
        "code": None,
        "printed": "",
        "error": None,
        "seeds": [0, 1, 2],
        "measures": {measure: Spread.of(values).to_dict() for measure, values in spreads.items()},
        "parameters": 101770,
        "history": {"loss": losses, "val_loss": losses, "accuracy": courses, "val_accuracy": courses},
        "stops": [f"a callback stopped it{text}", None, f"a callback stopped it{text}"],
        "run": None if run is None else str(run),
    }


def refused_arm(name: str, text: str = "") -> dict[str, Any]:
    """An arm that could not be trained."""
    empty: dict[str, Any] = {"seeds": [], "measures": {}, "parameters": None, "history": {}, "stops": [], "run": None}
    code = f"model = keras.Sequential([\n    keras.Input((28, 28)),{text}\n])"
    return {**arm_facts(name, text=text), **empty, "error": f"{ERROR}{text}", "code": code}


def claim_facts(verdict: str = "supported", kind: str = "difference", text: str = "") -> dict[str, Any]:
    """A claim about two arms."""
    ends = {"difference": (0.91, [0.35, 1.47]), "ratio": (5.4, [4.9, 6.0]), "error": (1.0, None)}
    value, interval = ends[kind]
    return {
        "says": f"More neurons are `better`.{text}",
        "verdict": verdict,
        "sentence": f"hidden=512 against hidden=128: +0.91 points.{text}",
        "measure": {"difference": "accuracy", "ratio": "seconds", "error": ""}[kind],
        "unit": {"difference": "points", "ratio": "times", "error": None}[kind],
        "first": "hidden=512",
        "second": None if kind == "error" else "hidden=128",
        "within": None,
        "kind": kind,
        "value": value,
        "interval": interval,
        "p": 0.01,
    }


def lab_facts(
    kind: str = "accuracy", *, arms: list[dict[str, Any]] | None = None, text: str = "", **changed: Any
) -> dict[str, Any]:
    """A lab.

    Args:
        kind: of its picture.
        arms: two trained ones if not given.
        text: put into every text that could be another person's.
        changed: what is to be otherwise.
    """
    if arms is None:
        arms = [arm_facts("hidden=128", text=text), arm_facts("hidden=512", level=0.9, text=text)]
    claims = [
        claim_facts("supported", "difference", text),
        claim_facts("not supported", "ratio", text),
        claim_facts("no difference shown", "difference", text),
        {**claim_facts("supported", "error", text), "value": 1.0},
        {**claim_facts("not judged", "difference", text), "value": None, "interval": None, "p": None},
    ]
    return {
        "lab": "2",
        "name": f"neurons{text}",
        "title": f"More neurons{text}",
        "question": f"What happens with `512` neurons?{text}\n\nAnd with 1,024?",
        "course": f"It takes longer, but is more accurate.{text}",
        "prediction": {
            "ask": f"What happens?{text}",
            "choices": [f"It falls{text}", "It stays", "It rises"],
            "chosen": 1,
            "outcome": 2,
            "allowed": [],
        },
        "datasets": [f"digits{text}"],
        "left_out": [f"mnist was left out{text}"] if text else [],
        "seeds": [0, 1, 2],
        "arms": arms,
        "claims": claims,
        "picture": {"kind": kind, "arms": [], "text": f"Each dot is a seed.{text}"},
        "explanation": f"Each neuron looks at all pixels.{text}\n\nCompare the gain with its price.",
        "next": f"Give the small one as long: `epochs=5,10`.{text}",
        "command": f"fittingroom lab 2{text}",
        "environment": {
            "date": "2026-03-04T12:00:00.000+00:00",
            "machine": f"a processor{text}",
            "versions": {f"python{text}": f"3.13.1{text}"},
            "seconds": 12.3,
        },
        **changed,
    }
