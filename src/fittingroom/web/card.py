"""The model's card: what it is, what it reached, and what it cannot be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fittingroom.evaluation.conformal import ALPHA
from fittingroom.evaluation.luck import WORLD
from fittingroom.evaluation.unlike import FALSE_ALARMS, UnlikeByOutlineAndDoubt
from fittingroom.runs.ledger_reuse import Standings
from fittingroom.runs.plain import plain
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.web.limits import LIMITS
from fittingroom.web.model import Model


def card(model: Model) -> dict[str, Any]:
    """All of it as plain JSON; scores are of each replica, those on the test set with their look at it."""
    first, data, standings = model.records[0], model.data, Standings()
    facts: dict[str, Any] = plain(
        {
            "version": model.loaded.version,
            "run": model.path.name,
            "recipe": {"name": first.recipe["name"], "settings": dict(first.recipe)},
            "classes": list(data.classes),
            "image_shape": list(data.image_shape),
            "dataset": {"name": data.name, "counts": dict(data.counts), "fingerprint": data.fingerprint},
            "replicas": [
                _replica(path, record, standings) for path, record in zip(model.paths, model.records, strict=True)
            ],
            "answers": _answers(model),
            "limits": {
                "meaning": _meaning(model),
                "body_bytes": LIMITS.body_bytes,
                "json_bytes": LIMITS.json_bytes,
                "images": LIMITS.images,
                "photos": LIMITS.photos,
            },
            "created": max(record.created for record in model.records),
            "fittingroom": first.environment.versions.get("fittingroom"),
        }
    )
    return facts


def _replica(path: Path, record: RunRecord, standings: Standings) -> dict[str, Any]:
    found = standings.scored(path, record)
    test: dict[str, Any] | None = None
    if found is not None and found[0].score is not None:
        score, standing = found[0].score, found[1]
        sentence = standing.reuse.sentence(score["accuracy"], score["count"])
        test = {
            **{name: score.get(name) for name in ("accuracy", "interval", "loss", "count")},
            "time": found[0].time,
            "look": standing.look,
            "looks": standing.reuse.looks,
            "luck": f"{sentence}; {WORLD}",
        }
        if standing.problem is not None:
            test = {"problem": standing.problem}
    return {"seed": record.seed, "status": record.status, "validation": _part(record.validation), "test": test}


def _part(part: PartResult | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {
        "accuracy": part.accuracy,
        "interval": None if part.interval is None else list(part.interval),
        "loss": part.loss,
        "count": part.count,
    }


def _answers(model: Model) -> dict[str, Any]:
    """How answers were fitted, on images that were held out from training."""
    judgement = model.loaded.judgement
    return {
        "temperature": judgement.temperature,
        "held_out": len(judgement.conformal.scores),
        "coverage": 1 - ALPHA if len(judgement.conformal.scores) else None,
        "unlike": "none"
        if judgement.unlike is None
        else ("outline and probability" if isinstance(judgement.unlike, UnlikeByOutlineAndDoubt) else "probability"),
        "false_alarms": None if judgement.unlike is None else FALSE_ALARMS,
        "photos_made": None if judgement.correction is None else len(judgement.correction.conformal.scores),
    }


def _meaning(model: Model) -> list[str]:
    """What an answer does not say."""
    data, judgement = model.data, model.loaded.judgement
    found = [
        f"It knows the {len(data.classes)} classes of {data.name} and nothing else; scores are of images like its own, "
        "and photographs of another origin are harder."
    ]
    if not len(judgement.conformal.scores):
        return [*found, "No image was held out: probabilities are the model's own word, and sets hold all classes."]
    found.append(
        f"`set` holds the right class for {1 - ALPHA:.0%} of images like the training data, on average over all of "
        "them: not for each class, and not for photographs of another origin."
    )
    if judgement.correction is not None:
        found.append(
            "What is cut out of a photo has probabilities and a set that were fitted on photos made of images held out "
            "from training. Real ones are harder, so their sets hold the right class less often."
        )
    if judgement.unlike is not None:
        found.append(
            f"`unlike` is true for about {FALSE_ALARMS:.0%} of images like the training data, too, and misses some "
            "that are unlike it."
        )
    return found
