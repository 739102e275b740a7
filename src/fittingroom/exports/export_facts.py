"""What an export knows of its run, as plain JSON: it stands in the metadata of files, and beside them in folders.

Nothing in it is of this machine: no path, no time, no name of a user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import ConfidenceDetector, NeighbourDetector
from fittingroom.answers.recalibration import ALPHA, conformal_quantile
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.evaluation.estimate import accuracy_interval
from fittingroom.runs.record import PartResult, RunRecord

Array = np.ndarray[Any, Any]

FORMAT = 1
"""Of the facts; raised when a field means something else."""


def export_facts(run: str, records: Sequence[RunRecord], weights_sha256: str, judgement: Judgement) -> dict[str, Any]:
    """The facts of a run.

    Args:
        run: its name, without folders.
        records: of each seed.
        weights_sha256: hash of the weights of all seeds.
        judgement: what held-out images teach.
    """
    from fittingroom import __version__

    first = records[0]
    data, recipe = first.data, first.recipe
    return {
        "format": FORMAT,
        "made_by": f"fittingroom {__version__}",
        "run": run,
        "recipe": str(recipe["name"]),
        "seeds": [record.seed for record in records],
        "test_views": list(recipe.get("test_views") or ()),
        "weights_sha256": weights_sha256,
        "dataset": data.public_name,
        "class_names": list(data.classes),
        "image_shape": list(data.image_shape),
        "image_type": "float32" if data.as_given else "uint8",
        "image_values": {"lowest": data.range.lowest, "highest": data.range.highest},
        "scale": data.scale,
        "temperature": judgement.temperature,
        "sets": _sets(judgement),
        "refusal": _refusal(judgement),
        "trained": _parts([record.train for record in records]),
        "validation": _parts([record.validation for record in records]),
        "licences": _licences(data.name, recipe.get("backbone")),
    }


def accuracy_facts(answers: Array, labels: Array) -> dict[str, Any]:
    """How often answers are right: `images`, `accuracy` and its 95% `interval`.

    Args:
        answers: probabilities `(n, classes)`.
        labels: true classes, `(n,)`.
    """
    correct = answers.argmax(axis=1) == labels
    return {
        "images": len(labels),
        "accuracy": float(correct.mean()),
        "interval": list(accuracy_interval(correct[None])),
    }


def _sets(judgement: Judgement) -> dict[str, Any] | None:
    """Which classes are in the set of an image: those whose -ln p is no larger than `most_surprise`; None for all."""
    if not len(judgement.conformal.scores):
        return None
    most = conformal_quantile(judgement.conformal.scores, ALPHA)
    return {"coverage": 1 - ALPHA, "most_surprise": most if np.isfinite(most) else None}


def _refusal(judgement: Judgement) -> dict[str, Any] | None:
    """What an image is refused by: its `rarity`, or, where no images are compared, the ln of its probability."""
    unlike = judgement.unlike
    if isinstance(unlike, NeighbourDetector):
        return {"by": f"rarity of its {judgement.compared}", "least": unlike.threshold}
    if isinstance(unlike, ConfidenceDetector):
        return {"by": "ln of the largest probability", "least": unlike.threshold}
    return None


def _parts(results: Sequence[PartResult | None]) -> dict[str, Any] | None:
    """Means over the seeds."""
    found = {name: spread.mean for name, spread in PartResult.spreads(results).items()}
    return found or None


def _licences(dataset: str, backbone: Any) -> Mapping[str, str | None]:
    known = CATALOGUE.get(dataset)
    found: dict[str, str | None] = {"data": None if known is None else known.info.licence}
    if isinstance(backbone, str):
        from fittingroom.backbones.backbone import find_backbone

        found["backbone"] = find_backbone(backbone).licence
    return found
