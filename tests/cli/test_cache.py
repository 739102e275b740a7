"""`fittingroom cache`: what the cache holds, and deleting it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.user_cache import KINDS
from fittingroom.backbones.feature_cache import cached_features
from fittingroom.backbones.views import Views
from tests.backbones.fake_network import FakeNetwork, pictures
from tests.cli.conftest import Command


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a dataset, features, a file of weights, a program, and a file of somebody else."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(folder))
    fr.load("digits")
    cached_features(FakeNetwork("small-network-1"), pictures(40))
    cached_features(FakeNetwork("small-network-1"), pictures(50), views=Views(("flip",), 3))
    for name, size in {"weights/small.safetensors": 1500, "programs/a/train": 700, "notes.txt": 10}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    return folder


def test_the_cache_is_listed_by_kind_in_text_and_json(cache: Path, command: Command) -> None:
    done = command("cache", "--json")
    kinds = done.json["kinds"]
    assert list(kinds) == list(KINDS)
    assert [entry["what"] for entry in kinds["features"]["entries"]] == [
        "small-network-1: 50 images, each with 3 views",
        "small-network-1: 40 images",
    ]
    assert kinds["weights"]["bytes"] == 1500
    assert kinds["programs"]["entries"][0]["what"] == "1 program in programs"
    assert kinds["datasets"]["entries"][0]["what"].startswith("digits: scikit-learn's own copy")
    assert done.json["bytes"] == sum(kind["bytes"] for kind in kinds.values())
    text = command("cache").out
    assert "small-network-1: 40 images" in text
    assert f"Cache: {cache}\n" in text


def test_one_kind_is_cleared_and_the_others_stay(cache: Path, command: Command) -> None:
    before = command("cache", "--json").json
    done = command("cache", "--clear", "features", "--json")
    assert (done.status, done.json["left"]) == (0, [])
    assert done.json["bytes"] == before["kinds"]["features"]["bytes"] > 0
    after = command("cache", "--json").json
    assert after["kinds"]["features"]["entries"] == []
    assert after["bytes"] == before["bytes"] - done.json["bytes"]
    assert (cache / "notes.txt").exists()


def test_all_is_cleared_but_what_others_put_there(cache: Path, command: Command) -> None:
    assert command("cache", "--clear").out.startswith("Deleted the cache, 0.")
    assert [path.name for path in cache.iterdir()] == ["notes.txt"]
    assert command("cache").out == f"The cache is empty: {cache}\n"
    assert command("cache", "--clear").status == 0


@pytest.mark.parametrize("kind", ["notes.txt", "../", ""])
def test_a_kind_that_does_not_exist_is_refused(cache: Path, command: Command, kind: str) -> None:
    done = command("cache", "--clear", kind)
    assert done.status == 2
    assert f"unknown kind of cached files {kind!r}." in done.err
    assert "Known: downloads, datasets, features, audits, weights, programs." in done.err
    assert (cache / "features").exists()


def test_damaged_and_foreign_files_are_listed_without_a_word(cache: Path, command: Command) -> None:
    for path in cache.glob("*/*/*/contents.json"):
        path.write_bytes(b"[1, 2")
    (cache / "features" / "file").write_bytes(b"")
    (cache / "datasets" / "odd").mkdir()
    (cache / "datasets" / "odd" / "contents.json").write_text('{"facts": [1]}')
    done = command("cache", "--json")
    assert done.status == 0
    assert len(done.json["kinds"]["features"]["entries"]) == 2


def test_what_cannot_be_deleted_is_named(cache: Path, command: Command, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (cache / "weights").rename(elsewhere)
    (cache / "weights").symlink_to(elsewhere)  # a link is not followed
    done = command("cache", "--clear", "weights")
    assert done.status == 1
    assert "1 file could not be deleted, in use or of another user: " in done.out
    assert (elsewhere / "small.safetensors").exists()


def test_features_that_are_deleted_while_they_are_used_stay_readable(cache: Path, command: Command) -> None:
    features = cached_features(FakeNetwork("small-network-1"), pictures(40))
    before = np.array(features)
    command("cache", "--clear", "features")
    np.testing.assert_array_equal(features, before)
