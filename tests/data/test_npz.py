from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fittingroom.data.npz import NpzFile
from fittingroom.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("npz")


class Malice:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def npy_bytes(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An NPY file with a header of one's own."""
    text = header.encode("latin1").ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(2 if version == (1, 0) else 4, "little") + text + content


def write_member(path: Path, name: str, content: bytes, packing: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr(name, content)
    return path


@given(
    array=hnp.arrays(
        st.one_of(
            hnp.integer_dtypes(endianness="?"),
            hnp.unsigned_integer_dtypes(endianness="?"),
            hnp.floating_dtypes(endianness="?"),
            hnp.boolean_dtypes(),
        ),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0),
    ),
    fortran=st.booleans(),
    packed=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_what_was_written_comes_back(folder: Path, array: np.ndarray, fortran: bool, packed: bool) -> None:
    path = folder / "a.npz"
    (np.savez_compressed if packed else np.savez)(path, a=np.array(array, order="F" if fortran else "C"))
    back = NpzFile(path).read("a")
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back, array)


@given(cut=st.integers(0, 500), at=st.integers(0, 500), flip=st.integers(0, 255), packed=st.booleans())
@settings(max_examples=250, deadline=None)
def test_a_cut_or_changed_file_never_fails_otherwise_than_with_a_data_error(
    folder: Path, cut: int, at: int, flip: int, packed: bool
) -> None:
    stream = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, a=np.arange(24).reshape(2, 3, 4))
    content = bytearray(stream.getvalue())
    content[at % len(content)] ^= flip
    path = folder / "changed.npz"
    path.write_bytes(bytes(content[: cut or None]))
    try:
        for name in NpzFile(path).names():
            NpzFile(path).read(name)
    except DataError:
        pass


def test_a_way_of_packing_that_cannot_be_read_is_an_error_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(3))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 109  # the version of zip that is needed, in the directory
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cut off or damaged \(zip file version 10\.9\)"):
        NpzFile(path).names()


def test_pickled_objects_are_refused_with_the_reason_and_never_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.array([Malice(str(tmp_path / "made"))], dtype=object))
    with pytest.raises(DataError, match=r"'x_train' of .* pickled Python objects, which can run any code"):
        NpzFile(tmp_path / "a.npz").read("x_train")
    assert not (tmp_path / "made").exists()
    np.savez(tmp_path / "b.npz", y_train=np.array(["cat", "dog"], dtype=object))
    with pytest.raises(DataError, match=r"for example with \.astype\('uint8'\), or of text with \.astype\(str\)"):
        NpzFile(tmp_path / "b.npz").read("y_train")


def test_a_structure_with_objects_inside_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([(1, "x")], dtype=[("n", "i4"), ("o", "O")]))
    with pytest.raises(DataError, match="pickled Python objects"):
        NpzFile(tmp_path / "a.npz").read("a")


def test_an_absurd_shape_is_refused_with_what_is_really_there(tmp_path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 28)}"
    path = write_member(tmp_path / "a.npz", "a.npy", npy_bytes(header, b"12345"))
    with pytest.raises(DataError, match=r"shape \(1000000, 1000000, 28\).* 28,000,000,000,000 bytes, but has 5\."):
        NpzFile(path).read("a")


def test_a_negative_dimension_is_refused(tmp_path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (-5, -1)}"
    path = write_member(tmp_path / "a.npz", "a.npy", npy_bytes(header, b"12345"))
    with pytest.raises(DataError, match=r"shape \(-5, -1\)"):
        NpzFile(path).read("a")


def test_a_member_that_lies_about_its_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2000000000,)}"
    content = npy_bytes(header, b"12345")
    path = write_member(tmp_path / "a.npz", "a.npy", content)
    size = (2_000_000_000 + len(content) - 5).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(len(content).to_bytes(4, "little"), size))
    with pytest.raises(DataError, match=r"declares 2,000,000,000 bytes of values; .* hold at most"):
        NpzFile(path).read("a")


@pytest.mark.parametrize(
    ("array", "kind"), [(np.array(["a"]), "<U1"), (np.array([1j]), "complex128"), (np.array([b"x"]), r"\|S1")]
)
def test_what_is_no_number_is_refused(tmp_path: Path, array: np.ndarray, kind: str) -> None:
    np.savez(tmp_path / "a.npz", a=array)
    with pytest.raises(DataError, match=f"of type {kind}; expected numbers"):
        NpzFile(tmp_path / "a.npz").read("a")


def test_a_missing_array_lists_those_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=[1], answers=[2])
    assert NpzFile(tmp_path / "a.npz").names() == ("images", "answers")
    with pytest.raises(DataError, match="no array 'x_train'; its arrays are images and answers"):
        NpzFile(tmp_path / "a.npz").read("x_train")


def test_other_files_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npz.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"not an NPZ file: it looks like a single NumPy array \(.npy\)"):
        NpzFile(tmp_path / "a.npz.npy").names()
    (tmp_path / "b.npz").write_text("<html>")
    with pytest.raises(DataError, match="looks like a web page"):
        NpzFile(tmp_path / "b.npz").names()


def test_a_cut_off_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros(100))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="cut off or damaged"):
        NpzFile(path).read("a")


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.full(10_000, 7, np.uint8))
    path.write_bytes(path.read_bytes().replace(bytes([7] * 50), bytes([8] * 50), 1))
    with pytest.raises(DataError, match=r"damaged after .* of 10,000 bytes of values \(Bad CRC"):
        NpzFile(path).read("a")


def test_unusual_packing_is_refused(tmp_path: Path) -> None:
    path = write_member(tmp_path / "a.npz", "a.npy", npy_bytes("{}"), zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="packed in an unusual way"):
        NpzFile(path).read("a")


@pytest.mark.parametrize("field", ["size", "count"])
def test_a_part_that_a_damaged_directory_hides_is_noticed(tmp_path: Path, field: str) -> None:
    """Where the size of the directory is too small, `zipfile` leaves out its last members without a word."""
    path = tmp_path / "a.npz"
    np.savez(path, x_train=np.zeros(3), x_test=np.ones(3))
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    last = content.rindex(b"PK\x01\x02")
    if field == "count":
        content[end + 10] = 1
    else:  # the last entry's own length, taken from the size; the start is moved, so that the first one is found
        size = int.from_bytes(content[end + 12 : end + 16], "little")
        content[end + 12 : end + 16] = (size - (end - last)).to_bytes(4, "little")
        del content[last:end]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cut off or damaged \(it declares \d members, but its directory has \d\)"):
        NpzFile(path).names()


@pytest.mark.parametrize("seed", range(8))
def test_no_damage_ends_otherwise_than_with_a_data_error_or_all_arrays(tmp_path: Path, seed: int) -> None:
    """Single bytes of an archive changed, mostly of its directory: what is read has every array, as it was."""
    path = tmp_path / "a.npz"
    names = ("x_train", "y_train", "x_test")
    arrays: dict[str, Any] = {name: np.arange(6, dtype=np.uint8) + number for number, name in enumerate(names)}
    np.savez(path, **arrays)
    sound = path.read_bytes()
    start = sound.index(b"PK\x01\x02")
    rng = np.random.default_rng(seed)
    for _ in range(60):
        content = bytearray(sound)
        at = int(rng.integers(start, len(sound))) if rng.random() < 0.7 else int(rng.integers(len(sound)))
        content[at] = int(rng.integers(256))
        path.write_bytes(content)
        try:
            found = {name: NpzFile(path).read(name) for name in NpzFile(path).names()}
        except DataError:
            continue
        assert found.keys() == arrays.keys(), at
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
