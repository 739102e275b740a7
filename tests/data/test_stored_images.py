"""Folders larger than memory: images stay in a file of the cache, and answer as the arrays that they stand for."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.data.cache import cache_dir
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.data.stored_images import StoredImages
from fittingroom.data.values import fingerprint, image_blocks, image_digests
from fittingroom.errors import DataError
from tests.data.builders import images, write_picture_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_picture_folder(tmp_path_factory.mktemp("pictures") / "p", {"a": 40, "b": 30})


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder counts as large, and blocks have a few images."""
    monkeypatch.setattr("fittingroom.data.load._MOST_IN_MEMORY", 0)
    monkeypatch.setattr("fittingroom.data.values._BYTES_OF_A_BLOCK", 7 * 28 * 28)


def test_stored_images_are_indexed_as_an_array_is(tmp_path: Path) -> None:
    array = images(50, seed=1)
    np.save(tmp_path / "a.npy", array)
    mapped = np.asarray(np.load(tmp_path / "a.npy", mmap_mode="r"))
    rows = np.random.default_rng(0).permutation(50)[:30]
    stored, expected = StoredImages([mapped]).taken(rows), array[rows]
    mask = np.arange(30) % 3 == 0
    for key in (0, -1, np.int64(4), slice(3, 9), slice(None, None, 5), mask, np.flatnonzero(mask), [2, 2, 0], []):
        np.testing.assert_array_equal(stored[key], expected[key])
    np.testing.assert_array_equal(stored[3, 1:5, 2], expected[3, 1:5, 2])
    np.testing.assert_array_equal(stored[2:4, 1], expected[2:4, 1])
    np.testing.assert_array_equal(stored[..., 0], expected[..., 0])
    np.testing.assert_array_equal(np.asarray(stored), expected)
    np.testing.assert_array_equal(np.stack(list(stored)), expected)
    assert (stored.shape, stored.ndim, stored.dtype, stored.nbytes) == (
        expected.shape,
        3,
        np.dtype(np.uint8),
        expected.nbytes,
    )
    labels = np.zeros(30, np.int32)
    assert fingerprint(stored, labels) == fingerprint(expected, labels)  # type: ignore[arg-type]
    assert image_digests(stored, b"salt") == image_digests(expected, b"salt")  # type: ignore[arg-type]
    joined = StoredImages.joined([stored, array[:4], stored.taken(slice(0, 2))])
    np.testing.assert_array_equal(np.asarray(joined), np.concatenate([expected, array[:4], expected[:2]]))
    np.testing.assert_array_equal(copy.copy(stored), expected)
    with pytest.raises(IndexError):
        stored[30]
    with pytest.raises(AttributeError, match=r"30 images .* stay in a file: .*images\[:1000\]"):
        stored.mean()  # type: ignore[attr-defined]


def resident(path: Path) -> int:
    """Bytes of a file that are in this process's memory."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which pages are resident")
def test_what_was_read_does_not_stay_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones((100, 1024, 1024), np.uint8))
    mapped = np.asarray(np.load(path, mmap_mode="r"))
    assert sum(int(block.max()) for block in image_blocks(mapped)) == len(list(image_blocks(mapped)))
    assert resident(path) == 0
    stored = StoredImages([mapped])
    assert int(stored[::10].sum()) == 10 * 2**20
    assert resident(path) == 0
    assert mapped.max() == 1
    assert resident(path) > 90 * 2**20  # so the other numbers mean something


@pytest.mark.usefixtures("on_disk")
def test_a_large_folder_is_the_same_dataset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = load(folder)
    monkeypatch.undo()
    small = load(folder)
    assert isinstance(large.train.images, StoredImages)
    assert isinstance(small.train.images, np.ndarray)
    assert large.describe() == small.describe()
    for one, other in ((large.train, small.train), (large.validation, small.validation)):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.x, other.x)
        assert (one.files, one.counts()) == (other.files, other.counts())
    assert isinstance(large.test.open("look").images, StoredImages)
    whole = [large.test.joined([large.train]), small.test.joined([small.train])]
    assert whole[0].fingerprint == whole[1].fingerprint


def trained(folder: Path, out: Path) -> tuple[fr.Run, Dataset]:
    data = load(folder, validation=10)
    return fr.train(data, "course", epochs=1, out=out), data


@pytest.mark.usefixtures("on_disk", "quick_compiler")
def test_a_run_on_a_large_folder_is_that_on_a_small_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    large, data = trained(folder, tmp_path / "large")
    answers = large.answer(data.validation.images)  # type: ignore[union-attr]
    monkeypatch.undo()
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    small, _ = trained(folder, tmp_path / "small")
    assert [answer.to_dict() for answer in answers] == [
        answer.to_dict()
        for answer in small.answer(data.validation.images)  # type: ignore[union-attr]
    ]
    assert (large.path / "run.json").exists()
    assert large.evaluate().accuracy == small.evaluate().accuracy
    assert [path.name for path in large.path.rglob("images-*")] == [path.name for path in small.path.rglob("images-*")]


@pytest.mark.usefixtures("on_disk")
def test_images_that_training_from_scratch_has_no_room_for_are_refused_before_they_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(folder)
    monkeypatch.setattr("fittingroom.data.stored_images.machine_memory", lambda: 1e5)
    with pytest.raises(DataError, match=r"55 images of 28x28 pixels take 0.0 GB, .* twice; .*--recipe transfer"):
        fr.train(data, "course", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def drafts() -> list[Path]:
    return [path for path in (cache_dir() / "datasets").glob(".*") if path.is_dir()]


_SLOW = """
import sys, time
from fittingroom.data import decode
each = decode.each_of
def slow(title, work, paths):
    for one in each(title, work, paths):
        if title.startswith("Decoding"):
            print("decoded", flush=True)
            time.sleep(0.2)
        yield one
decode.each_of = slow
from fittingroom.data.load import load
load(sys.argv[1], image_size=21)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_reading_that_is_killed_leaves_nothing_half(folder: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline() == b"decoded\n"
        (draft,) = drafts()
        load(folder, image_size=20)  # a living draft stays
        assert draft.exists()
        process.send_signal(how)
        process.wait()
    assert bool(drafts()) == (how == signal.SIGKILL)
    assert load(folder, image_size=21).image_shape == (21, 21)
    assert not drafts()


def test_without_room_on_the_disk_the_memory_is_used_or_it_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10_000}))
    data = load(folder, image_size=22)
    assert "has 0.0 GB free, and the images take 0.0 GB" in data.notes[-1]
    monkeypatch.setattr("fittingroom.data.decode.machine_memory", lambda: 20_000.0)
    with pytest.raises(DataError, match=r"22x22 pixels take 0.0 GB, for which neither the cache folder .* Set FITTING"):
        load(folder, image_size=22)
    assert not drafts()
