"""The claims of a lab, judged: for each its effect with a 95% interval, the verdict, and both in a sentence.

The interval and its p are adjusted for the number of claims that are judged together. "The same" is judged by its
interval: a difference that is not shown is no proof of sameness (Schuirmann, A Comparison of the Two One-Sided Tests
Procedure, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.errors import UnknownNameError
from fittingroom.evaluation.differences import ENOUGH_SEEDS, Difference
from fittingroom.evaluation.estimate import Estimate
from fittingroom.labs.arms import Arm
from fittingroom.labs.lab_description import Claim
from fittingroom.labs.measures import MEASURES, Measure
from fittingroom.labs.stand_in import StandInReport
from fittingroom.text import number

_Expected = Literal["higher", "lower", "same"]
_Verdict = Literal["supported", "not supported", "no difference shown"]

_KNOWN = 1e6  # degrees of freedom of an error that is known
_DIGITS = 12  # what is left of a difference between equal numbers is rounding

NOT_JUDGED: Literal["not judged"] = "not judged"


@dataclass(frozen=True)
class ClaimResult:
    """What came of a claim.

    Args:
        claim: the claim.
        verdict: what the effect says of the claim, or `not judged` where an arm could not be trained.
        sentence: the effect in words.
        value: the effect in the unit of the measure: a difference, a factor, or 1 for an error and 0 for none; None
            where there is none.
        interval: its interval, which holds with those of the lab's other claims in 95% of cases; None where there is
            none.
        p: adjusted for the number of the lab's claims, as the interval is; None where there is none.
        together: how many claims are judged together.
    """

    claim: Claim
    verdict: _Verdict | Literal["not judged"]
    sentence: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    together: int = 1

    @classmethod
    def of_claims(cls, claims: Sequence[Claim], arms: Sequence[Arm]) -> tuple[ClaimResult, ...]:
        """Each claim with its verdict; p and interval adjusted for the number of claims that have them (Bonferroni)."""
        effects = [_effect(claim, arms) for claim in claims]
        count = sum(effect is not None for effect in effects)
        return tuple(
            _judged(claim, arms, None if effect is None else effect.among(count))
            for claim, effect in zip(claims, effects, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        measure = MEASURES.get(self.claim.measure)
        kind = "error" if measure is None else "ratio" if measure.unit == "times" else "difference"
        return {
            "says": self.claim.says,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "kind": kind,
            "measure": self.claim.measure,
            "unit": None if measure is None else measure.unit,
            "first": self.claim.arm,
            "second": self.claim.than,
            "within": self.claim.within if self.claim.expected == "same" else None,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "p": self.p,
        }


def check_arms(claims: Sequence[Claim], names: Sequence[str]) -> None:
    """Makes sure, before any training, that every claim is about arms of the lab.

    Args:
        claims: the claims.
        names: what the arms will be called.

    Raises:
        UnknownNameError: a claim is about another arm; the message names the nearest.
    """
    for claim in claims:
        for name in (claim.arm, claim.than):
            if isinstance(name, str) and name not in names:
                raise UnknownNameError("arm", name, names)


def _effect(claim: Claim, arms: Sequence[Arm]) -> Difference | None:
    """The first arm's number less the second's, as the measure has it; None where there is nothing to test."""
    first = _named(arms, claim.arm)
    second = _named(arms, claim.than) if isinstance(claim.than, str) else None
    if claim.expected == "error" or first is None or not first.runs or claim.than is None:
        return None
    if isinstance(claim.than, str) and (second is None or not second.runs):
        return None
    measure = MEASURES[claim.measure]
    if measure.of_images is not None:
        own = _Side(first.on_images(measure), first.seeds)
        if second is None:
            return _effect_against_number(own, float(claim.than) / measure.scale)
        other = _Side(second.on_images(measure), second.seeds)
        return _effect_on_images(own, other, same_images=first.same_images(second))
    fewest = min(len(arm.on_seeds(measure) or ()) for arm in (first, second) if arm is not None)
    if measure.error_of_report is not None and fewest < ENOUGH_SEEDS:
        than = 0.0 if second is not None else float(claim.than) / measure.scale
        return _effect_on_reports(measure, measure.error_of_report, first, second, than)
    return _effect_on_runs(claim, measure, first, second)


def _effect_on_reports(
    measure: Measure, error: Callable[[StandInReport], float], first: Arm, other: Arm | None, than: float
) -> Difference | None:
    """The effect in these models where seeds are too few to speak of others: only images may vary."""
    own, second = first.on_seeds(measure), (than,) if other is None else other.on_seeds(measure)
    if own is None or second is None:
        return None
    errors = [
        error(report) / len(values)
        for arm, values in ((first, own), (other, second))
        if arm is not None
        for report in arm.reports[: len(values)]
    ]
    value = float(np.mean(own) - np.mean(second))
    return Difference(value, Estimate(value, math.hypot(*errors), _KNOWN))


def _effect_on_runs(claim: Claim, measure: Measure, first: Arm, second: Arm | None) -> Difference | None:
    own = first.on_seeds(measure)
    other = (float(claim.than or 0) / measure.scale,) * len(own or ()) if second is None else second.on_seeds(measure)
    if own is None or other is None:
        return None
    if second is not None:
        shared = [seed for seed in first.seeds if seed in second.seeds]
        own = tuple(own[first.seeds.index(seed)] for seed in shared)
        other = tuple(other[second.seeds.index(seed)] for seed in shared)
    return _effect_on_seeds(own, other, ratio=measure.unit == "times") if own else None


def _judged(claim: Claim, arms: Sequence[Arm], effect: Difference | None) -> ClaimResult:
    first = _named(arms, claim.arm)
    if claim.expected == "error":
        return _error_judged(claim, first)
    if effect is None:
        return ClaimResult(claim, NOT_JUDGED, _why_not(claim, arms))
    measure = MEASURES[claim.measure]
    within = math.log(claim.within) if measure.unit == "times" and claim.within else claim.within / measure.scale
    low, high = effect.interval
    value = _in_unit(effect.value, measure)
    found = ClaimResult(
        claim, _verdict(effect, claim.expected, within), "", value, p=effect.corrected, together=effect.comparisons
    )
    found = replace(found, interval=(_in_unit(low, measure), _in_unit(high, measure)))
    return replace(found, sentence=_sentence(found, measure, arms))


def _error_judged(claim: Claim, arm: Arm | None) -> ClaimResult:
    if arm is None or (arm.error is None and not arm.runs):
        return ClaimResult(claim, NOT_JUDGED, _why_not(claim, [] if arm is None else [arm]))
    if arm.error is None:
        return ClaimResult(claim, "not supported", f"{arm.name} finished training, without an error.", 0.0)
    return ClaimResult(claim, "supported", f"{arm.name} ends with an error; the results show its message.", 1.0)


def _why_not(claim: Claim, arms: Sequence[Arm]) -> str:
    for name in (claim.arm, claim.than):
        if isinstance(name, str):
            arm = _named(arms, name)
            if arm is None:
                return f"{name} was left out: its dataset is not here."
            if not arm.runs:
                return f"{name} could not be trained: {arm.error}"
    return f"A single seed does not tell how much {MEASURES[claim.measure].words} varies."


def _in_unit(value: float, measure: Measure) -> float:
    return math.exp(value) if measure.unit == "times" else value * measure.scale


def _sentence(one: ClaimResult, measure: Measure, arms: Sequence[Arm]) -> str:
    """What was measured: `hidden=1024 against hidden=128, accuracy on validation images: +0.91 points (95% ...)`."""
    claim, interval = one.claim, one.interval
    assert one.value is not None
    assert interval is not None
    if isinstance(claim.than, str):
        sides = f"{claim.arm} against {claim.than}, {measure.words}"
        found, low, high = (_effect_text(value, measure) for value in (one.value, *interval))
        text = f"{sides}: {found} {_unit(one.value, measure)} ({_range(low, high, one.together)})"
    else:
        than = float(claim.than or 0)
        values = [value * than if measure.unit == "times" else value + than for value in (one.value, *interval)]
        if measure.of_report is not None and measure.unit == "points" and claim.measure != "excess":
            values = [min(100.0, max(0.0, value)) for value in values]  # a share
        found, low, high = (_level(value, measure) for value in values)
        reached = f"{found} ({_range(low, high, one.together)})"
        text = f"{claim.arm}, {measure.words}: {reached}, against {_level(than, measure)}"
    if claim.expected == "same" and claim.within:
        unit = _unit(claim.within, measure)
        text += f"; up to {claim.within:g} {unit} {'counts' if claim.within == 1 else 'count'} as the same"
        if one.verdict == "no difference shown":
            text += ". Neither a difference nor its absence is shown"
    arm = _named(arms, claim.arm)
    of_models = measure.of_images is not None or measure.error_of_report is not None
    if of_models and arm is not None and len(arm.seeds) < ENOUGH_SEEDS:
        text += ". With so few seeds this is about these models, not about the recipe"
    return f"{text}."


def _range(low: str, high: str, together: int) -> str:
    if low == high:
        return "the same with every seed"
    return f"95% interval{'' if together == 1 else f', adjusted for {together} claims,'} {low} to {high}"


def _effect_text(value: float, measure: Measure) -> str:
    """A difference or a factor without its unit: `+0.91`, `5.40`."""
    digits = {"points": 2, "nats": 4, "times": 2, "epochs": 1, "looks": 1}[measure.unit]
    return number(value, digits, signed=measure.unit != "times")


def _level(value: float, measure: Measure) -> str:
    """A number that is no difference, with its unit: `87.95%`, `0.4000 nats`, `1 epoch`."""
    if measure.unit == "points":
        return f"{number(value, 2).rstrip('0').rstrip('.')}%"
    if measure.unit == "nats":
        return f"{number(value, 4)} nats"
    return f"{number(value, 2)} s" if measure.unit == "times" else f"{value:g} {_unit(value, measure)}"


def _unit(value: float, measure: Measure) -> str:
    singular = {"points": "point", "epochs": "epoch", "looks": "look"}
    return singular.get(measure.unit, measure.unit) if abs(value) == 1 else measure.unit


def _verdict(effect: Difference, expected: _Expected, within: float = 0.0) -> _Verdict:
    """Whether an effect supports a claim.

    Args:
        effect: the first side's number less the second's, with p corrected.
        expected: how the first side compares with the second, as the claim has it.
        within: for `same`, how large a difference still counts as none.

    Returns:
        For `higher` and `lower`: "supported" if the difference is shown and has the claimed sign, "not supported" if it
        has the other one, else "no difference shown". For `same`: "supported" if the whole interval is at most `within`
        away from 0, "not supported" if a difference is shown, else "no difference shown", though it may be there.
    """
    if expected == "same":
        low, high = effect.interval
        if -within <= low and high <= within:
            return "supported"
        return "not supported" if effect.shown else "no difference shown"
    if not effect.shown:
        return "no difference shown"
    return "supported" if (effect.value > 0) == (expected == "higher") else "not supported"


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of an effect.

    Args:
        values: a number for each seed and image, `(seeds, images)`.
        seeds: the seeds, in the order of the values.
    """

    values: npt.NDArray[Any]
    seeds: tuple[int, ...]


def _effect_on_images(first: _Side, second: _Side, *, same_images: bool = True) -> Difference:
    """The difference of the means of a number that each seed has for each image.

    With five seeds or more on both sides it is about recipes (seeds and images may vary), else about these models.
    It is paired by image, and by seed where both sides have the same seeds.

    Args:
        first: one side.
        second: the other one.
        same_images: whether both sides have the same images, in the same order.
    """
    seeds = first.seeds, second.seeds
    return Difference.between(first.values, second.values, seeds, same_images=same_images)


def _effect_against_number(side: _Side, value: float) -> Difference:
    """The difference between the mean of a number that each seed has for each image, and a fixed number."""
    return _effect_on_images(side, _Side(np.full_like(side.values, value, np.float64), side.seeds))


def _effect_on_seeds(first: Sequence[float], second: Sequence[float], *, ratio: bool = False) -> Difference | None:
    """The mean difference of a number that each seed has, paired by seed: Student's t.

    Args:
        first: a number per seed.
        second: another number of the same seeds, in the same order.
        ratio: whether the numbers, all above 0, are compared by their logarithms: value and interval are then natural
            logarithms of factors.

    Returns:
        The difference; None for a single seed, which says nothing of how much seeds vary.
    """
    one, other = (np.log(values) if ratio else np.asarray(values, np.float64) for values in (first, second))
    # Paired by seed: a seed decides the shuffle, and an unlucky one is unlucky for recipes that resemble each other.
    differences = np.round(one - other, _DIGITS)
    if len(differences) < 2:
        return None
    return Difference(float(differences.mean()), Estimate.over_seeds(differences.tolist()))


def _named(arms: Sequence[Arm], name: str) -> Arm | None:
    """The arm with a name; None if there is none."""
    return next((arm for arm in arms if arm.name == name), None)
