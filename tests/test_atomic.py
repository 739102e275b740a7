from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.atomic import CheckedFile, sweep, write_atomically, write_bytes


def test_what_a_living_writer_is_writing_is_left_alone(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        stream.write(b"half")
        sweep(tmp_path)
        stream.write(b" and half")

    write_atomically(tmp_path / "file", write)
    assert (tmp_path / "file").read_bytes() == b"half and half"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from fittingroom.atomic import write_atomically;"
        "write_atomically(Path(sys.argv[1]), lambda stream: (stream.write(b'half'), stream.flush(), os._exit(9)))"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path / "file"], check=False, timeout=60)
    assert killed.returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_sweeping_touches_nothing_else(tmp_path: Path) -> None:
    for name in ("file", "file.tmp", ".file", ".file.txt"):
        write_bytes(tmp_path / name, b"mine")
    sweep(tmp_path)
    sweep(tmp_path / "missing")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")

    def fail(stream: BinaryIO) -> None:
        stream.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", fail)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


@given(st.binary(max_size=300), st.data())
def test_any_damage_to_a_checked_file_is_noticed(content: bytes, data: st.DataObject) -> None:
    path = Path(os.environ["FITTINGROOM_CACHE_DIR"]) / "checked"
    path.parent.mkdir(parents=True, exist_ok=True)
    CheckedFile(path).write(content)
    assert CheckedFile(path).read() == content
    stored = path.read_bytes()
    place = data.draw(st.integers(0, len(stored) - 1))
    damaged = data.draw(
        st.sampled_from([stored[:place], stored[:place] + bytes([stored[place] ^ 4]) + stored[place + 1 :]])
    )
    path.write_bytes(damaged)
    assert CheckedFile(path).read() is None


def test_a_missing_checked_file_is_none(tmp_path: Path) -> None:
    assert CheckedFile(tmp_path / "missing").read() is None
