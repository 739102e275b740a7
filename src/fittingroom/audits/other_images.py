"""What a run answers to pictures of other things: how many it refuses, and how well its score tells them apart.

Every score is one number of an image, so the curve of what is refused follows from its order alone: at each share of
the run's own validation images that is refused by mistake, the share of the others. AUROC is the chance that an image
of another kind is found less usual than one of the run's own (1 is perfect, 0.5 is a coin), and FPR at 95% the share
of others that is still answered where 95% of the run's own are. The interval of AUROC is DeLong's (DeLong, DeLong and
Clarke-Pearson, Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves, Biometrics
44, 1988).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.judgement import AnswerNumbers
from fittingroom.audits.check import (
    AuditSubject,
    CheckResult,
    Evidence,
    EvidenceLine,
    EvidencePlot,
    EvidenceTable,
    Gallery,
    ShownImage,
)
from fittingroom.audits.model_images import ModelImages, shown_pixels
from fittingroom.audits.other_kinds import OtherKinds, Pictures
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval
from fittingroom.text import number, percent, percent_range, word_list

REFUSED_AT_LEAST = 0.5
"""A kind is named where fewer than this share of it is refused."""

_COUNT, _COUNT_SLOW = 1_000, 100  # pictures of each kind; with a backbone, a hundredth of a second apiece
_FEWEST = 30
_SHOWN = 6  # pictures of each kind in the gallery
_CHECK, _TITLE = "unlike", "Unlike images"
_SHARES = (0, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2)
_CONFIDENCE_ALONE = (
    "This run keeps no validation images, so it has the model's confidence alone to go by. A run of a dataset that is "
    "loaded by name or folder compares shapes too."
)


@dataclass(frozen=True)
class Auroc:
    """How well a score tells others from the run's own images.

    Args:
        value: the chance that one of the others has the smaller score, ties half; 0 to 1.
        interval: of 95%, as it would vary with other images on both sides.
    """

    value: float
    interval: Interval

    @classmethod
    def of(cls, own: npt.NDArray[Any], others: npt.NDArray[Any]) -> Auroc:
        """Of the scores of the run's own images and of others, at least two of each."""
        from scipy.stats import norm, rankdata

        m, n = len(own), len(others)
        ranks = rankdata(np.concatenate([own, others]))
        above = (ranks[:m] - rankdata(own)) / n  # of each own image, the share of others below it
        below = 1 - (ranks[m:] - rankdata(others)) / m
        value = float(above.mean())
        error = float(above.var(ddof=1) / m + below.var(ddof=1) / n) ** 0.5
        half = float(norm.ppf(0.975)) * error
        # Where no pair is in the wrong order, the images show no more than that few are ("rule of three").
        least = 3 / min(m, n) if value in {0.0, 1.0} else 0.0
        return cls(value, Interval(max(0.0, value - max(half, least)), min(1.0, value + max(half, least))))


@dataclass(frozen=True, eq=False)
class KindAnswers:
    """What the run said of a kind of pictures.

    Args:
        name: of the kind.
        pictures: `(n, height, width)` or `(n, height, width, 3)`.
        numbers: what was said.
        own: the same of the run's own validation images.
    """

    name: str
    pictures: Pictures
    numbers: AnswerNumbers
    own: AnswerNumbers

    @property
    def refused(self) -> float:
        """The share that is refused."""
        return float(self.numbers.unlike.mean())

    @property
    def classes(self) -> npt.NDArray[np.intp]:
        """The most likely class of each."""
        return np.asarray(self.numbers.log_probabilities.argmax(axis=1))

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """The probability of that class, 0 to 1."""
        return np.asarray(np.exp(self.numbers.log_probabilities.max(axis=1)), np.float64)

    def refused_interval(self, kinds: int = 1) -> Interval:
        """The interval of `refused`, as one of so many kinds that are judged together."""
        found = self.numbers.unlike
        return Interval.wilson(int(found.sum()), len(found), 1 - SHOWN_BELOW / kinds)

    def answered_at(self, share: float) -> float:
        """The share that is answered where at most `share`, below 1, of the run's own images are refused."""
        own = np.sort(self.own.rarity)
        threshold = own[min(int(share * len(own)), len(own) - 1)]
        return float((self.numbers.rarity >= threshold).mean())

    def to_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """All of it as plain JSON."""
        score = Auroc.of(self.own.rarity, self.numbers.rarity)
        sure = Auroc.of(*(one.log_probabilities.max(axis=1) for one in (self.own, self.numbers)))
        answered = ~self.numbers.unlike
        named = Counter(self.classes[answered].tolist()).most_common(1)
        return {
            "images": len(answered),
            "refused": self.refused,
            "refused_interval": list(self.refused_interval()),
            "auroc": score.value,
            "auroc_interval": list(score.interval),
            "auroc_of_confidence": sure.value,
            "fpr_at_95": self.answered_at(0.05),
            "most_named": classes[named[0][0]] if named else None,
            "most_named_share": named[0][1] / int(answered.sum()) if named else None,
            "confidence_of_answered": float(self.confidence[answered].mean()) if answered.any() else None,
        }


def check_other_images(subject: AuditSubject) -> CheckResult:
    """How many pictures of other things the run refuses; its own validation images beside them."""
    start, part, predictor = time.perf_counter(), subject.dataset.validation, subject.predictor
    if predictor is None:
        return CheckResult(_CHECK, _TITLE, "not examined", ("Only a run can be examined: a dataset refuses nothing.",))
    if part is None or len(part) < _FEWEST:
        reason = f"The run has fewer than {_FEWEST} validation images to go by, so it cannot tell what is unlike them."
        return CheckResult(_CHECK, _TITLE, "not examined", (reason,))
    asked = ModelImages(predictor, part.scale)
    if (why_not := asked.why_not) is not None:
        return CheckResult(_CHECK, _TITLE, "not examined", (why_not,))
    kinds = OtherKinds(subject.dataset, _COUNT_SLOW if predictor.backbone else _COUNT)
    names, chosen = kinds.names(), asked.chosen(part)
    images = np.asarray(part.images[chosen])
    places = predictor.held_out_places(asked.as_taken(images))
    if places is None:
        reason = "No held-out images are kept for this run, so nothing can be found to be unlike them."
        return CheckResult(_CHECK, _TITLE, "not examined", (reason,))
    own = _answers(subject, asked, images, "The run's own images", (0, len(names) + 1), places)
    found = []
    for place, name in enumerate(names, 1):
        pictures = kinds.pictures(name)
        numbers = _answers(subject, asked, pictures, f"Other images: {name}", (place, len(names) + 1))
        found.append(KindAnswers(name, pictures, numbers, own))
    classes = subject.dataset.classes
    facts = {one.name: one.to_dict(classes) for one in found}
    answered = [one for one in found if one.refused_interval(len(found)).high < REFUSED_AT_LEAST]
    return CheckResult(
        _CHECK,
        _TITLE,
        "found" if answered else "clear",
        (*_sentences(found, answered, facts), *(() if (places >= 0).any() else (_CONFIDENCE_ALONE,))),
        tuple(_advice(answered)),
        {
            "validation_images": len(chosen),
            "validation_refused": float(own.unlike.mean()),
            "kinds": facts,
            "left_out": list(kinds.left_out),
            "mostly_answered": [one.name for one in answered],
        },
        _evidence(found, facts, part.scale, classes),
        seconds=time.perf_counter() - start,
    )


def _answers(
    subject: AuditSubject,
    asked: ModelImages,
    images: Pictures,
    what: str,
    done: tuple[int, int],
    itself: npt.NDArray[np.intp] | None = None,
) -> AnswerNumbers:
    """What the run says of pictures, in blocks; `itself` as for `Predictor.numbers`."""
    several = []
    for block in asked.blocks(len(images)):
        subject.progress(what, *done)
        several.append(asked.numbers(images[block], None if itself is None else itself[block]))
    return AnswerNumbers(
        *(np.concatenate([getattr(one, name) for one in several]) for name in ("log_probabilities", "rarity", "unlike"))
    )


def _sentences(found: Sequence[KindAnswers], answered: Sequence[KindAnswers], facts: dict[str, Any]) -> list[str]:
    by_share: dict[str, list[str]] = {}
    for one in sorted(found, key=lambda one: one.refused):
        by_share.setdefault(_share(one.refused), []).append(one.name)
    each = [f"{share} of {word_list(names)}" for share, names in by_share.items()]
    said = [
        f"Of pictures of other things, the run refuses {word_list(each)}; of its own validation images, "
        f"{percent(found[0].own.unlike.mean())}."
    ]
    for one in answered:
        fact = facts[one.name]
        said.append(
            f"It answers {_share(1 - one.refused)} of the {one.name}, most often with {fact['most_named']}, at "
            f"{percent(fact['confidence_of_answered'], 0)} confidence on average."
        )
    worst = min(found, key=lambda one: float(facts[one.name]["auroc"]))
    fact = facts[worst.name]
    said.append(
        f"{worst.name.capitalize()} {'is' if worst.name == 'noise' else 'are'} hardest to tell from its own images: "
        f"AUROC {number(fact['auroc'], 3)}, or {number(fact['auroc_of_confidence'], 3)} by confidence alone."
    )
    return said


def _share(share: float) -> str:
    """Whole percent; neither all nor none is ever claimed."""
    return "over 99%" if share >= 0.995 else "under 1%" if share < 0.005 else percent(share, 0)


def _advice(answered: Sequence[KindAnswers]) -> list[str]:
    if not answered:
        return []
    return [
        f"Where {word_list([one.name for one in answered], 'or')} may come, do not rely on refusals: add a class "
        "for what is none of the others, and fill it with such pictures."
    ]


def _evidence(
    found: Sequence[KindAnswers], facts: dict[str, Any], scale: float, classes: Sequence[str]
) -> tuple[Evidence, ...]:
    header = ("kind", "pictures", "refused", "95% interval", "AUROC", "95% interval", "by confidence", "FPR at 95%")
    rows = []
    for one in sorted(found, key=lambda one: one.refused):
        fact = facts[one.name]
        between = "–".join(number(end, 3) for end in fact["auroc_interval"])
        refused = (percent(one.refused), percent_range(fact["refused_interval"]))
        scores = (number(fact["auroc"], 3), between, number(fact["auroc_of_confidence"], 3), percent(fact["fpr_at_95"]))
        rows.append((one.name, number(fact["images"]), *refused, *scores))
    lines = [
        EvidenceLine(
            one.name,
            tuple(100 * share for share in _SHARES),
            tuple(round(100 * (1 - one.answered_at(share)), 1) for share in _SHARES),
        )
        for one in found
    ]
    images = []
    for one in found:
        for place in np.linspace(0, len(one.pictures) - 1, _SHOWN).astype(int).tolist():
            named = f"{classes[int(one.classes[place])]} {percent(float(one.confidence[place]), 0)}"
            caption = "refused" if one.numbers.unlike[place] else named
            images.append(ShownImage(shown_pixels(one.pictures[place], scale), caption))
    return (
        EvidenceTable("Pictures of other things", header, tuple(rows)),
        EvidencePlot(
            "What is refused at each share of false alarms", "% of own images refused", "% refused", tuple(lines)
        ),
        Gallery("Six of each kind, and what the run says", tuple(images), _SHOWN),
    )
