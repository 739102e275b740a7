"""`fittingroom export` prints what was written and how it was checked, as text and as JSON; wrong use is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import fittingroom as fr
from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")
pytest.importorskip("onnxruntime")


def test_it_writes_into_the_runs_folder_and_says_how_it_was_checked(command: Command, runs_dir: Path) -> None:
    run = fr.train("digits", fr.Recipe(name="small", hidden=(), epochs=1), out=runs_dir / "one")
    done = command("export", "--to", "onnx")
    assert done.status == 0
    file = run.path / "model.onnx"
    assert done.out.startswith(f"{file}: ")
    assert "Checked by onnxruntime on 120 validation images: the same class for all" in done.out
    again = command("export", "one", "--to", "onnx", "--json").json
    assert (again["path"], again["was_there"]) == (str(file), True)
    assert again["files"] == {"model.onnx": file.stat().st_size}
    assert again["checked"]["same_class"] == again["checked"]["images"] == 120
    assert again["about"]["class_names"] == [str(digit) for digit in range(10)]

    file.write_bytes(b"mine")
    for arguments, said in (
        (["--to", "onnx"], "exists, and is not this export"),
        (["--to", "onxx"], "invalid choice"),
        (["--to", "onnx", "--int8"], "no setting 'int8'"),
        (["--to", "onnx", "--out", "model.tflite"], "ends with .onnx"),
    ):
        wrong = command("export", "one", *arguments)
        assert wrong.status == 2
        assert said in wrong.err
    assert file.read_bytes() == b"mine"
