"""Duplicates: what was planted is found, what is different is not, and the test part gives no label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.audits.check import CheckResult, Gallery
from fittingroom.audits.copy_search import find_copies
from fittingroom.audits.descriptors import small_images
from fittingroom.audits.near_copies import aligned, nearest_by_correlation, nearest_pairs
from fittingroom.audits.planted_copies import KINDS, planted_copies
from fittingroom.data.stored_images import StoredImages
from fittingroom.runs.ledger import Ledger

Images = npt.NDArray[np.uint8]


def silent(what: object, done: int = 0, total: int = 0) -> None:
    """Progress that nobody follows."""
    del what, done, total


def drawn(count: int, seed: int, side: int = 28, colours: bool = False) -> Images:
    """Different images: a few soft spots each."""
    random = np.random.default_rng(seed)
    grid = np.arange(side) / side
    images = np.zeros((count, side, side, 3 if colours else 1))
    for _ in range(6):
        down, right = random.random((2, count, 1, 1))
        width = random.uniform(0.04, 0.2, (count, 1, 1))
        spot = np.exp(-((grid[:, None] - down) ** 2 + (grid[None] - right) ** 2) / (2 * width**2))
        images += spot[..., None] * random.uniform(20, 200, (count, 1, 1, images.shape[3]))
    found = np.minimum(images, 255).astype(np.uint8)
    return found if colours else found[..., 0]


def audited(path: Path, train: Images, test: Images, labels: npt.NDArray[np.int64] | None = None) -> CheckResult:
    """The check of a dataset of these images without a validation part."""
    labels = np.arange(len(train)) % 2 if labels is None else labels
    np.savez(path, x_train=train, y_train=labels, x_test=test, y_test=np.arange(len(test)) % 2)
    return fr.audit(fr.load(path, validation=0), only="duplicates")["duplicates"]


@pytest.fixture(autouse=True)
def own_places(runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del runs_dir
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("colours", [False, True], ids=["grey", "colours"])
def test_planted_copies_of_every_kind_are_found_and_different_images_are_not(colours: bool) -> None:
    originals = drawn(250, 0, 40 if colours else 28, colours)
    copied = originals[:50]
    planted = planted_copies(copied, 255, 9)
    everything = np.concatenate([originals, *planted.values()])
    copies = find_copies({"train": everything}, 255, silent)
    of = np.concatenate([np.arange(250), *[np.arange(50)] * len(KINDS)])
    found = {(one, other) for other, one, _ in copies.links()}
    assert all(of[one] == of[other] for one, other in found)
    missed = {int(row) for row in range(250, len(everything))} - {other for _, other in found}
    assert len(missed) <= 0.02 * 50 * len(KINDS)
    assert copies.least is not None
    assert all(share >= 0.98 for share in copies.planted.values())


def test_exact_copies_are_counted_between_parts_and_with_their_labels(tmp_path: Path) -> None:
    train, test = drawn(120, 1), drawn(30, 2)
    train[100] = train[3]  # labels 0 and 1
    train[101] = train[5]  # labels 1 and 1
    test[7] = test[8] = train[9]
    result = audited(tmp_path / "data.npz", train, test)
    assert result.verdict == "found"
    assert result.facts["with_exact_copy"] == {"test": {"test": 2, "train": 2}, "train": {"test": 1, "train": 4}}
    assert result.facts["images_with_exact_copy"] == 7
    assert result.facts["pairs_with_different_labels"] == 1
    assert (result.facts["groups"], result.facts["largest_group"]) == (3, 3)
    rows = {(finding.part, finding.index): finding for finding in result.findings}
    assert set(rows) == {("train", 9), ("train", 100), ("train", 101)}
    assert rows["train", 9].other == ("test", 7)
    assert rows["train", 100].why == "exact copy, labelled 1 there"
    assert "2 of 30 test images (6.67%) have a copy among the training images." in result.sentences
    labels = [image.caption for one in result.evidence if isinstance(one, Gallery) for image in one.images]
    assert "training 100 · 0" in labels
    assert not any(caption.startswith("test") and "·" in caption for caption in labels)


def test_comparing_test_images_is_an_inspection_and_no_look(tmp_path: Path) -> None:
    result = audited(tmp_path / "data.npz", drawn(60, 3), drawn(20, 4))
    assert result.verdict == "clear"
    assert result.sentences[0] == "None of the 80 images is a copy of another, exact or near."
    assert Ledger.of_user().looks() == []
    assert len(Ledger.of_user().inspections()) == 1


def test_without_a_record_of_the_inspection_the_test_part_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "data.npz" / "ledger.sqlite"))  # a folder that cannot be
    train = drawn(60, 3)
    train[50] = train[1]
    result = audited(tmp_path / "data.npz", train, train[:20])
    assert result.facts["with_exact_copy"] == {"train": {"train": 2}}
    assert result.sentences[-1].startswith("Test images were not compared: ")


def test_images_that_are_alike_without_being_copies_are_not_called_copies(tmp_path: Path) -> None:
    train = drawn(200, 17, 60)[:, :, :20]  # hardly more than a gradient each
    result = audited(tmp_path / "data.npz", train, drawn(20, 18, 60)[:, :, :20])
    assert result.facts["near_copies_by_chance"]
    assert result.verdict == "unsure"
    assert "different images agree as well as copies do" in " ".join(result.sentences)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (drawn(40, 5, side=8), "Near copies were not looked for"),
        (np.repeat(np.arange(40, dtype=np.uint8)[:, None, None] // 2, 28 * 28, axis=1).reshape(-1, 28, 28), "40 of"),
        (np.repeat(drawn(4, 6), 10, axis=0), "40 of"),
        (drawn(4, 7), "None of"),
    ],
    ids=["tiny", "without contrast", "all copies", "few"],
)
def test_odd_data_are_examined_too(train: Images, said: str, tmp_path: Path) -> None:
    result = audited(tmp_path / "data.npz", train, drawn(8, 8, side=train.shape[1]))
    assert said in " ".join(result.sentences)


def test_the_nearest_are_those_of_all_distances_however_many_are_equal() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(2200, 5)).astype(np.float32)
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :4]
    expected = {tuple(sorted((row, int(other)))) for row, others in enumerate(nearest) for other in others}
    assert {tuple(pair) for pair in nearest_pairs(points, 4, silent).tolist()} == expected
    pairs = nearest_pairs(np.zeros((3000, 5), np.float32), 4, silent)
    assert 4 * 3000 / 2 <= len(pairs) <= 4 * 3000
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_a_shifted_mirror_image_is_laid_over_its_original() -> None:
    image = drawn(1, 11, 30, colours=True)[0]
    images = np.stack([image[1:27, :26], image[:26, 2:28][:, ::-1], drawn(1, 12, 26, colours=True)[0]])
    pairs, found = aligned(images, np.array([[0, 1], [0, 2], [1, 2]]), 0.99, silent)
    assert pairs.tolist() == [[0, 1]]
    assert found.mirrored[0]
    assert found.moved.tolist() == [[-1, 2]]
    np.testing.assert_allclose([found.agreement[0], found.correlation[0]], 1)


def test_correlation_with_the_nearest_is_pearsons() -> None:
    images, others = drawn(30, 13), drawn(200, 14)
    found, which = nearest_by_correlation(images, others, silent)
    both = np.corrcoef(np.concatenate([images, others]).reshape(230, -1))[:30, 30:]
    np.testing.assert_allclose(found, both.max(axis=1))
    assert (which == both.argmax(axis=1)).all()


def test_images_of_a_large_folder_are_made_small_as_others_are(tmp_path: Path) -> None:
    images = drawn(10, 15, 64, colours=True)
    np.save(tmp_path / "images.npy", images)
    stored = StoredImages([np.load(tmp_path / "images.npy", mmap_mode="r")])
    small = small_images(stored)
    assert small.shape == (10, 32, 32, 3)
    assert (small == small_images(images)).all()
    assert small_images(drawn(3, 16, 80)[:, :, :20]).shape == (3, 64, 16)
    mean = images[0, :2, :2].mean(axis=(0, 1))
    np.testing.assert_allclose(small[0, 0, 0], mean, atol=1)
    assert np.asarray(Image.fromarray(images[0]).resize((32, 32), Image.Resampling.BOX)).tolist() == small[0].tolist()
