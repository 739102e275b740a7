"""The monitor of drift: its bets by truth and by simulation, what it counts, what it keeps, and what it says."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.drift import simulated_alarms
from fittingroom.audits.check import CheckResult, EvidenceTable
from fittingroom.audits.drift import drift_result
from fittingroom.audits.drift_evidence import Bins, DriftEvidence
from fittingroom.audits.drift_monitor import FALSE_ALARMS, DriftMonitor, DriftPlace, kept_monitors
from fittingroom.audits.drift_quantities import names_of, values_of
from fittingroom.audits.drift_reference import DriftReference
from fittingroom.errors import RunError
from fittingroom.runs.json_files import plain

CLASSES = ("a", "b", "c")
SHAPE = (8, 8)


def drawn(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], list[tuple[int, float, float]]]:
    """Random images and answers to them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *SHAPE)).astype(np.uint8)
    answers = zip(rng.integers(0, 3, count).tolist(), rng.random(count), rng.random(count), strict=True)
    return images, [(named, float(confidence), float(rarity)) for named, confidence, rarity in answers]


def reference_of(count: int = 400, seed: int = 0) -> DriftReference:
    images, answers = drawn(count, seed)
    return DriftReference(values_of(images, 255.0, *zip(*answers, strict=True)), 0.05, names_of(SHAPE), 3)


def said_of(monitors: list[DriftMonitor], reference: DriftReference) -> CheckResult:
    """What is said, which must survive a way through JSON."""
    result = drift_result(reference, monitors, CLASSES)
    again = CheckResult.from_dict(json.loads(json.dumps(plain(result.to_dict()), allow_nan=False)))
    assert again.sentences == result.sentences
    return result


def test_without_drift_capital_neither_grows_nor_shrinks_on_average() -> None:
    """For very few validation images too, with ties, and after any number of images."""
    rng = np.random.default_rng(3)
    ends = []
    for _ in range(1_500):
        values = rng.integers(0, 6, (29, 2)).astype(float)
        bins = [Bins.of(column) for column in values[:12].T]
        places = np.stack([one.places(column) for one, column in zip(bins, values[12:].T, strict=True)], axis=1)
        ends.append(DriftEvidence(tuple(one.counts for one in bins), draws=rng).take(places)[[0, 5, -1]])
    mean, error = np.mean(ends, axis=0), np.std(ends, axis=0) / math.sqrt(len(ends))
    assert (np.abs(mean - 1) < 4 * error).all()
    assert (error < 0.05).all()


def test_false_alarms_over_all_time_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 streams, at most 2 are expected to reach 20, and 7 with a probability of less than 1%."""
    monkeypatch.setattr("benchmarks.drift.BATCHES", 500)
    assert (simulated_alarms(60, 40, seed=1) >= 20).sum() < 7


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [50, 5_000])
def test_of_streams_of_ten_thousand_batches_at_most_a_twentieth_raises_an_alarm(held_out: int) -> None:
    assert (simulated_alarms(held_out, 200, seed=2) >= 20).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("calm", [0, 5_000])
@pytest.mark.parametrize(
    ("shift", "spread"), [(0.7, 1.0), (-0.7, 1.0), (0.0, 2.0), (0.0, 0.4)], ids=["higher", "lower", "wider", "narrower"]
)
def test_a_drift_of_one_quantity_is_found_soon_whenever_it_comes(calm: int, shift: float, spread: float) -> None:
    rng = np.random.default_rng(calm)
    values = rng.normal(size=(1_000 + calm + 400, 5))
    values[1_000 + calm :, 2] = shift + spread * values[1_000 + calm :, 2]
    bins = [Bins.of(column) for column in values[:1_000].T]
    evidence = DriftEvidence(tuple(one.counts for one in bins), draws=rng)
    places = np.stack([one.places(column) for one, column in zip(bins, values[1_000:].T, strict=True)], axis=1)
    capital = evidence.take(places)
    assert capital[:calm].max(initial=1.0) < 20
    assert calm < int((capital >= 20).argmax()) <= calm + 300
    assert int(evidence.highest_of.argmax()) == 2


def test_the_bound_holds_for_all_processes_together() -> None:
    reference = reference_of()
    assert sum(1 / DriftMonitor(reference, process).needed for process in range(100)) <= FALSE_ALARMS


def test_images_that_edges_are_drawn_from_are_not_counted() -> None:
    """Else new images would fall above the largest one more often than counted ones."""
    found = Bins.of(np.arange(1_000.0))
    assert found.counts.sum() == 900
    assert Bins.of(np.zeros(30)).counts.tolist() == [0, 20]


def test_what_pixels_give_by_closed_forms() -> None:
    stripes = np.zeros((1, 8, 8))
    stripes[:, :, ::2] = 16.0  # upright ones, on a scale of 16
    lone = np.zeros((1, 8, 8))
    lone[0, 7, 0] = 8.0
    names = names_of(SHAPE)
    striped, single = (
        dict(zip(names, values_of(one, 16.0, [2], [0.5], [0.3])[0].tolist(), strict=True)) for one in (stripes, lone)
    )
    assert striped["brightness"] == striped["contrast"] == striped["area"] == pytest.approx(0.5)
    assert striped["upright"] == striped["detail"] == pytest.approx(1)
    assert (single["across"], single["down"]) == pytest.approx((0, 1))
    assert single["brightness"] == pytest.approx(0.5 / 64)
    assert [single[name] for name in ("class", "confidence", "unlike")] == pytest.approx([2, 0.5, 0.3])


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (224, 150, 3), (20,), (4, 1), (2, 2)])
def test_images_of_any_shape_have_finite_values(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    images[0], images[1].flat[0] = 0, np.nan
    values = values_of(images, 1.0, [0, 1, 2], [1, 1, 1], [0, 0, 0])
    assert values.shape == (3, len(names_of(shape)))
    assert np.isfinite(values).all()


def test_it_says_what_differs_and_no_more_than_it_knows() -> None:
    reference, process = reference_of(), DriftMonitor(reference_of())
    assert said_of([], reference).verdict == "not examined"
    process.take(*args(*drawn(20, 1)))
    few = said_of([process], reference)
    assert (few.verdict, few.sentences[0]) == (
        "unsure",
        "Only 20 images came, too few to tell whether they are like the validation images.",
    )
    process.take(*args(*drawn(300, 2)))
    calm = said_of([process], reference)
    assert calm.verdict == "clear"
    assert not calm.facts["alarm"]
    assert calm.sentences[0].startswith("320 images came, and nothing shows that they differ")
    images, answers = drawn(300, 3)
    process.take(images, 255.0, [(1, confidence, 0.0) for _, confidence, _ in answers])
    found = said_of([process], reference)
    assert found.verdict == "found"
    assert 320 < found.facts["noticed"] < 400
    assert "share unlike the training images and predicted classes" in found.sentences[1]
    assert [one["name"] for one in found.facts["quantities"] if one["differs"]] == ["class", "unlike"]
    last = found.facts["newest_images"]
    assert found.sentences[2].startswith(f"{found.facts['unlike']['newest']:.1%} of the last {last} images are unlike")
    assert "are taken for b" in found.sentences[3]
    table = found.evidence[1]
    assert isinstance(table, EvidenceTable)
    assert table.rows[0][0] == "b"


def args(images: npt.NDArray[np.uint8], answers: list[tuple[int, float, float]]) -> tuple[Any, ...]:
    return images, 255.0, answers


def test_counts_of_several_processes_are_added_and_one_alarm_is_enough() -> None:
    reference = reference_of()
    first, second = DriftMonitor(reference, 0), DriftMonitor(reference, 1)
    first.take(*args(*drawn(100, 1)))
    images, answers = drawn(200, 2)
    second.take(images // 4, 255.0, answers)
    found = said_of([first, second], reference)
    assert (found.verdict, found.facts["images"], found.facts["processes"]) == ("found", 300, 2)
    assert sum(found.facts["quantities"][0]["served"]) == 300
    assert found.facts["noticed"] == second.noticed


def test_a_process_that_follows_continues_where_the_last_one_ended(tmp_path: Path) -> None:
    reference = reference_of()
    monitor, place = DriftMonitor(reference), DriftPlace.taken(tmp_path / "drift")
    assert place is not None
    other = DriftPlace.taken(tmp_path / "drift")  # at the same time
    assert other is not None
    assert (place.process, other.process) == (0, 1)
    monitor.take(*args(*drawn(700, 1)))
    assert place.write(monitor)
    with pytest.raises(RunError, match="is served at the moment"):
        DriftPlace.forget(tmp_path / "drift")
    place.free()
    other.free()
    following, place = DriftMonitor(reference), DriftPlace.taken(tmp_path / "drift")
    assert place is not None
    assert place.read(following) is None
    assert following.to_dict() == monitor.to_dict()
    assert [one.to_dict() for one in kept_monitors(tmp_path / "drift", reference)] == [monitor.to_dict()]
    changed = DriftMonitor(reference_of(seed=9))
    assert "other validation images" in (place.read(changed) or "")
    assert changed.all.images == 0
    place.free()
    assert DriftPlace.forget(tmp_path / "drift") == 1
    assert kept_monitors(tmp_path / "drift", reference) == []


def test_what_is_kept_are_counts_and_no_images(tmp_path: Path) -> None:
    """However many came, the file has the same few thousand numbers."""
    monitor, place = DriftMonitor(reference_of()), DriftPlace.taken(tmp_path)
    assert place is not None
    sizes = []
    for seed in range(3):
        monitor.take(*args(*drawn(1_000, seed)))
        assert place.write(monitor)
        sizes.append((tmp_path / "0.json").stat().st_size)
    place.free()
    assert max(sizes) < 1.2 * min(sizes) < 30_000
    assert {path.name for path in tmp_path.iterdir()} == {"0.json", "0.lock"}


def test_any_damage_to_what_is_kept_is_noticed_and_counting_begins_afresh(tmp_path: Path) -> None:
    reference, place = reference_of(), DriftPlace.taken(tmp_path)
    assert place is not None
    monitor = DriftMonitor(reference)
    monitor.take(*args(*drawn(100, 1)))
    whole = monitor.to_dict()
    odd: list[Any] = [None, -1, "x", {}, 1e308, [[1]]]
    spots = [(name,) for name in whole] + [("evidence", name) for name in whole["evidence"]]
    spots += [("all", name) for name in whole["all"]]
    for spot in spots:
        for value in odd:
            stored = json.loads(json.dumps(whole))
            inner = stored
            for name in spot[:-1]:
                inner = inner[name]
            inner[spot[-1]] = value
            (tmp_path / "0.json").write_text(json.dumps(stored), encoding="utf-8")
            fresh = DriftMonitor(reference)
            problem = place.read(fresh)
            assert (fresh.all.images == 0) == (problem is not None) or spot[-1] == "images"
            said_of([fresh], reference)
            fresh.take(*args(*drawn(5, 2)))
    (tmp_path / "0.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"0\.json"):
        kept_monitors(tmp_path, reference)
    place.free()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_without_a_place_to_write_it_remembers_while_it_lives(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert DriftPlace.taken(tmp_path / "drift") is None
    tmp_path.chmod(0o700)
