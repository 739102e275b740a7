"""The claims of a lab as its page shows them: verdict, sentence, and the effect on a small axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fittingroom.reports.drawing.axes import Axis, Scale, Strip, linear_axis, log_axis, scale_of, strip
from fittingroom.reports.prose import Piece, pieces

Facts = Mapping[str, Any]

_SIGNS = {"supported": ("✓", "yes"), "not supported": ("✗", "no"), "no difference shown": ("≈", "open")}


@dataclass(frozen=True)
class Claim:
    """A claim and what came of it.

    Args:
        says: it.
        verdict: in words.
        sign: the same as a sign.
        color: the class of its colour.
        sentence: effect and interval in words.
        unit: of the effect; empty where it is not known.
        drawing: the effect and its interval; None where there is none.
        scale: of the drawing.
    """

    says: list[Piece]
    verdict: str
    sign: str
    color: str
    sentence: list[Piece]
    unit: str = ""
    drawing: Strip | None = None
    scale: Scale | None = None


def claims_shown(claims: Sequence[Facts]) -> list[Claim]:
    """The claims, in order. Differences of one measure between arms share an axis, so that they compare by eye."""
    axes = {key: _axis([one for one in claims if _key(one) == key]) for key in map(_key, claims)}
    return [_claim(one, axes[_key(one)]) for one in claims]


def sign_of(verdict: str) -> tuple[str, str]:
    """The sign of a verdict, and the class of its colour."""
    return _SIGNS.get(verdict, ("–", "open"))


def _key(one: Facts) -> tuple[str, str, bool]:
    return one["kind"], one["measure"], isinstance(one["second"], str)


def _claim(one: Facts, axis: Axis | None) -> Claim:
    sign, color = sign_of(one["verdict"])
    told = Claim(pieces(one["says"]), one["verdict"], sign, color, pieces(one["sentence"]))
    if axis is None or one["value"] is None:
        return told
    ratio = one["kind"] == "ratio"
    drawing = strip(axis, one["value"], one["interval"], band=one.get("within") or None)
    unit = "times" if ratio else one.get("unit") or ""
    scale = scale_of(axis, mark=1.0 if ratio else 0.0)
    return Claim(told.says, told.verdict, sign, color, told.sentence, unit, drawing, scale)


def _axis(claims: Sequence[Facts]) -> Axis | None:
    """An axis for effects of one kind, with no difference on it; None where nothing can be drawn."""
    kind = claims[0]["kind"]
    if kind not in {"difference", "ratio"}:
        return None
    values = [end for one in claims if one["value"] is not None for end in (one["value"], *(one["interval"] or ()))]
    bands = [one["within"] for one in claims if one.get("within")]
    if kind == "ratio":
        values = [one for one in values if one > 0 and math.isfinite(one)]
        return log_axis([1.0, *values, *bands, *(1 / band for band in bands)]) if values else None
    return linear_axis([0.0, *values, *bands, *(-band for band in bands)]) if values else None
