"""`ServedModel`: the model that a server answers with, and its card: what it is, its scores, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.answers.out_of_distribution import FALSE_ALARMS
from fittingroom.answers.predictor import Predictor
from fittingroom.answers.recalibration import ALPHA
from fittingroom.api.run import Run
from fittingroom.errors import DataError, RunError
from fittingroom.photos.conversion import Style
from fittingroom.photos.second_opinion import SecondOpinion
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.json_files import plain
from fittingroom.runs.looks import Standings
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.serving.limits import LIMITS


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A run, ready to answer; its folder is not needed again.

    Args:
        path: the folder that it was read from.
        paths: that of each seed.
        records: what each says.
        style: how the training images were made, or why that is not known.
        predictor: what answers, in memory.
        model_card: the Markdown of `fittingroom card`, as the run was when it was read.
    """

    path: Path
    paths: tuple[Path, ...]
    records: tuple[RunRecord, ...]
    style: Style | str
    predictor: Predictor
    model_card: str

    @classmethod
    def of(cls, opened: Run) -> ServedModel:
        """Reads and fits all that an answer takes.

        Raises:
            RunError: a file of it is damaged.
        """
        runs = list(opened)
        predictor = opened.predictor.load()
        paths, records = tuple(run.path for run in runs), tuple(run.record for run in runs)
        card = opened.card().markdown
        return cls(opened.path, paths, records, _style(opened, predictor.data), predictor, card)

    @property
    def data(self) -> DataRecord:
        """What it was trained on."""
        return self.predictor.data

    def card(self) -> dict[str, Any]:
        """The card as plain JSON; scores are of each seed, those on the test set with their look at it."""
        first, data, standings = self.records[0], self.data, Standings()
        seeds = [_seed(*each, standings) for each in zip(self.paths, self.records, strict=True)]
        facts: dict[str, Any] = plain(
            {
                "version": self.predictor.version,
                "run": self.path.name,
                "recipe": {"name": first.recipe["name"], "settings": dict(first.recipe)},
                "classes": list(data.classes),
                "image_shape": list(data.image_shape),
                "dataset": {"name": data.public_name, "counts": dict(data.counts), "fingerprint": data.fingerprint},
                "per_seed": seeds,
                "answers": self._answers(),
                "limits": {
                    "meaning": self._meaning(),
                    "body_bytes": LIMITS.body_bytes,
                    "json_bytes": LIMITS.json_bytes,
                    "images": LIMITS.images,
                    "photos": LIMITS.photos,
                },
                "model_card": "/v1/card",
                "created": max(record.created for record in self.records),
                "fittingroom": first.environment.versions.get("fittingroom"),
            }
        )
        return facts

    def _answers(self) -> dict[str, Any]:
        """How answers were calibrated on held-out images."""
        judgement = self.predictor.judgement
        return {
            "temperature": judgement.temperature,
            "held_out": len(judgement.conformal.scores),
            "coverage": 1 - ALPHA if len(judgement.conformal.scores) else None,
            "unlike": "none" if judgement.unlike is None else _COMPARED[judgement.compared],
            "false_alarms": None if judgement.unlike is None else FALSE_ALARMS,
            "photos_made": None if judgement.label_shift is None else len(judgement.label_shift.conformal.scores),
        }

    def _meaning(self) -> list[str]:
        """What an answer does not say."""
        data, judgement = self.data, self.predictor.judgement
        found = [
            f"It knows the {len(data.classes)} classes of {data.public_name} and nothing else; its scores are those "
            "of images like the training images, and photographs of another origin are harder."
        ]
        if not len(judgement.conformal.scores):
            return [*found, "No images were held out: probabilities are not calibrated, and sets contain all classes."]
        found.append(
            f"`set` contains the right class for {1 - ALPHA:.0%} of images like the training images, on average over "
            "all of them: not for each class, and not for photographs of another origin."
        )
        if judgement.label_shift is not None:
            found.append(
                "The foreground of a photo has probabilities and a set that were fitted on synthetic photos made from "
                "held-out images. Real photos are harder, so their sets contain the right class less often."
            )
            found += _second_meaning(self.predictor.second_opinion)
        if judgement.unlike is not None:
            found.append(
                f"`unlike` is also true for about {FALSE_ALARMS:.0%} of images like the training images, and false for "
                "some that are unlike them."
            )
        return found


def _second_meaning(second: SecondOpinion | str | None) -> list[str]:
    """What is to be known of second opinions, if there is anything."""
    if second is None or isinstance(second, str):
        return [] if second is None else [f"{second}."]
    return [
        f"A photo gets a second opinion by {second.backbone.title}, trained on {second.backbone.trained_on}: "
        "`probabilities` and `set` are those of both together, which no image was held out to check, and `unlike` is "
        "true where they agree that it is something else, or where no class is more likely than all others together."
    ]


_COMPARED = {
    "shape": "HOG features and probability",
    "features": "features of the backbone and probability",
    None: "probability",
}


def _style(opened: Run, data: DataRecord) -> Style | str:
    height, width = (*data.picture_shape, 0, 0)[:2]
    if data.load is None:
        return (
            "the model was trained on plain arrays, so it is not known how to convert photos to images like them. Send "
            + (f"pictures of {width}×{height} pixels, or " if data.takes_pictures else "")
            + "numbers as in training, as JSON."
        )
    try:
        return opened.style
    except (DataError, RunError) as error:
        return (
            "the training dataset cannot be loaded, so photos cannot be converted to images like it. Send pictures of "
            f"{width}×{height} pixels. ({error})"
        )


def _seed(path: Path, record: RunRecord, standings: Standings) -> dict[str, Any]:
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
