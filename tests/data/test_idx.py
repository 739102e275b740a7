from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fittingroom.data.idx import FourFiles
from fittingroom.errors import DataError
from tests.data.builders import IDX_TYPES, idx_bytes, images, labels, write_idx


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(
    array=st.sampled_from(sorted(IDX_TYPES)).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind).newbyteorder("="), hnp.array_shapes(min_dims=3, max_dims=4, min_side=0))
    ),
    packed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_was_written_comes_back(folder: Path, array: np.ndarray, packed: bool) -> None:
    path = write_idx(folder / ("a.gz" if packed else "a"), array)
    back = FourFiles.images_of(path)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert back.shape == array.shape


@given(values=st.lists(st.integers(0, 255)), packed=st.booleans())
@settings(max_examples=20, deadline=None)
def test_labels_come_back(folder: Path, values: list[int], packed: bool) -> None:
    path = write_idx(folder / ("l.gz" if packed else "l"), np.array(values, np.uint8))
    assert FourFiles.labels_of(path).tolist() == values


@given(cut=st.integers(0, 600), flip=st.integers(0, 600), packed=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_cut_or_changed_file_never_fails_otherwise_than_with_a_data_error(
    folder: Path, cut: int, flip: int, packed: bool
) -> None:
    whole = idx_bytes(np.zeros((3, 5, 7), np.uint8))
    content = bytearray(gzip.compress(whole) if packed else whole)
    content[flip % len(content)] ^= 0x41
    path = folder / "changed"
    path.write_bytes(bytes(content[: cut or None]))
    with contextlib.suppress(DataError):
        FourFiles.images_of(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x00", "begins with the bytes 00 00"),
        (b"<!DOCTYPE html><html><body>404</body>", "looks like a web page"),
        (b"\n<HTML><head>", "looks like a web page"),
        (b"label,pixel1,pixel2\n", "looks like text that begins with 'label,pixel1,pixel2"),
        (b"\x00\x00\x0a\x03" + bytes(40), "begins with the bytes 00 00 0a 03"),
        (b"\x89PNG\r\n\x1a\n" + bytes(9), "looks like a PNG picture"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_not_idx_is_named(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=f"not an IDX file: it {message}"):
        FourFiles.images_of(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_that_declares_terabytes_is_refused_with_both_sizes_and_nothing_allocated(
    tmp_path: Path, suffix: str
) -> None:
    path = write_idx(tmp_path / f"a{suffix}", images(10), declared=(60000, 28000, 28000))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"declares 47,040,000,000,000 bytes.*7,840|hold at most"):
        FourFiles.images_of(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_header_that_declares_more_than_is_unpacked_gives_both_sizes(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a.gz", images(10), declared=(11, 28, 28))
    with pytest.raises(DataError, match="declares 8,624 bytes of values, but has 7,840"):
        FourFiles.images_of(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bytes_after_the_end_are_an_error(tmp_path: Path, suffix: str) -> None:
    path = write_idx(tmp_path / f"a{suffix}", images(10), declared=(9, 28, 28))
    with pytest.raises(DataError, match="declares 7,056 bytes of values, but has more"):
        FourFiles.images_of(path)


def test_cut_off_gzip_names_the_offset(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a.gz", images(100))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"is cut off: its \d\d,\d{3} compressed bytes hold only [1-9]\d*,\d{3} of 78,400 bytes"
    ):
        FourFiles.images_of(path)


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_gzip_without_its_last_bytes_is_cut_off_too(tmp_path: Path, missing: int) -> None:
    path = write_idx(tmp_path / "a.gz", images(3))
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DataError, match="cut off"):
        FourFiles.images_of(path)


def test_gzip_with_a_wrong_checksum_is_damaged(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a.gz", images(3))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged after 2,352 of 2,352 bytes"):
        FourFiles.images_of(path)


def test_a_gzip_bomb_stops_at_what_the_header_declares(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx_bytes(images(2)) + bytes(100_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="declares 1,568 bytes of values, but has more"):
        FourFiles.images_of(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_more_than_fits_in_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 8_000_000, 28, 28)
    path.write_bytes(gzip.compress(header + np.random.default_rng(0).bytes(7_000_000), 1))
    with pytest.raises(DataError, match="declares 6,272,000,000 bytes of values; at most 4,294,967,296 are read"):
        FourFiles.images_of(path)


def test_labels_where_images_should_be_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 1 dimension\(s\), but images have 3 .* swapped"):
        FourFiles.images_of(write_idx(tmp_path / "a", labels(3, 3)))
    with pytest.raises(DataError, match=r"has 3 dimension\(s\), but labels have 1"):
        FourFiles.labels_of(write_idx(tmp_path / "b", images(3)))


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere: No such file"):
        FourFiles.images_of(tmp_path / "nowhere")
