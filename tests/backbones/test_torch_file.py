"""A file of tensors is read; a file of anything else is refused, and nothing in it is ever run."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.backbones.torch_file import read_tensors
from fittingroom.errors import InputError

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def row(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def tensor(  # noqa: PLR0917 - each is what a file may say
    storage: str = "s",
    count: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    kind: str = "FloatStorage",
    device: str = "cpu",
    call: tuple[str, str] = ("torch._utils", "_rebuild_tensor_v2"),
) -> bytes:
    """The instructions that make one tensor."""
    stored = row(text("storage"), named("torch", kind), text(storage), text(device), whole(count), b"N") + b"Q"
    hooks = named("collections", "OrderedDict") + b")R"
    sides, steps = row(*map(whole, shape)), row(*map(whole, strides))
    return named(*call) + row(stored, whole(offset), sides, steps, b"\x89", hooks) + b"R"


def described(entries: dict[str, bytes]) -> bytes:
    """The pickle of a state dictionary of tensors."""
    items = b"".join(text(name) + value for name, value in entries.items())
    return b"\x80\x02" + named("collections", "OrderedDict") + b")R(" + items + b"u."


def numbers(*values: float) -> bytes:
    return struct.pack("<q", len(values)) + struct.pack(f"<{len(values)}f", *values)


def torch_file(
    dictionary: bytes, storages: Any = ("s",), content: bytes = numbers(*range(6)), magic: Any = MAGIC,
    version: Any = VERSION, machine: Any = MACHINE,
) -> bytes:  # fmt: skip
    begin = b"".join(pickle.dumps(value, protocol=2) for value in (magic, version, machine))
    return begin + dictionary + pickle.dumps(list(storages), protocol=2) + content


def test_tensors_are_read_in_the_order_in_which_they_lie_in_their_storage() -> None:
    entries = {"rows": tensor(), "columns": tensor(strides=(1, 2)), "end": tensor(offset=4, shape=(2,), strides=(1,))}
    tensors = read_tensors(torch_file(described(entries)))
    assert list(tensors) == ["rows", "columns", "end"]
    np.testing.assert_array_equal(tensors["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["columns"], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(tensors["end"], [4, 5])
    assert {array.dtype for array in tensors.values()} == {np.dtype("float32")}


class Code:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["magic", "machine", "dictionary", "storages"])
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path: Path, protocol: int, place: str) -> None:
    trap = tmp_path / "ran"
    code = pickle.dumps({"weight": Code(trap)}, protocol=protocol)
    parts = [pickle.dumps(value, protocol=2) for value in (MAGIC, VERSION, MACHINE)]
    parts += [described({"w": tensor()}), pickle.dumps(["s"], protocol=2), numbers(*range(6))]
    parts[{"magic": 0, "machine": 2, "dictionary": 3, "storages": 4}[place]] = code
    with pytest.raises(InputError, match="not a PyTorch weights file that is read here"):
        read_tensors(b"".join(parts))
    assert not trap.exists()
    pickle.loads(code)  # the trap works
    assert trap.exists()


BOMB = b"\x80\x02" + b")" + b"\x85" * 50_000 + b"."  # a tuple in a tuple in a tuple …

REFUSED = {
    "nothing": (b"", "damaged"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a PyTorch weights file"),
    "another mark": (torch_file(described({"w": tensor()}), magic=12), "does not begin with PyTorch's mark"),
    "another version": (torch_file(described({"w": tensor()}), version=1002), "its version is 1002"),
    "big-endian": (torch_file(described({"w": tensor()}), machine={"little_endian": False}), "little-endian"),
    "no dictionary": (torch_file(pickle.dumps([1, 2], protocol=2)), "no dictionary of tensors"),
    "no tensors": (torch_file(described({})), "no dictionary of tensors"),
    "a number as a tensor": (torch_file(described({"w": whole(1)})), "'w' is not a named tensor"),
    "a number as a name": (torch_file(b"\x80\x02}(" + whole(1) + tensor() + b"u."), "that are not named"),
    "an unhashable name": (torch_file(b"\x80\x02}(]" + tensor() + b"u."), "that are not named"),
    "another call": (torch_file(described({"w": tensor(call=("os", "system"))})), "it calls os system"),
    "a name alone": (torch_file(b"\x80\x02cos\nsystem\n."), "it names os system"),
    "another instruction": (torch_file(b"\x80\x02(ios\nsystem\n."), "holds the instruction INST"),
    "float64": (torch_file(described({"w": tensor(kind="DoubleStorage")})), "float32 on the CPU is read"),
    "on a GPU": (torch_file(described({"w": tensor(device="cuda:0")})), "on cuda:0; float32 on the CPU"),
    "too large for its storage": (torch_file(described({"w": tensor(shape=(3, 3))})), "larger than its storage"),
    "huge by repetition": (torch_file(described({"w": tensor(shape=(2**30, 2**30), strides=(0, 0))})), "larger than"),
    "a negative side": (torch_file(described({"w": tensor(shape=(-2, 3))})), "no shape"),
    "a negative offset": (torch_file(described({"w": tensor(offset=-1)})), "no storage"),
    "strides of another length": (torch_file(described({"w": tensor(strides=(1,))})), "no shape"),
    "too many axes": (torch_file(described({"w": tensor(shape=(1,) * 99, strides=(1,) * 99)})), "no shape"),
    "a huge storage": (torch_file(described({"w": tensor(count=2**31 - 1)})), "6 numbers where 2,147,483,647"),
    "ends early": (torch_file(described({"w": tensor()}))[:-1], "ends early"),
    "goes on": (torch_file(described({"w": tensor()})) + b"\0", "something follows"),
    "other storages": (torch_file(described({"w": tensor()}), storages=["t"]), "its list of storages"),
    "a storage twice": (torch_file(described({"w": tensor()}), storages=["s", "s"]), "its list of storages"),
    "deep nesting": (torch_file(BOMB), "no dictionary of tensors"),
    "deep nesting as a version": (
        pickle.dumps(MAGIC, protocol=2) + BOMB, "not a PyTorch weights file"
    ),
    "deep nesting as a name": (
        torch_file(b"\x80\x02})" + b"\x85" * 50_000 + tensor() + b"s."), "that are not named"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_a_dictionary_of_tensors_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tensors(content)


def test_a_zip_archive_of_a_newer_pytorch_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", described({"w": tensor()}))
    with pytest.raises(InputError, match="not a PyTorch weights file"):
        read_tensors(stream.getvalue())


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_is_read_as_tensors_or_refused(data: st.DataObject) -> None:
    content = bytearray(torch_file(described({"w": tensor(), "v": tensor(strides=(1, 2))})))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        tensors = read_tensors(bytes(content))
    except InputError:
        return
    assert all(array.dtype == np.float32 and array.size <= 6 for array in tensors.values())
