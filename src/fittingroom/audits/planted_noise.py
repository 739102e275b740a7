"""How probable it is that a label is wrong, learned from wrong labels that are planted into the very same data.

A score says how much more networks that have not seen an image believe in another class than in its label. What a score
means depends on the data: the same networks are unsure of shirts and sure of boots. So some labels are changed, half of
them to any other class, half along the networks' own confusions; the networks are trained again; and the scores of the
planted labels are seen beside those of all others.

Let f be the density of scores of all given labels, w that of the planted ones, and p the share of given labels that
are wrong. A label with score s is wrong with probability p w(s) / f(s). The ratio w / f is estimated as a rising
function of s. The share p is read where images are clearest: among the highest scores of planted labels, hardly any
label is right, so the share of given labels that score as high, over the share of planted ones that do, is p. It is the
smallest such quotient over several heights, as right labels of odd images only ever make it larger.

How much of the noise is uniform is read from the pairs of classes of these images.

Sources: to read a mixing share where the other component vanishes is Blanchard, Lee and Scott, Semi-Supervised Novelty
Detection, JMLR 2010, and Scott, A Rate of Convergence for Mixture Proportion Estimation, AISTATS 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.audits.nearest_images import NearestImages
from fittingroom.data.values import Labels
from fittingroom.seeds import generator

Kind = Literal["uniform", "confusions"]
Floats = npt.NDArray[np.floating[Any]]

FEWEST_OF_CLASS = 5
"""Images of a class below which its labels are not examined: networks that leave one out hardly know the class."""

_SHARE, _SHARE_OF_FEW, _FEW = 0.03, 0.05, 5_000  # of labels that are planted wrong at a time; more of few images

_HEIGHTS = (0.1, 0.2, 0.3, 0.4)  # shares of the planted labels above which labels are compared
_FEWEST_ABOVE = 10  # planted labels above a height that is looked at
_LEAST_SHARE = 0.01  # of wrong labels, where it is asked how many of them would be found
_MOST_WRONG = 0.5  # the largest share of wrong labels that can be told
_CERTAIN = 0.99  # no label is wrong with a larger probability
_CONFIDENCE = 0.7  # of the upper bound of a count: about half a standard deviation above it
_LEAST_RIGHT = 1e-4  # the smallest share of right labels among those with one score
_DOUBT = -1.0  # the score above which neighbours are asked: where the label is at most e times as likely
_MOST_DOUBTFUL = 20_000
_READINGS = 4  # of the share of uniform noise, each at the height of the one before
_SPREAD_OF_PAIRS = 0.3  # of the noise that is expected evenly on all pairs of classes, where a pair was never planted


@dataclass(frozen=True, eq=False)
class PlantedLabels:
    """Labels of which some were changed.

    Args:
        labels: `(n,)`.
        uniform: which were changed to any other class, `(n,)`.
        confused: which were changed along confusions, `(n,)`.
    """

    labels: Labels
    uniform: npt.NDArray[np.bool_]
    confused: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, labels: Labels, confusions: Floats, share: float, seed: int) -> PlantedLabels:
        """Labels of which a share was changed, half of it in each way; none from or to a class that is not examined.

        Args:
            labels: `(n,)`.
            confusions: how often each class (row) is taken for each other one (column), `(classes, classes)`.
            share: 0 to 1.
            seed: of the choice.
        """
        random, can = generator(seed, "planted"), examined_classes(labels, len(confusions))
        places = random.permutation(np.flatnonzero(can[labels]))
        half = max(round(share * len(places) / 2), 1)
        changed, marks = labels.copy(), [np.zeros(len(labels), np.bool_) for _ in range(2)]
        for mark, some, weights in zip(
            marks, (places[:half], places[half : 2 * half]), (np.ones_like(confusions), confusions), strict=True
        ):
            mark[some] = True
            changed[some] = _other_labels(labels[some], weights, can, random)
        return cls(changed, *marks)

    @property
    def planted(self) -> npt.NDArray[np.bool_]:
        """Which were changed, `(n,)`."""
        return self.uniform | self.confused


def examined_classes(labels: Labels, classes: int) -> npt.NDArray[np.bool_]:
    """Which classes have images enough that their labels can be examined, `(classes,)`."""
    return np.asarray(np.bincount(labels, minlength=classes) >= FEWEST_OF_CLASS)


def planted_share(images: int) -> float:
    """Which share of so many labels is planted wrong at a time.

    Networks that learn from more noise tell wrong labels less well, so little is planted; but of few images, enough.
    """
    return _SHARE_OF_FEW if images < _FEW else _SHARE


def _other_labels(labels: Labels, weights: Floats, can: npt.NDArray[np.bool_], random: np.random.Generator) -> Labels:
    """Another class for each label, drawn by the weights of its row among the classes that can be drawn, `(n,)`."""
    chances = np.array(weights, np.float64)
    chances += 1e-3 * max(chances.max(), 1e-9) / len(chances)  # a class that is never confused goes anywhere
    np.fill_diagonal(chances, 0)
    chances[:, ~can] = 0
    steps = np.cumsum(chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-300), axis=1)
    drawn = (random.random(len(labels)) * steps[labels, -1])[:, None]
    return np.asarray((drawn >= steps[labels]).sum(axis=1), np.int32)


def confusions_of(log_probabilities: Floats) -> npt.NDArray[np.float64]:
    """How often networks waver between two classes, `(classes, classes)`; 0 on the diagonal.

    Labels have no say in it, or noise in them would count as confusion. For the same reason probabilities are squared:
    networks that learn from noisy labels give a little to every class.

    Args:
        log_probabilities: `(n, classes)`.
    """
    sharp = np.exp(2 * np.asarray(log_probabilities, np.float64))
    sharp /= sharp.sum(axis=1, keepdims=True)
    found = sharp.T @ sharp
    np.fill_diagonal(found, 0)
    return found


@dataclass(frozen=True, eq=False)
class LabelScores:
    """How much networks believe in another class than the label.

    Args:
        score: ln of the probability of the likeliest other class over that of the label, `(n,)`.
        other: that class, `(n,)`.
        labels: as given, `(n,)`.
    """

    score: npt.NDArray[np.float64]
    other: Labels
    labels: Labels

    @classmethod
    def of(cls, log_probabilities: Floats, labels: Labels) -> LabelScores:
        """From log probabilities `(n, classes)`."""
        rows, others = np.arange(len(labels)), np.array(log_probabilities, np.float64)
        own = others[rows, labels].copy()
        others[rows, labels] = -np.inf
        other = others.argmax(axis=1).astype(np.int32)
        return cls(others[rows, other] - own, other, labels)

    def beside(self, near: NearestImages) -> LabelScores:
        """The scores joined with the labels of the nearest images, where a label is in any doubt.

        Both are logarithms of ratios, and are added: tried on Fashion-MNIST, any weight of the neighbours from 0.6 to
        1.5 is about as good.
        """
        doubtful = np.flatnonzero(self.score > _DOUBT)
        doubtful = doubtful[np.argsort(-self.score[doubtful], kind="stable")[:_MOST_DOUBTFUL]]
        joined = self.score + near.least()
        joined[doubtful] = self.score[doubtful] + near.favour(doubtful, self.labels, self.other)
        return replace(self, score=joined)

    def where(self, chosen: npt.NDArray[np.bool_]) -> LabelScores:
        """Those of some images."""
        return LabelScores(self.score[chosen], self.other[chosen], self.labels[chosen])

    def pairs(self, chosen: npt.NDArray[np.bool_], classes: int) -> npt.NDArray[np.float64]:
        """How many of the chosen images have each pair of other class and label, `(classes²,)`."""
        numbers = self.other[chosen].astype(np.int64) * classes + self.labels[chosen]
        return np.bincount(numbers, minlength=classes**2).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Planting:
    """What networks made of data with planted labels.

    Args:
        labels: the planted ones among them.
        scores: of all.
    """

    labels: PlantedLabels
    scores: LabelScores

    def where(self, chosen: npt.NDArray[np.bool_]) -> Planting:
        """That of some images."""
        own = self.labels
        labels = PlantedLabels(own.labels[chosen], own.uniform[chosen], own.confused[chosen])
        return Planting(labels, self.scores.where(chosen))


@dataclass(frozen=True, eq=False)
class WrongLabels:
    """The probability of each label to be wrong, and the share of all that are.

    Args:
        probability: of each, 0 to 1, `(n,)`.
        share: of all labels that are wrong, 0 to 1, estimated.
        uniform: the share of the wrong labels that could as well be any other class, 0 to 1.
        found: the share of planted labels that would be called more probably wrong than right, 0 to 1, if `share` of
            all were wrong, and at least 1%.
        planted: how many labels were planted.
    """

    probability: npt.NDArray[np.float64]
    share: float
    uniform: float
    found: float
    planted: int

    def placed(self, where: npt.NDArray[np.bool_]) -> WrongLabels:
        """The same among more images, of which only those at `where` were examined; the others have probability 0."""
        probability = np.zeros(len(where))
        probability[where] = self.probability
        return replace(self, probability=probability)

    @classmethod
    def of(cls, scores: LabelScores, plantings: list[Planting], classes: int) -> WrongLabels:
        """From the scores of the given labels, and of data with planted ones."""
        count = len(scores.labels)
        # Planted noise makes networks a little less sure, so scores are compared by their ranks among labels as given.
        given = np.sort(np.concatenate([one.scores.score[~one.labels.planted] for one in plantings]))
        places = (np.argsort(np.argsort(scores.score, kind="stable"), kind="stable") + 0.5) / count
        alike = np.quantile(given, places)
        uniform = np.concatenate([one.scores.score[one.labels.uniform] for one in plantings])
        confused = np.concatenate([one.scores.score[one.labels.confused] for one in plantings])
        mix = _share_uniform(scores, alike, plantings, classes)
        weights = np.concatenate([np.full(len(uniform), mix), np.full(len(confused), 1 - mix)])
        planted = np.concatenate([uniform, confused])
        share = min(_share_wrong(alike, planted, weights), _MOST_WRONG)
        ratio = _rising_ratio(given, planted, weights)
        # One odd image among the clearest is no proof that there are wrong labels at all.
        clear = int((alike >= _height(planted, weights, _HEIGHTS[-1])).sum())
        probability = np.clip(share * ratio(alike), 0, _CERTAIN) * clear / (clear + 2)
        half = max(share, _LEAST_SHARE) * ratio(planted) >= 0.5
        return cls(probability, share, mix, float(np.average(half, weights=weights + 1e-12)), len(planted))


def _height(values: Floats, weights: Floats, share: float) -> float:
    """The value above which a share of the weight lies."""
    order = np.argsort(-values, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), share * weights.sum())
    return float(values[order[min(reached, len(order) - 1)]])


def _share_uniform(
    scores: LabelScores, alike: npt.NDArray[np.float64], plantings: list[Planting], classes: int
) -> float:
    """The share of wrong labels that any other class could have, by the pairs of classes of the clearest ones.

    Which ones are clear depends on that share, as uniform noise scores higher, so it is read again at its own height.
    """
    planted = np.concatenate([one.scores.score[one.labels.planted] for one in plantings])
    is_uniform = np.concatenate([one.labels.uniform[one.labels.planted] for one in plantings])
    uniform = 0.5
    for _ in range(_READINGS):
        height = _height(planted, np.where(is_uniform, uniform, 1 - uniform), _HEIGHTS[-1])
        uniform = _share_uniform_above(height, scores, alike, plantings, classes)
    return uniform


def _share_uniform_above(
    height: float, scores: LabelScores, alike: npt.NDArray[np.float64], plantings: list[Planting], classes: int
) -> float:
    """The same, by the pairs of classes of labels that score at least as high."""
    from scipy.optimize import minimize

    seen = scores.pairs(alike >= height, classes)
    expected = []
    for name in ("uniform", "confused"):
        chosen = [getattr(one.labels, name) for one in plantings]
        pairs = np.zeros(classes**2)
        for one, mine in zip(plantings, chosen, strict=True):
            pairs += one.scores.pairs((one.scores.score >= height) & mine, classes)
        pairs /= sum(int(mine.sum()) for mine in chosen)
        expected.append(pairs + _SPREAD_OF_PAIRS * pairs.sum() / classes**2)

    def misfit(shares: npt.NDArray[np.float64]) -> float:
        mean = shares[0] * expected[0] + shares[1] * expected[1] + 1e-9
        return float((mean - seen * np.log(mean)).sum())

    total = max(seen.sum(), 1.0)
    found = minimize(misfit, [total, total], bounds=[(0, None)] * 2, method="L-BFGS-B").x
    uniform = found[0] / found.sum() if found.sum() > 0 else 0.5
    # A kind is never ruled out, but its least share falls with the labels that were seen. Uniform noise is clear: were
    # the least share fixed, however small, it would explain the clearest labels of much noise along confusions.
    least = 1 / (seen.sum() + 2)
    return float(np.clip(uniform, least, 1 - least))


def _share_wrong(given: Floats, planted: Floats, weights: Floats) -> float:
    """The share of given labels that are wrong: see the head of this file."""
    from scipy.stats import gamma

    quotients = []
    for share in _HEIGHTS:
        height = _height(planted, weights, share)
        above = planted >= height
        if above.sum() < _FEWEST_ABOVE:
            continue
        # An upper bound, since the smallest of several noisy numbers is too small, and may be 0 where data are few.
        seen = int((given >= height).sum())
        most = gamma.ppf(_CONFIDENCE, seen + 1) * (1 + 0.5 / np.sqrt(above.sum()))
        quotients.append(most / len(given) / (weights[above].sum() / weights.sum()))
    return float(min(quotients, default=0.0))


def _rising_ratio(given: Floats, planted: Floats, weights: Floats) -> Any:
    """A function from scores to the density of planted scores over that of given ones, which never falls."""
    from sklearn.isotonic import IsotonicRegression

    values = np.concatenate([given, planted])
    is_planted = np.concatenate([np.zeros(len(given)), np.ones(len(planted))])
    mass = np.concatenate([np.full(len(given), 1 / len(given)), weights / weights.sum()])
    fitted = IsotonicRegression().fit_transform(values, is_planted, sample_weight=mass)
    # Steps between the middles of the flat pieces, since right after a piece has begun it is still too high.
    levels, piece = np.unique(fitted, return_inverse=True)
    weight = np.bincount(piece.ravel(), mass)
    middles = np.bincount(piece.ravel(), mass * values) / weight
    logs = np.log(np.maximum(levels, _LEAST_RIGHT) / np.maximum(1 - levels, _LEAST_RIGHT))

    def ratio(scores: Floats) -> npt.NDArray[np.float64]:
        return np.asarray(np.exp(np.interp(scores, middles, logs)), np.float64)

    return ratio
