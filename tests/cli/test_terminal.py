"""What only a process of its own, or a terminal, can show."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import types
from functools import reduce
from pathlib import Path

import pytest
from rich.console import Console

from fittingroom.progress import Progress, _TerminalProgress, progress_for

TRAIN = [sys.executable, "-m", "fittingroom", "train", "digits"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "FITTINGROOM_RUNS_DIR": str(tmp_path / "runs")}


def read_until(terminal: int, text: bytes) -> None:
    """Waits for a text on a program's terminal."""
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 4096)


def read_to_the_end(terminal: int) -> None:
    """Reads what a program writes to its terminal, so that it need not wait, until the program has ended."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass
    os.close(terminal)


def test_ctrl_c_keeps_the_finished_epochs_as_a_usable_run(environment: dict[str, str], tmp_path: Path) -> None:
    ours, its = pty.openpty()
    train = [*TRAIN, "--epochs", "1000000", "--json"]
    with subprocess.Popen(train, env=environment, stdout=subprocess.PIPE, stderr=its, text=True) as process:
        os.close(its)
        try:
            read_until(ours, b"epoch       3  ")
            process.send_signal(signal.SIGINT)
            threading.Thread(target=read_to_the_end, args=(ours,)).start()
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    facts = json.loads(out)
    assert facts["status"] == "interrupted"
    assert facts["epochs"] >= 2
    evaluate = [sys.executable, "-m", "fittingroom", "evaluate", facts["run"], "--json"]
    done = subprocess.run(evaluate, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["test"]["count"] == 360


def test_progress_is_silent_without_a_terminal(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*TRAIN, "--epochs", "1"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert "epoch 1/1" not in done.stderr
    assert all(line.startswith("fittingroom: note: ") for line in done.stderr.splitlines())


def test_second_training_and_evaluation_import_no_keras(environment: dict[str, str]) -> None:
    code = (
        "import sys; from fittingroom.cli.main import main\n"
        "main(['train', 'digits', '--epochs', '1']); main(['evaluate']); print(*sys.modules, file=sys.stderr)"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "jax" in loaded
    assert not loaded & {"keras", "scipy", "scipy.stats", "sklearn", "rich", "tomllib", "pooch", "PIL"}


def drawn(epochs: int) -> str:
    """What a terminal shows of a training with these epochs, its control characters included."""
    stream = io.StringIO()
    progress = _TerminalProgress(Console(file=stream, force_terminal=True, width=120, highlight=False))
    progress.stage("compiling")
    progress.start(epochs, 4)
    for epoch in range(epochs):
        progress.step(epoch, 2, 4, {"loss": 0.5})
        progress.epoch(epoch, {"accuracy": 0.5, "loss": 0.25, "val_accuracy": 0.5, "val_loss": 0.75})
    progress.finish("stopped early")
    return stream.getvalue()


def test_terminal_shows_stage_bar_and_a_line_per_epoch() -> None:
    text = drawn(2)
    assert "compiling" in text
    assert "stopped early" in text
    for epoch in (1, 2):
        assert any(f"epoch {epoch}  loss 0.2500 accuracy 0.5000  val_loss" in line for line in text.splitlines())


def test_bar_moves_with_the_steps() -> None:
    stream = io.StringIO()
    progress = _TerminalProgress(Console(file=stream, force_terminal=True, width=120, highlight=False))
    progress.start(3, 4)
    time.sleep(0.11)
    progress.step(1, 3, 4, {"accuracy": 0.5, "loss": 0.25})
    progress.finish(None)
    assert "epoch 2/3" in stream.getvalue()
    assert "3/4  loss 0.2500 accuracy 0.5000" in stream.getvalue()


def test_many_quick_steps_are_drawn_ten_times_a_second() -> None:
    stream = io.StringIO()
    progress = _TerminalProgress(Console(file=stream, force_terminal=True, width=120, highlight=False))
    progress.start(1, 10_000)
    started = time.perf_counter()
    for step in range(10_000):
        progress.step(0, step, 10_000, {"loss": 0.5})
    seconds = time.perf_counter() - started
    progress.finish(None)
    assert stream.getvalue().count("/10000") <= 10 * seconds + 2


def test_line_of_an_epoch_fits_into_80_columns() -> None:
    stream = io.StringIO()
    progress = _TerminalProgress(Console(file=stream, force_terminal=True, width=80, highlight=False))
    progress.start(99, 4)
    progress.epoch(9, {"accuracy": 0.5, "loss": 0.25, "val_accuracy": 0.5, "val_loss": 0.75})
    progress.finish(None)
    assert "epoch 10  loss 0.2500 accuracy 0.5000  val_loss 0.7500 val_accuracy 0.5000  0.0s" in stream.getvalue()


def test_text_in_square_brackets_is_shown_as_it_is() -> None:
    stream = io.StringIO()
    progress = _TerminalProgress(Console(file=stream, force_terminal=True, width=120, highlight=False))
    progress.start(1, 1)
    progress.finish("[red]reason[/red]")
    assert "[red]reason[/red]" in stream.getvalue()


def test_a_notebook_shows_how_far_the_epoch_is_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line begins anew until the epoch's own takes its place, however long it was."""
    notebook = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=True))
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdout", screen := io.StringIO())
    monkeypatch.setattr("fittingroom.progress._SECONDS_BETWEEN_LINES", 0.0)
    progress = progress_for()
    progress.stage("compiling")
    progress.start(2, 8)
    for epoch in range(2):
        progress.step(epoch, 4, 8, {"loss": 0.5})
        progress.epoch(epoch, {"loss": 0.25})
    progress.step(1, 4, 8, {"loss": 0.5})
    progress.finish("stopped")
    drawn = screen.getvalue()
    assert "epoch 1/2 ██████████░░░░░░░░░░ 4/8  loss 0.5000" in drawn
    lines = [reduce(lambda shown, part: part + shown[len(part) :], line.split("\r")) for line in drawn.split("\n")]
    assert [line.rstrip() for line in lines[:2]] == [f"epoch {n}/2  loss 0.2500  0.0s" for n in (1, 2)]
    assert [line.rstrip() for line in lines[2:]] == ["stopped", ""]


def test_there_is_no_bar_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(progress_for()) is Progress
