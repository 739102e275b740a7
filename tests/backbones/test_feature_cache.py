"""What the cache of features keeps, finds again, and survives."""

from __future__ import annotations

import logging
import math
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.backbones import feature_cache, feature_store
from fittingroom.backbones.feature_cache import cached_features, features_folder
from fittingroom.backbones.views import Views
from fittingroom.data.stored_images import StoredImages
from fittingroom.errors import Interrupted, StorageError
from fittingroom.progress import Progress
from tests.backbones.fake_network import SHAPE, FakeNetwork, pictures
from tests.contracts.source import ROOT

FLIP = ("flip",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of each test's own."""
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))
    feature_cache._say_once.cache_clear()
    return tmp_path / "cache"


def expected(images: np.ndarray) -> np.ndarray:
    """What the network says of images, in 16 bits."""
    return FakeNetwork().features(images).astype(np.float16)


def only(name: str) -> Path:
    """The only file with this name in the cache of features."""
    (path,) = features_folder().glob(f"*/*/{name}")
    return path


def test_features_are_computed_once_and_mapped_the_second_time() -> None:
    network, images = FakeNetwork(), pictures(300)
    first, second = cached_features(network, images), cached_features(network, images)
    assert network.pictures == 300
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    assert second.dtype == np.float16
    assert second.shape == (300, *SHAPE)
    np.testing.assert_array_equal(first, expected(images))
    np.testing.assert_array_equal(second, first)


def test_views_stand_behind_the_image_as_it_is_and_are_computed_once() -> None:
    network, images, views = FakeNetwork(), pictures(70), Views(FLIP, 3)
    features = cached_features(network, images, views=views)
    assert features.shape == (70, 4, *SHAPE)
    np.testing.assert_array_equal(features[:, 0], expected(images))
    np.testing.assert_array_equal(features[:, 1], expected(images[:, :, ::-1]))
    np.testing.assert_array_equal(features[:, 2], features[:, 0])
    assert network.pictures == 4 * 70
    cached_features(network, images, views=views)
    assert network.pictures == 4 * 70


@settings(max_examples=15)
@given(
    lists=st.lists(st.lists(st.integers(0, 29), max_size=40), min_size=1, max_size=4),
    counts=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    colours=st.booleans(),
)
def test_any_choice_of_images_in_any_order_gets_its_own_features_and_nothing_is_computed_twice(
    lists: list[list[int]], counts: list[int], *, colours: bool
) -> None:
    shutil.rmtree(features_folder(), ignore_errors=True)
    network, images = FakeNetwork(), pictures(30, colours=colours)
    all_views: dict[tuple[int, int], bytes] = {}
    for chosen, count in zip(lists, counts, strict=False):
        before = network.pictures
        views = Views(FLIP, count) if count else None
        features = cached_features(network, images[np.array(chosen, int)], views=views)
        features = features.reshape(len(chosen), 1 + count, *SHAPE)
        np.testing.assert_array_equal(features[:, 0], expected(images)[chosen])
        new = 0
        for place, image in enumerate(chosen):
            for view in range(1 + count):
                new += (image, view) not in all_views or chosen.index(image) < place
                content = features[place, view].tobytes()
                assert all_views.setdefault((image, view), content) == content
        assert network.pictures - before <= new


def test_another_network_other_changes_and_another_shape_of_the_same_bytes_are_not_mistaken_for_each_other() -> None:
    network, other = FakeNetwork(), FakeNetwork("fake network, 2")
    images = pictures(10)
    cached_features(network, images)
    cached_features(other, images)
    assert other.pictures == 10
    cached_features(network, images.reshape(10, 6, 8, 3))
    assert network.pictures == 20
    cached_features(network, images, views=Views(FLIP, 1))
    assert network.pictures == 30
    cached_features(network, images, views=Views((*FLIP, "crop 20"), 1))
    assert network.pictures == 40


def test_images_that_stay_in_a_file_are_the_same_images() -> None:
    network, images = FakeNetwork(), pictures(300)
    in_file = StoredImages([images[:100], images[100:]]).taken(np.arange(300)[::-1])
    np.testing.assert_array_equal(cached_features(network, in_file), expected(images)[::-1])
    np.testing.assert_array_equal(cached_features(network, images), expected(images))
    assert network.pictures == 300


def test_no_images_have_no_features() -> None:
    assert cached_features(FakeNetwork(), pictures(0)).shape == (0, *SHAPE)
    assert cached_features(FakeNetwork(), pictures(0), views=Views(FLIP, 2)).shape == (0, 3, *SHAPE)


def test_numbers_beyond_16_bits_stay_finite() -> None:
    class Large(FakeNetwork):
        def features(self, images: np.ndarray, *, threads: int | None = None) -> np.ndarray:
            return super().features(images, threads=threads) * 1e6

    assert np.isfinite(cached_features(Large(), pictures(5))).all()


@settings(max_examples=25)
@given(data=st.data())
def test_any_damage_is_found_and_only_what_is_damaged_is_computed_again(data: st.DataObject) -> None:
    shutil.rmtree(features_folder(), ignore_errors=True)
    network, images = FakeNetwork(), pictures(300)
    whole = np.array(cached_features(network, images))
    name = data.draw(st.sampled_from(["features.f16", "blocks.txt", "images.bin", "contents.json"]))
    path = only(name)
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "delete", "add"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut":
        del content[place:]
    elif kind == "add":
        content[place:place] = b"\x80\n7"
    path.unlink() if kind == "delete" else path.write_bytes(content)
    again = FakeNetwork()
    np.testing.assert_array_equal(cached_features(again, images), whole)
    if kind == "flip" and name == "features.f16":
        assert 1 <= again.pictures <= 64
    if name in {"images.bin", "contents.json"}:
        assert again.pictures == 0
    last = FakeNetwork()
    np.testing.assert_array_equal(cached_features(last, images), whole)
    assert last.pictures == 0


def test_damage_is_said(caplog: pytest.LogCaptureFixture) -> None:
    cached_features(FakeNetwork(), pictures(300))
    path = only("features.f16")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "fittingroom"):
        cached_features(FakeNetwork(), pictures(300))
    assert caplog.messages == ["The stored features of 44 images were damaged; they are computed again."]


def slow_process(count: int, seconds: float) -> subprocess.Popen[str]:
    """A process that computes features of the pictures of seed 0."""
    command = [sys.executable, "-m", "tests.backbones.fake_network", str(count), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_what_was_computed_before_a_process_was_ended_is_kept(ending: signal.Signals) -> None:
    images = pictures(64 * 30)
    process = slow_process(len(images), 0.001)
    while process.poll() is None:
        journals = list(features_folder().glob("*/*/blocks.txt"))
        if journals and journals[0].read_bytes().count(b"claimed") > 8:
            break
        time.sleep(0.01)
    process.send_signal(ending)
    _, errors = process.communicate()
    assert process.returncode != 0
    if ending == signal.SIGINT:
        assert re.search(r"the features of [\d,]+ of 1,920 images are kept for the next training\.", errors)
    network = FakeNetwork()
    np.testing.assert_array_equal(cached_features(network, images), expected(images))
    assert 0 < network.pictures <= len(images) - 5 * 64


def test_what_an_ended_process_left_serves_other_datasets_with_the_same_images() -> None:
    images = pictures(300)
    cached_features(FakeNetwork(), images)
    content, journal = only("features.f16"), only("blocks.txt")
    content.write_bytes(content.read_bytes()[: 64 * 2 * math.prod(SHAPE)])
    written = [line for line in journal.read_text().splitlines(keepends=True) if line.startswith("0 ")]
    journal.write_text("".join(written))
    network = FakeNetwork()
    np.testing.assert_array_equal(cached_features(network, images[20:200]), expected(images[20:200]))
    assert network.pictures == 200 - 64


def test_two_processes_at_once_share_the_work_and_get_the_same() -> None:
    count = 64 * 24
    answers = [process.communicate()[0].split() for process in [slow_process(count, 0.001) for _ in range(2)]]
    made = [int(pictures_made) for pictures_made, _ in answers]
    assert count <= sum(made) <= 1.5 * count  # nobody waits for the last blocks of the other
    assert answers[0][1] == answers[1][1] == str(expected(pictures(count)).sum(dtype=np.float64))


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def assert_in_memory_with_a_note(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    network, images = FakeNetwork(), pictures(500)
    with caplog.at_level(logging.WARNING, "fittingroom"):
        features = cached_features(network, images)
    np.testing.assert_array_equal(features, expected(images))
    assert not isinstance(features, np.memmap)
    (note,) = caplog.messages
    assert note.startswith("The features could not be kept, so the next training computes them again: ")
    assert reason in note


def test_a_disk_that_gets_full_is_left_and_the_features_are_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    with small_files(3000):
        assert_in_memory_with_a_note(caplog, "File too large")
    assert not list(features_folder().glob("*/*"))


def test_what_was_kept_before_the_disk_got_full_stays(caplog: pytest.LogCaptureFixture) -> None:
    cached_features(FakeNetwork(), pictures(500))
    journal = only("blocks.txt")
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:6]))
    with small_files(3000):
        assert_in_memory_with_a_note(caplog, "features.f16: ")
    network = FakeNetwork()
    cached_features(network, pictures(500))
    assert 0 < network.pictures < 500


def test_a_disk_without_room_is_not_begun_to_fill(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "_SPARE_BYTES", 2**60)
    assert_in_memory_with_a_note(caplog, "they take 6.0 kB, 1,152,921,504.6 GB stay free for the run, and the disk of ")
    assert not list(features_folder().glob("*/*/features.f16"))


def test_where_the_cache_cannot_be_written_the_features_are_in_memory(
    caplog: pytest.LogCaptureFixture, cache: Path
) -> None:
    cache.write_text("a file where the folder should be")
    assert_in_memory_with_a_note(caplog, "a part of the path is a file")


def test_features_of_a_cache_that_cannot_be_written_are_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    images = pictures(40)
    cached_features(FakeNetwork(), images)

    def refuse(*_: object) -> None:
        raise StorageError("the file system is read-only")

    monkeypatch.setattr(feature_store.StoredFeatures, "create", refuse)
    network = FakeNetwork()
    assert isinstance(cached_features(network, images), np.memmap)
    assert (network.pictures, caplog.messages) == (0, [])


def test_features_that_have_room_nowhere_are_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    cache.write_text("a file where the folder should be")
    monkeypatch.setattr(feature_cache, "machine_memory", lambda: 100.0)
    with pytest.raises(StorageError, match=r"the features of 10 images take 0\.1 kB, for which neither .* Set FITTING"):
        cached_features(FakeNetwork(), pictures(10))


class Told(Progress):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)


def test_progress_says_how_many_images_are_done_and_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "_SECONDS_BETWEEN_STAGES", 0.01)
    monkeypatch.setattr(feature_cache, "_SECONDS_BEFORE_ESTIMATE", 0.05)
    told = Told()
    cached_features(FakeNetwork(seconds=0.001), pictures(300), progress=told)
    assert told.stages[0] == "looking up the features of 300 images"
    assert told.stages[1] == "computing features: 0 of 300 images"
    assert any(text.endswith(" s left") for text in told.stages)


def test_an_error_of_the_network_ends_the_work_and_is_raised() -> None:
    class Broken(FakeNetwork):
        def features(self, images: np.ndarray, *, threads: int | None = None) -> np.ndarray:
            raise ValueError("these are no images")

    with pytest.raises(ValueError, match="these are no images"):
        cached_features(Broken(), pictures(1000))


def test_an_interrupt_while_features_are_computed_says_what_is_kept() -> None:
    class Interrupting(Progress):
        def stage(self, text: str) -> None:
            if "computing" in text:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"the features of \d+ of 300 images are kept for the next"):
        cached_features(FakeNetwork(), pictures(300), progress=Interrupting())
