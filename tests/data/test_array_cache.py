from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fittingroom.data.cache import DatasetSource
from fittingroom.data.contents import Contents, RawDataset, RawPart
from tests.data.builders import images, labels

ARRAYS = ("images", "labels", "test_images", "test_labels", "test_digests")


def contents(seed: int = 1) -> Contents:
    train = RawPart(images(60, seed=seed), labels(30, 30))
    test = RawPart(images(12, seed=seed + 1), labels(6, 6), images(12, 4, 4, seed).reshape(12, 16))
    return RawDataset(train, test, "a test", ("Hose", "Kleid 👗"), notes=("a note",), resize_rule="a rule").checked()


def made_from(version: int = 1, read: Callable[[], Contents] = contents) -> DatasetSource:
    """A source whose file is of some version."""
    return DatasetSource("c", (("source", 1, version),), read)


@pytest.fixture
def folder(cache: Path) -> Path:
    """Where the contents are cached."""
    return cache / "datasets" / "c"


def assert_same(one: Contents, other: Contents) -> None:
    for name, value in vars(other).items():
        np.testing.assert_array_equal(getattr(one, name), value)
        assert type(getattr(one, name)) is type(value)


def test_what_was_cached_comes_back_as_read_only_memory_maps() -> None:
    made_from().contents()
    back = made_from(read=lambda: pytest.fail("read again")).contents()
    assert_same(back, contents())
    assert isinstance(back.images.base, np.memmap)
    assert not back.images.flags.writeable


def test_another_stamp_makes_the_contents_again(folder: Path) -> None:
    made_from().contents()
    other = made_from(2, lambda: contents(5)).contents()
    assert_same(other, contents(5))
    assert [path.name for path in folder.parent.iterdir()] == ["c"]


def damage_truncate(folder: Path) -> None:
    os.truncate(folder / "images.npy", 1000)


def damage_in_the_middle(folder: Path) -> None:
    with (folder / "images.npy").open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"xyz")


def damage_missing(folder: Path) -> None:
    (folder / "test_labels.npy").unlink()


def damage_json(folder: Path) -> None:
    (folder / "contents.json").write_bytes((folder / "contents.json").read_bytes()[:-20])


def damage_empty_json(folder: Path) -> None:
    (folder / "contents.json").write_text("")


def damage_other_json(folder: Path) -> None:
    (folder / "contents.json").write_text("[1, 2]")


def damage_older_format(folder: Path) -> None:
    meta = json.loads((folder / "contents.json").read_text())
    (folder / "contents.json").write_text(json.dumps(meta | {"format": 0}))


def damage_one_bit(folder: Path, name: str = "images") -> None:
    """As a disk does it: size and time stay."""
    path = folder / f"{name}.npy"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damage_what_is_said(folder: Path) -> None:
    meta = json.loads((folder / "contents.json").read_text())
    facts = meta["facts"] | {"test_fingerprint": "0" * 32}
    (folder / "contents.json").write_text(json.dumps(meta | {"facts": facts}))


@pytest.mark.parametrize(
    "damage",
    [
        *(partial(damage_one_bit, name=name) for name in ARRAYS),
        damage_what_is_said,
        damage_truncate,
        damage_in_the_middle,
        damage_missing,
        damage_json,
        damage_empty_json,
        damage_other_json,
        damage_older_format,
    ],
)
def test_a_damaged_cache_is_noticed_and_made_again(folder: Path, damage: Callable[[Path], None]) -> None:
    made_from().contents()
    damage(folder)
    assert DatasetSource.cached_before("c") is None
    assert_same(made_from().contents(), contents())
    assert DatasetSource.cached_before("c") is not None


def test_a_cache_that_cannot_be_written_does_not_stop_the_work(cache: Path) -> None:
    cache.write_text("in the way")
    made = made_from().contents()
    np.testing.assert_array_equal(made.images, contents().images)
    assert made.notes[0] == "a note"
    assert "could not be cached for a quicker start" in made.notes[1]


def test_an_interrupted_writer_leaves_the_old_contents_and_no_draft(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_from().contents()

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fittingroom.data.cache.write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        made_from(2, lambda: contents(5)).contents()
    assert [path.name for path in folder.parent.iterdir()] == ["c"]
    back = DatasetSource.cached_before("c")
    assert back is not None
    assert_same(back, contents())


def test_drafts_of_killed_writers_are_removed_after_an_hour(folder: Path) -> None:
    for name in (".c.old", ".c.young"):
        (folder.parent / name).mkdir(parents=True)
    os.utime(folder.parent / ".c.old", (0, 0))
    made_from().contents()
    assert sorted(path.name for path in folder.parent.iterdir()) == [".c.young", "c"]


def test_writers_at_the_same_time_all_get_the_contents(folder: Path) -> None:
    results: list[Contents] = []
    threads = [threading.Thread(target=lambda: results.append(made_from().contents())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result.images, contents().images)
        assert result.notes == ("a note",)
    assert DatasetSource.cached_before("c") is not None
    assert [path.name for path in folder.parent.iterdir()] == ["c"]


def test_contents_stay_good_when_their_source_is_deleted_but_not_when_it_changes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    DatasetSource.of_files("c", None, (source,), contents).contents()
    assert DatasetSource.cached_before("c") is not None
    source.write_text("other")
    assert DatasetSource.cached_before("c") is None
    source.unlink()
    assert DatasetSource.cached_before("c") is not None
