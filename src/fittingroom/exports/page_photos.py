"""What a page has to know to convert photos and drawings and to judge answers, as `exports/page/*.js` read it.

Everything that takes long or needs training images is computed here: what photos and drawings are made like, the
silhouettes of training images, the features of held-out images, and what answers rest on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fittingroom.answers.out_of_distribution import FALSE_ALARMS, NeighbourDetector
from fittingroom.answers.predictor import Predictor
from fittingroom.answers.recalibration import ALPHA, Conformal, LabelShiftCalibration, conformal_quantile
from fittingroom.data.resizing import RESIZE_RULES
from fittingroom.errors import DataError, RunError
from fittingroom.photos.conversion import ForegroundStyle, Style
from fittingroom.photos.drawing import PenStyle

Array = np.ndarray[Any, Any]

_NO_SECOND = "In this page, unlike in the run, no second network is asked about photos."


def parts_of(predictor: Predictor) -> tuple[dict[str, Any], dict[str, Array]]:
    """Plain JSON, and arrays by name, in types that JavaScript has; 16-bit floats as their bits.

    Raises:
        RunError: a file of the run is damaged.
    """
    data, (pen, why_not) = predictor.data, predictor.pen
    style = _style_of(predictor)
    judgement, arrays = _judgement_facts(predictor)
    facts: dict[str, Any] = {
        "shape": list(data.picture_shape),
        "values": {
            "type": "float32" if data.as_given else "uint8",
            "black": data.range.black,
            "white": data.range.white,
            "whole": data.range.whole,
        },
        "photos": None,
        "drawing": None if pen is None else _drawing_facts(pen),
        "judgement": judgement,
        "pen": _pen_facts(predictor, pen, why_not),
        "photo": _photo_facts(predictor, style, pen),
    }
    if isinstance(style, Style):
        facts["photos"] = {"aspect": style.aspect, "rule": RESIZE_RULES[style.aspect], "foreground": None}
        if style.foreground is not None:
            facts["photos"]["foreground"] = _foreground_facts(style.foreground)
            silhouettes = style.foreground.silhouettes
            arrays["photos/silhouettes"] = _bits(silhouettes.values)
            arrays["photos/typical"] = _bits(silhouettes.typical)
    return facts, arrays


def _style_of(predictor: Predictor) -> Style | str | None:
    """How photos are converted; why that is not known; None where no picture of any size can be."""
    if not predictor.data.takes_pictures:
        return None
    try:
        return predictor.style
    except (DataError, RunError) as error:
        return str(error)


def _bits(silhouettes: Array) -> Array:
    return np.packbits(silhouettes.astype(np.uint8), axis=1)


def _foreground_facts(style: ForegroundStyle) -> dict[str, Any]:
    return {
        "background": style.background,
        "mean": style.mean,
        "deviation": style.deviation,
        "extent": style.extent,
        "by_mass": style.by_mass,
    }


def _drawing_facts(pen: PenStyle) -> dict[str, Any]:
    return {
        "foreground": None if pen.foreground is None else _foreground_facts(pen.foreground),
        "fills": pen.fills,
        "ink": pen.ink,
        "thickness": pen.thickness,
    }


def _pen_facts(predictor: Predictor, pen: PenStyle | None, why_not: str | None) -> dict[str, Any]:
    """What the view of drawings has to know, as `TryView.facts` has it."""
    return {
        "possible": pen is not None,
        "why_not": why_not,
        "fills": pen is not None and pen.fills,
        "thickness": None if pen is None else pen.thickness,
        "placed": pen is not None and pen.foreground is not None,
        "note": None if pen is None else pen.note(predictor.data.public_name),
    }


def _photo_facts(predictor: Predictor, style: Style | str | None, pen: PenStyle | None) -> dict[str, Any]:
    """What the view of photos has to know, as `TryView.facts` has it."""
    first = style is not None and (pen is None or (pen.foreground is None and pen.ink == 0))
    return {"possible": style is not None, "note": _photo_note(predictor, style), "first": first}


def _photo_note(predictor: Predictor, style: Style | str | None) -> str | None:
    if not isinstance(style, Style):
        return style
    second = None if style.foreground is None else predictor.second_opinion
    return style.note if second is None or isinstance(second, str) else f"{style.note} {_NO_SECOND}"


def _judgement_facts(predictor: Predictor) -> tuple[dict[str, Any], dict[str, Array]]:
    """What answers rest on."""
    data = predictor.data
    judgement = predictor.judgement
    unlike, arrays = judgement.unlike, {}
    facts: dict[str, Any] = {
        "dataset": data.public_name,
        "classes": list(data.classes),
        "image_shape": list(data.picture_shape),
        "scale": data.scale,
        "temperature": judgement.temperature,
        "calibrated": bool(len(judgement.conformal.scores)),
        "coverage": f"{100 * (1 - ALPHA):.0f}%",
        "usual": f"for {1 - FALSE_ALARMS:.0%} of held-out images",
        "most_surprise": _most_surprise(judgement.conformal),
        "label_shift": None if judgement.label_shift is None else _label_shift_facts(judgement.label_shift),
        "unlike": None if unlike is None else {"compared": judgement.compared, "threshold": _finite(unlike.threshold)},
    }
    if isinstance(unlike, NeighbourDetector):
        features = unlike.features
        arrays = {
            "judgement/features": features if features.dtype == np.uint8 else features.view(np.uint16),
            "judgement/classes": unlike.classes.astype(np.int32),
            "judgement/distances": unlike.held_out_distances,
            "judgement/surprises": unlike.surprises,
        }
    return facts, arrays


def _most_surprise(conformal: Conformal) -> float | None:
    """-ln of the smallest probability, nats, of a class in a set; None for sets of all classes."""
    return _finite(conformal_quantile(conformal.scores, ALPHA))


def _finite(number: float) -> float | None:
    """The number, as JSON has it: without infinity."""
    return number if math.isfinite(number) else None


def _label_shift_facts(shift: LabelShiftCalibration) -> dict[str, Any]:
    return {
        "sharpness": shift.sharpness,
        "shifts": shift.shifts.tolist(),
        "most_surprise": _most_surprise(shift.conformal),
    }
