"""`fittingroom lab`: the command around `fittingroom.lab`, which has tests of its own."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.labs.conftest import WHOLE
from tests.labs.test_lab import CODE_LAB, PREDICT

pytestmark = pytest.mark.usefixtures("quick_compiler")


class Terminal(io.StringIO):
    """Input from somebody who sits at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "sizes.toml"
    path.write_text(WHOLE + PREDICT)
    return path


def test_without_a_name_the_labs_are_listed(command: Command) -> None:
    done = command("lab")
    assert [line.split()[0] for line in done.out.splitlines()[1:12]] == [str(number) for number in range(1, 12)]
    assert [one["name"] for one in command("lab", "--json").json["labs"]][1] == "neurons"


def test_an_unknown_lab_is_answered_with_the_nearest(command: Command) -> None:
    done = command("lab", "neuron")
    assert (done.status, done.out) == (2, "")
    assert "unknown lab 'neuron'. Did you mean 'neurons'" in done.err


@pytest.mark.usefixtures("runs_folder")
def test_a_lab_tells_question_numbers_verdicts_and_its_page(command: Command, lab: Path, tmp_path: Path) -> None:
    done = command("lab", lab, "--out", tmp_path / "out")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "Sizes"
    assert any(line.startswith("And? It came out: It rises.") for line in lines)
    assert any(line.startswith("hidden=16  ") and "%" in line for line in lines)
    assert any(line.endswith("16 are better than 4.") for line in lines)
    assert lines[-1] == f"Page: {tmp_path / 'out' / 'sizes.html'}"
    assert done.err == ""


@pytest.mark.usefixtures("runs_folder")
def test_at_a_terminal_a_prediction_is_asked_first(
    command: Command, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("lab", lab, "--out", tmp_path / "out")
    monkeypatch.setattr(sys, "stdin", Terminal("5\nrises\n1\n"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done = command("lab", lab, "--out", tmp_path / "out")
    assert done.err.count("1 to 2, or Enter to skip: ") == 3
    assert "Your prediction was: It falls. It came out: It rises." in done.out
    assert not done.out.startswith("Sizes")  # the question stands above already
    assert "And?" not in command("lab", lab, "--out", tmp_path / "out", "--yes").err
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    assert "And? It came out: It rises." in command("lab", lab, "--out", tmp_path / "out").out


@pytest.mark.usefixtures("runs_folder")
def test_code_is_shown_with_its_error(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(CODE_LAB)
    assert command("lab", path).status == 2
    done = command("lab", path, "--trust", "--out", tmp_path / "out")
    assert '    -     keras.layers.Dense(10, activation="softmax"),' in done.out
    assert 'all printed: "enough" (2 times)' in done.out
    assert "few was refused: The model has 5 outputs" in done.out
    facts = command("lab", path, "--trust", "--out", tmp_path / "out", "--json").json
    assert [claim["verdict"] for claim in facts["claims"]] == ["supported", "supported"]
