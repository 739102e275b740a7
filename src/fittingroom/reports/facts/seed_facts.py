"""The facts of one seed: its epochs, what changed, its confidence, images and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fittingroom.evaluation.calibration import Calibration
from fittingroom.evaluation.change import Change
from fittingroom.evaluation.image_lists import ImageLists
from fittingroom.evaluation.reliability import Brier, Reliability
from fittingroom.evaluation.scores import Classes, MixedPair
from fittingroom.evaluation.spread import SHOWN_BELOW, plain

if TYPE_CHECKING:
    from fittingroom.evaluation.trajectories import Trajectories
    from fittingroom.reports.facts.subject import SeedTraining
    from fittingroom.runs.looks import Standings
    from fittingroom.runs.record import PartResult

_MOST_PAIRS = 6  # as many as a reader compares; the confusion matrix has all


def training_facts(
    training: SeedTraining,
    changes: dict[str, Change],
    calibrations: Sequence[Calibration] | None,
    standings: Standings,
) -> dict[str, Any]:
    """What the facts hold of every seed; `history` has a row for each epoch, counted from 1."""
    record, trajectories = training.record, training.trajectories
    return {
        "seed": record.seed,
        "path": str(training.path),
        "status": record.status,
        "reason": record.reason,
        "epochs": record.epochs,
        "train": _part_facts(record.train),
        "validation": None if record.validation is None else _part_facts(record.validation),
        "test": _test_facts(training, standings),
        "test_problem": _test_problem(training, standings),
        "history": [
            {"epoch": epoch + 1, **logs}
            for epoch, logs in zip(training.history.epoch, training.history.rows, strict=True)
        ],
        "validated_epochs": list(trajectories.epochs),
        "left_out_epochs": list(training.left_out),
        "validation_loss": trajectories.mean_loss.tolist(),
        "validation_accuracy": trajectories.accuracy.tolist(),
        "best_loss_epoch": trajectories.best_loss_epoch,
        "best_accuracy_epoch": trajectories.best_accuracy_epoch,
        "last_epoch": trajectories.last_epoch,
        "shown": _shown_facts(training),
        "changes": {name: found.to_dict() for name, found in changes.items()},
        "calibration": None if calibrations is None else [one.to_dict() for one in calibrations],
    }


def _shown_facts(training: SeedTraining) -> dict[str, Any]:
    """The model as it is: how the kept weights score, and what captions call them.

    `epoch` is the one whose weights these are, None for weights of no single epoch, such as averages. `row` is the
    validated epoch with the same numbers, None where there is none. `known` is false where the answers of the kept
    weights are not stored, and those of the last epoch stand in for them.
    """
    kept, split = training.kept, Calibration.of_epochs(training.shown)
    return {
        "epoch": None if kept.epoch is None else kept.epoch + 1,
        "views": kept.views,
        "known": training.known,
        "row": training.shown_row,
        "as": training.shown_as,
        "accuracy": kept.accuracy,
        "loss": kept.mean_loss,
        "calibration": None if split is None else split[0].to_dict(),
    }


def _part_facts(part: PartResult) -> dict[str, Any]:
    """Loss, accuracy with its interval, and number of images; `compiled_loss` as `PartResult` has it."""
    return {
        "loss": part.loss,
        "accuracy": part.accuracy,
        "interval": plain(part.interval),
        "count": part.count,
        "compiled_loss": part.compiled_loss,
    }


def _test_facts(training: SeedTraining, standings: Standings) -> dict[str, Any] | None:
    """The test result, which look at the test set it was, and what luck it may hold.

    None if there is none yet, or if the ledger contradicts it; the fact `test_problem` then says how.
    """
    found = standings.scored(training.path, training.record)
    if found is None:
        return None
    look, (number, reuse, problem, elsewhere) = found
    if look.score is None or problem is not None:
        return None
    accuracy, count = look.score["accuracy"], look.score["count"]
    return {
        "score": dict(look.score),
        "time": look.time,
        "reason": look.reason,
        "look": number,
        "looks": reuse.looks,
        "elsewhere": elsewhere,
        "luck": reuse.luck(accuracy, count),
        "correlation": reuse.correlation,
        "sentence": reuse.sentence(accuracy, count),
    }


def _test_problem(training: SeedTraining, standings: Standings) -> str | None:
    """Why its test result is not believed, in words; None where there is none, or nothing contradicts it."""
    found = standings.scored(training.path, training.record)
    return None if found is None else found[1].problem


def example_facts(training: SeedTraining) -> dict[str, Any]:
    """The facts of one seed alone, image by image: changes, reliability, Brier score, images and classes."""
    return {
        "ledgers": _ledgers(training.trajectories),
        "reliability": _reliability_facts(training),
        "brier": _brier_facts(training),
        "images": _image_facts(training),
        "classes": _class_facts(training),
    }


def _ledgers(trajectories: Trajectories) -> dict[str, list[dict[str, Any]]]:
    """The ledgers of all epochs, for a slider: each against the last, and against the best-loss one.

    Each goes forward in time, from the earlier epoch to the later; `epoch` is the one that the slider stands at.
    """
    best, last = trajectories.best_loss_epoch, trajectories.last_epoch

    def against(epoch: int, other: int) -> dict[str, Any]:
        return {"epoch": epoch, **Change.between(trajectories, min(epoch, other), max(epoch, other)).to_dict()}

    return {
        "to_last": [against(epoch, last) for epoch in trajectories.epochs],
        "to_best_loss": [against(epoch, best) for epoch in trajectories.epochs],
    }


def _reliability_facts(training: SeedTraining) -> dict[str, Any] | None:
    """The reliability diagram of the kept weights, and the calibration error of each epoch.

    None without the probabilities of all classes.
    """
    trajectories, shown = training.trajectories, Reliability.after(training.shown, training.shown_epoch)
    found: list[Reliability] = []
    for each in trajectories.epochs:
        one = Reliability.after(trajectories, each)
        if one is None or shown is None:
            return None
        found.append(one)
    errors = [
        {"epoch": number, "error": one.error, "floor": one.floor, "ceiling": one.ceiling, "shown": one.shown}
        for number, one in zip(trajectories.epochs, found, strict=True)
    ]
    return (
        None
        if shown is None
        else {"epoch": training.shown_epoch, "as": training.shown_as, **shown.to_dict(), "errors": errors}
    )


def _brier_facts(training: SeedTraining) -> dict[str, Any] | None:
    """The Brier score of the kept weights and its parts; None without all probabilities."""
    found = Brier.after(training.shown, training.shown_epoch)
    return None if found is None else {"epoch": training.shown_epoch, "as": training.shown_as, **found.to_dict()}


def _image_facts(training: SeedTraining) -> list[dict[str, Any]]:
    """The lists of images: mistakes of the kept weights, and images whose course over the epochs, if any, stands out.

    The rise begins at the best-loss epoch; where that is the last, at the first. An image that came from a file has its
    path in the dataset's folder as `file`.
    """
    trajectories = training.trajectories
    last, best = trajectories.last_epoch, trajectories.best_loss_epoch
    shown, course = ImageLists(training.shown), ImageLists(trajectories)
    lists = [
        shown.largest_loss(training.shown_epoch, when=training.shown_as),
        shown.confident_mistakes(training.shown_epoch, when=training.shown_as),
    ]
    of_course = (
        ()
        if not training.record.has_epochs
        else (
            course.carried_rise(best if best != last else trajectories.epochs[0], last),
            course.forgotten(last),
            course.never_learned(last),
            course.ever_more_confident(trajectories.epochs[0], last),
        )
    )
    found = [one.to_dict() for one in (*lists, *of_course)]
    if training.files:
        for one in found:
            for image in one["images"]:
                image["file"] = training.files[image["index"]]
    return found


def _class_facts(training: SeedTraining) -> dict[str, Any]:
    """The confusion matrix, the scores of each class, all pairs, and how many of these matter."""
    found = Classes.of(training.shown, training.shown_epoch)
    scores = found.scores
    return {
        **found.to_dict(),
        "as": training.shown_as,
        "mistakes": scores.count - scores.correct,
        "accuracy": scores.accuracy,
        "interval": list(scores.interval),
        "pairs_that_matter": [pair.to_dict() for pair in _pairs_that_matter(found)],
    }


def _pairs_that_matter(classes: Classes) -> list[MixedPair]:
    """Pairs that take more of the mistakes than an even share would be, beyond noise; at most `_MOST_PAIRS`.

    By an exact binomial test, corrected for the number of pairs (Bonferroni).
    """
    from scipy.special import bdtrc

    # Mistakes spread evenly over all pairs of classes are the null hypothesis: nothing is mixed up more than the rest.
    size = len(classes.scores.confusion)
    possible = size * (size - 1) // 2
    return [
        pair
        for pair in classes.pairs[:_MOST_PAIRS]
        if possible > 1 and possible * float(bdtrc(pair.count - 1, pair.mistakes, 1 / possible)) < SHOWN_BELOW
    ]
