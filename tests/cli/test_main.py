from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fittingroom
from fittingroom.cli.main import COMMANDS, main
from fittingroom.errors import Interrupted, StorageError
from tests.cli.conftest import Command

COMMAND_LINE = [sys.executable, "-m", "fittingroom"]


def test_help_lists_every_command(command: Command) -> None:
    done = command("--help")
    assert done.status == 0
    assert all(f"    {name}" in done.out and summary in done.out for name, summary in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.status == 0
    assert "--json" in done.out


def test_no_arguments_print_the_help(command: Command) -> None:
    assert command().out == command("--help").out


def test_version_is_the_packages(command: Command) -> None:
    assert command("--version").out == f"fittingroom {fittingroom.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian digits", "unknown command 'trian'. Did you mean 'train'? Known: train, evaluate"),
        ("train digits --epocs 3", "unknown option '--epocs'. Did you mean '--epochs'? Known: --help, "),
        ("runs --all=yes", "unknown option '--all'."),
        ("train digits extra", "unexpected argument 'extra'. See `fittingroom train --help`."),
        ("train nope", "unknown dataset 'nope'. Known: fashion-mnist, mnist"),
        ("train digits --recipe curse", "unknown recipe 'curse'. Did you mean 'course'? Known: linear, course, wide"),
        ("train digits --recipe gone.toml", "the recipe gone.toml cannot be read: No such file"),
        ("train digits --epochs 0", "epochs = 0: expected a whole number, 1 or more"),
        ("train digits --epochs", "argument --epochs: expected one argument. See `fittingroom train --help`."),
        ("train digits --batch-size many", "batch_size = 'many': expected a whole number"),
        ("train digits --seed -1", "'-1': expected a whole number from 0 to 2147483647"),
        ("train digits --validation 1.5", "'1.5': expected a number of images such as 5000, 0 for none, or a fraction"),
        ("train digits --set lr=0.1x", "unknown key 'lr' in a recipe. Did you mean 'learning_rate'?"),
        ("train digits --set learning_rate=0.1x", "learning_rate = '0.1x': expected a number above 0"),
        ("train --set hidden=64 digits", "If 'digits' is the dataset, put it before the options"),
        ("train --stop loss<0.4 digits", "If 'digits' is the dataset, put it before the options"),
        ("train digits --stop losss<0.4", "--stop: unknown metric in a stop condition 'losss'. Did you mean 'loss'?"),
        (
            "train digits --stop val_loss<1 --validation 0",
            "'val_loss<1' needs validation data, and this training has",
        ),
        ("train digits --model own.txt", "model = 'own.txt': expected FILE.py:FUNCTION"),
        ("train digits --model gone.py:build", "the model file gone.py cannot be read: No such file"),
        ("train folder:/nowhere --image-size 28x28x3", "'28x28x3': expected a size in pixels such as 28"),
        ("evaluate", " holds no run yet"),
        ("show nope", "unknown run 'nope'."),
        ("predict latest", "the following arguments are required: FILE"),
        ("data nope", "unknown dataset 'nope'."),
    ],
)
def test_wrong_input_is_a_sentence_and_exit_status_2(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    message: str,
) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    done = command(*arguments.split())
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("fittingroom: error: ")
    assert message in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback_too(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" in command("train", "--recipe", "curse", "--debug").err
    monkeypatch.setenv("FITTINGROOM_DEBUG", "1")
    done = command("train", "--recipe", "curse")
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("fittingroom: error: unknown recipe 'curse'")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (RuntimeError("boom"), 1, "fittingroom: error: unexpected RuntimeError: boom. This is a bug in Fitting Room"),
        (KeyboardInterrupt(), 130, "fittingroom: interrupted: the command was ended before it was done."),
        (Interrupted("no epoch was finished", None), 130, "fittingroom: interrupted: no epoch was finished"),
        (StorageError("the disk is full"), 1, "fittingroom: error: the disk is full"),
    ],
)
def test_other_ends_have_their_own_status(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("fittingroom.cli.runs._run", fail)
    done = command("runs")
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(message)


def test_what_is_printed_on_the_way_is_no_result(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from fittingroom.runs.place import RunsFolder

    def chatty(_: RunsFolder) -> list[Path]:
        print("model.summary() and the like")  # noqa: T201
        return []

    monkeypatch.setattr(RunsFolder, "runs", chatty)
    done = command("runs", "--json")
    assert done.json["runs"] == []
    assert "model.summary()" in done.err


def test_module_is_the_command() -> None:
    done = subprocess.run([*COMMAND_LINE, "trian"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fittingroom: error: unknown command 'trian'")


def test_reader_that_goes_away_is_no_error_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND_LINE, "data"], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_command_imports_only_its_own_module() -> None:
    code = "import sys; from fittingroom.cli.main import main; main(['recipes']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stderr.split())
    assert "fittingroom.cli.recipes" in loaded
    assert not loaded & {"fittingroom.cli.train", "fittingroom.cli.data", "numpy", "rich", "jax", "keras"}


def test_main_takes_the_arguments_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fittingroom", "trian"])
    assert main() == 2
