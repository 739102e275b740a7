"""What was learned from held-out images is read as it was written, or its damage is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.out_of_distribution import NeighbourDetector, hog_features, unit_features
from fittingroom.answers.stored import JUDGEMENT, digest_of
from fittingroom.errors import RunError, StorageError

DIGEST = bytes(range(32))


@pytest.fixture
def judgement() -> Judgement:
    generator = np.random.default_rng(0)
    logs = np.log(generator.dirichlet(np.ones(3), 40))
    images = generator.integers(0, 256, (40, 8, 8)).astype(np.uint8)
    return Judgement.of(logs, generator.integers(0, 3, 40), hog_features(images, 255.0))


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path / JUDGEMENT.name) as stored:
        return dict(stored)


def changed(path: Path, **values: Any) -> None:
    """Writes the file again, with these arrays in place of those that it had; None takes one away."""
    stored = {name: value for name, value in {**arrays(path), **values}.items() if value is not None}
    np.savez(path / JUDGEMENT.name, allow_pickle=True, **stored)


def test_what_is_written_is_read(judgement: Judgement, tmp_path: Path) -> None:
    JUDGEMENT.write(tmp_path, judgement, DIGEST)
    found = JUDGEMENT.read(tmp_path, DIGEST, 3)
    assert found is not None
    assert isinstance(found.unlike, NeighbourDetector)
    assert isinstance(judgement.unlike, NeighbourDetector)
    assert (found.temperature, found.unlike.threshold) == (judgement.temperature, judgement.unlike.threshold)
    np.testing.assert_array_equal(found.conformal.scores, judgement.conformal.scores)
    np.testing.assert_array_equal(found.unlike.features, judgement.unlike.features)
    np.testing.assert_array_equal(found.unlike.classes, judgement.unlike.classes)
    np.testing.assert_array_equal(found.unlike.held_out_distances, judgement.unlike.held_out_distances)
    np.testing.assert_array_equal(found.unlike.surprises, judgement.unlike.surprises)
    assert [path.name for path in tmp_path.iterdir()] == [JUDGEMENT.name]


def test_a_run_that_has_none_and_one_of_other_weights_are_the_same(judgement: Judgement, tmp_path: Path) -> None:
    assert JUDGEMENT.read(tmp_path, DIGEST, 3) is None
    JUDGEMENT.write(tmp_path, judgement, DIGEST)
    assert JUDGEMENT.read(tmp_path, bytes(32), 3) is None


def test_one_of_an_older_version_is_as_good_as_none(judgement: Judgement, tmp_path: Path) -> None:
    JUDGEMENT.write(tmp_path, judgement, DIGEST)
    changed(tmp_path, format=np.int64(2))
    assert JUDGEMENT.read(tmp_path, DIGEST, 3) is None


def test_the_digest_is_of_the_weights_in_their_order(tmp_path: Path) -> None:
    for name, content in {"one": b"1", "two": b"2", "same": b"1"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
        (tmp_path / name / "weights.safetensors").write_bytes(content)
    one, two, same = (tmp_path / name for name in ("one", "two", "same"))
    assert digest_of([one]) == digest_of([same]) != digest_of([two])
    assert digest_of([one, two]) != digest_of([two, one])
    (one / "weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"has no weights\.safetensors"):
        digest_of([one])


def test_a_folder_that_cannot_be_written_keeps_what_it_had(judgement: Judgement, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=JUDGEMENT.name):
        JUDGEMENT.write(tmp_path / "file", judgement, DIGEST)


def test_any_damage_is_named_and_mended_by_deleting_the_file(judgement: Judgement, tmp_path: Path) -> None:
    JUDGEMENT.write(tmp_path, judgement, DIGEST)
    content = (tmp_path / JUDGEMENT.name).read_bytes()
    generator = np.random.default_rng(1)
    outlines = content.index(b"outlines.npy") + 200
    places = [outlines, outlines + 5000, content.index(b"scores.npy") + 160, len(content) - 30]
    for damaged in [
        content[:100],
        content[:-1],
        b"",
        b"text",
        *[flipped(content, place, generator) for place in places],
    ]:
        (tmp_path / JUDGEMENT.name).write_bytes(damaged)
        with pytest.raises(RunError, match=r"judgement\.npz is damaged.*Delete .*judgement\.npz: the next answer"):
            JUDGEMENT.read(tmp_path, DIGEST, 3)


def flipped(content: bytes, place: int, generator: np.random.Generator) -> bytes:
    return content[:place] + bytes([content[place] ^ int(generator.integers(1, 256))]) + content[place + 1 :]


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": np.float64("nan")},
        {"temperature": np.float64(1000)},
        {"temperature": np.ones(2)},
        {"threshold": np.float64(-1)},
        {"apart": np.zeros(39, np.float32)},
        {"doubts": np.arange(40, dtype=np.float32)[::-1]},
        {"scores": np.array([2, 1], np.float32)},
        {"scores": np.array([np.nan], np.float32)},
        {"scores": np.zeros((2, 2), np.float32)},
        {"outlines": np.zeros((40, 3), np.uint8)},
        {"outlines": np.zeros((39, 588), np.uint8)},
        {"classes": np.full(40, 3, np.int32)},
        {"classes": np.full(40, -1, np.int32)},
        {"classes": np.zeros(40)},
        {"classes": np.arange(40, dtype=np.int32) % 3},
        {"classes": np.int32(1)},
        {"format": np.array("1")},
        {"format": None},
        {"scores": None},
        {"scores": np.array([{"a": 1}], dtype=object)},
    ],
    ids=lambda values: f"{values}"[:40],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], judgement: Judgement, tmp_path: Path) -> None:
    JUDGEMENT.write(tmp_path, judgement, DIGEST)
    changed(tmp_path, **values)
    with pytest.raises(RunError, match=r"judgement\.npz is damaged"):
        JUDGEMENT.read(tmp_path, DIGEST, 3)


def test_a_newer_format_is_refused(judgement: Judgement, tmp_path: Path) -> None:
    JUDGEMENT.write(tmp_path, judgement, DIGEST)
    changed(tmp_path, format=np.int64(4))
    with pytest.raises(RunError, match=r"has the format 4, and this version of fittingroom reads up to 3"):
        JUDGEMENT.read(tmp_path, DIGEST, 3)


def test_features_of_a_backbone_are_read_as_they_were_written_and_others_are_damage(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    logs, features = np.log(generator.dirichlet(np.ones(3), 40)), unit_features(generator.random((40, 1280)))
    JUDGEMENT.write(tmp_path, Judgement.of(logs, generator.integers(0, 3, 40), features), DIGEST)
    found = JUDGEMENT.read(tmp_path, DIGEST, 3)
    assert found is not None
    assert found.compared == "features"
    for damaged in (np.full((40, 1280), np.inf, np.float16), np.zeros((40, 5_000), np.float16), np.zeros((40, 9))):
        changed(tmp_path, outlines=damaged)
        with pytest.raises(RunError, match="damaged"):
            JUDGEMENT.read(tmp_path, DIGEST, 3)
