"""The model that a server answers with, and what is to be told about it.

The model's card: what it is, what it reached, and what it cannot be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.answers.out_of_distribution import FALSE_ALARMS, ShapeDetector
from fittingroom.answers.predictor import Predictor
from fittingroom.answers.recalibration import ALPHA
from fittingroom.api.run import Run
from fittingroom.errors import DataError, RunError
from fittingroom.photos.style import Style
from fittingroom.runs.json_files import plain
from fittingroom.runs.ledger_reuse import Standings
from fittingroom.runs.record import DataRecord, PartResult, RunRecord
from fittingroom.serving.limits import LIMITS


@dataclass(frozen=True, eq=False)
class Model:
    """A run, or replicas that answer together, ready to answer.

    Args:
        path: the folder that it was read from, which is not needed again.
        paths: the folder of each replica, or the run's own.
        records: what it says.
        style: how the images that it was trained on were made, or why that is not known.
        predictor: what answers, in memory.
    """

    path: Path
    paths: tuple[Path, ...]
    records: tuple[RunRecord, ...]
    style: Style | str
    predictor: Predictor

    @classmethod
    def of(cls, opened: Run) -> Model:
        """Reads and fits all that an answer takes.

        Raises:
            RunError: a file of it is damaged.
        """
        runs = list(opened)
        predictor = opened.predictor.load()
        paths, records = tuple(run.path for run in runs), tuple(run.record for run in runs)
        return cls(opened.path, paths, records, _style(opened, predictor.data), predictor)

    @property
    def data(self) -> DataRecord:
        """What it was trained on."""
        return self.predictor.data


def _style(opened: Run, data: DataRecord) -> Style | str:
    height, width = (*data.picture_shape, 0, 0)[:2]
    if data.load is None:
        return (
            "this model was trained on plain arrays, so it is not known how photos become what it takes. Send "
            + (f"pictures of {width}×{height} pixels, or " if data.takes_pictures else "")
            + "numbers as in training, as JSON."
        )
    try:
        return opened.style
    except (DataError, RunError) as error:
        return (
            f"the dataset that the model was trained on is not there any more, so photos cannot be made like it: send "
            f"pictures of {width}×{height} pixels. ({error})"
        )


def card(model: Model) -> dict[str, Any]:
    """All of it as plain JSON; scores are of each replica, those on the test set with their look at it."""
    first, data, standings = model.records[0], model.data, Standings()
    facts: dict[str, Any] = plain(
        {
            "version": model.predictor.version,
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
        test = {
            **{name: score.get(name) for name in ("accuracy", "interval", "loss", "count")},
            "time": found[0].time,
            "look": standing.look,
            "looks": standing.reuse.looks,
            "luck": standing.reuse.caution(score["accuracy"], score["count"]),
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
    judgement = model.predictor.judgement
    return {
        "temperature": judgement.temperature,
        "held_out": len(judgement.conformal.scores),
        "coverage": 1 - ALPHA if len(judgement.conformal.scores) else None,
        "unlike": "none"
        if judgement.unlike is None
        else ("HOG features and probability" if isinstance(judgement.unlike, ShapeDetector) else "probability"),
        "false_alarms": None if judgement.unlike is None else FALSE_ALARMS,
        "photos_made": None if judgement.label_shift is None else len(judgement.label_shift.conformal.scores),
    }


def _meaning(model: Model) -> list[str]:
    """What an answer does not say."""
    data, judgement = model.data, model.predictor.judgement
    found = [
        f"It knows the {len(data.classes)} classes of {data.name} and nothing else; scores are of images like its own, "
        "and photographs of another origin are harder."
    ]
    if not len(judgement.conformal.scores):
        return [*found, "No images were held out: probabilities are not calibrated, and sets contain all classes."]
    found.append(
        f"`set` contains the right class for {1 - ALPHA:.0%} of images like the training images, on average over all "
        "of them: not for each class, and not for photographs of another origin."
    )
    if judgement.label_shift is not None:
        found.append(
            "The foreground of a photo has probabilities and a set that were fitted on synthetic photos made from "
            "held-out images. Real photos are harder, so their sets contain the right class less often."
        )
    if judgement.unlike is not None:
        found.append(
            f"`unlike` is also true for about {FALSE_ALARMS:.0%} of images like the training images, and false for "
            "some that are unlike them."
        )
    return found
